"""The profile of a table: for each column what one would look at first."""

from typing import Any

import numpy as np

from engine.data.datetimes import iso
from engine.data.schema import Column
from engine.data.table import Table, Text

TOP = 10
"""How many of a column's most frequent values are listed."""


def profile(table: Table) -> dict[str, Any]:
    """`{"rows": …, "columns": {name: {"type", "missing", "distinct", …}}}`.

    Numbers have minimum, quartiles, maximum, mean and standard deviation (with n − 1), None where it is too large for
    float64, moments the same as ISO 8601; text and booleans their most frequent values with counts.
    """
    return {
        "rows": table.row_count,
        "columns": {column.name: _column(table, column) for column in table.schema.columns},
    }


def _column(table: Table, column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"type": column.type, "missing": column.missing}
    if column.type in ("text", "boolean"):
        return found | _text(table.text(column.name))
    numbers = _numbers(table.numbers(column.name))
    return found | (_moments(numbers) if column.type == "datetime" else numbers)


def _numbers(values: Any) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    if not present.size:
        return {"distinct": 0}
    with np.errstate(over="ignore", invalid="ignore"):
        quartiles = np.quantile(present, [0.25, 0.5, 0.75])
        mean = present.mean()
        deviation = present.std(ddof=1) if present.size > 1 else 0.0
    return {
        "distinct": int(np.unique(present).size),
        "minimum": float(present.min()),
        "quartiles": [_finite(quartile) for quartile in quartiles],
        "maximum": float(present.max()),
        "mean": _finite(mean),
        "standard_deviation": _finite(deviation),
    }


def _moments(found: dict[str, Any]) -> dict[str, Any]:
    """The same of seconds since 1970, places in time as ISO 8601; the deviation stays in seconds."""
    if found["distinct"] == 0:
        return found
    places = {name: iso(found[name]) for name in ("minimum", "maximum", "mean")}
    return found | places | {"quartiles": [iso(quartile) for quartile in found["quartiles"]]}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _text(text: Text) -> dict[str, Any]:
    counts = np.bincount(text.codes[text.codes >= 0], minlength=len(text.levels))
    order = np.argsort(-counts, kind="stable")[:TOP]
    return {
        "distinct": int((counts > 0).sum()),
        "top": [{"value": text.levels[place], "count": int(counts[place])} for place in order if counts[place]],
    }
