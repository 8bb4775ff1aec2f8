"""The profile of one column: what one would look at first, and what one should be warned of."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.data.datetimes import iso
from engine.data.features import MAXIMUM_LEVELS
from engine.data.schema import Column
from engine.data.table import BLANK, Text, Values
from engine.parameters import Array

TOP = 10
"""How many of a column's most frequent values are listed."""
BINS = 20
FEW = 50
"""An integer column with at most so many distinct values has its most frequent ones listed."""
IDENTIFIER_ROWS = 50
IDENTIFIER_SHARE = 0.95
"""From so many rows on, a column with more distinct values than this share of them is like an identifier."""
NEARLY_CONSTANT_SHARE = 0.995
MOSTLY_BLANK_SHARE = 0.5

Found = dict[str, Any]


def column_profile(column: Column, values: Values) -> Found:
    """`{"type", "missing", "missing_share", "distinct", …, "warnings"}` of a column's values (m,).

    Numbers have minimum, quartiles, maximum, mean, standard deviation (with n − 1), skewness and a histogram, None
    where one is too large for float64; text and booleans, and integers with few distinct values, their most frequent
    values with counts; text its mean and largest length in characters; moments minimum, quartiles, maximum and mean as
    ISO 8601.
    """
    cells = values.codes if isinstance(values, Text) else values
    found: Found = {
        "type": column.type,
        "missing": column.missing,
        "missing_share": column.missing / len(cells) if len(cells) else 0.0,
    }
    if isinstance(values, Text):
        counts = _counts(values)
        found |= _levels(values, counts) | _lengths(values, counts)
        most, could_identify = int(counts.max(initial=0)), True
    elif column.type == "boolean":
        text = Text(np.where(np.isnan(values), BLANK, values).astype(np.int64), (column.spell(0.0), column.spell(1.0)))
        counts = _counts(text)
        found |= _levels(text, counts)
        most, could_identify = int(counts.max(initial=0)), False
    else:
        present = values[~np.isnan(values)] if np.isnan(values).any() else values
        could_identify = column.type == "integer" and bool((present[1:] > present[:-1]).all())
        numbers, most = _numbers(column, present)
        found |= _moments(numbers) if column.type == "datetime" else numbers
    return found | {"warnings": list(_warnings(found, len(cells), most, could_identify=could_identify))}


# Numbers -----------------------------------------------------------------------------------------------------------


def _numbers(column: Column, present: Array) -> tuple[Found, int]:
    """The numbers' profile, and how often the most frequent of them occurs."""
    if not present.size:
        return {"distinct": 0}, 0
    places, most = _places(column, present)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = present.mean()
        deviation = present.std(ddof=1) if present.size > 1 else 0.0
    moments: Found = {
        "mean": _finite(mean),
        "standard_deviation": _finite(deviation),
        "skewness": None if places["distinct"] == 1 else _skewness(present, float(mean)),
    }
    return places | moments, most


def _places(column: Column, present: Array) -> tuple[Found, int]:
    """What the numbers' order tells, and how often the most frequent of them occurs."""
    ordered = np.sort(present)
    found, most = _repeats(column, ordered)
    found |= {"minimum": float(ordered[0]), "maximum": float(ordered[-1]), "histogram": _histogram(ordered)}
    with np.errstate(over="ignore", invalid="ignore"):
        quartiles = np.quantile(ordered, [0.25, 0.5, 0.75], overwrite_input=True)
    return found | {"quartiles": [_finite(quartile) for quartile in quartiles]}, most


def _repeats(column: Column, ordered: Array) -> tuple[Found, int]:
    """How many numbers differ, and how often each of a few and the most frequent occurs."""
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(starts, append=len(ordered))
    found: Found = {"distinct": len(starts)}
    if column.type == "integer" and len(starts) <= FEW:
        found["top"] = _top([column.spell(value) for value in ordered[starts]], counts)
    return found, int(counts.max())


def _moments(found: Found) -> Found:
    """The same of seconds since 1970, with places in time as ISO 8601."""
    if found["distinct"] == 0:
        return found
    places = {name: iso(found[name]) for name in ("minimum", "maximum", "mean")}
    return found | places | {"quartiles": [iso(quartile) for quartile in found["quartiles"]]}


def _skewness(present: Array, mean: float) -> float | None:
    """The mean of ((x − mean)/σ)³ with σ² the mean of (x − mean)²: Fisher and Pearson's g₁."""
    with np.errstate(all="ignore"):
        away = present - mean
        away /= np.sqrt(np.mean(away * away))
        cubes = away * away
        cubes *= away
        return _finite(float(np.mean(cubes)))


def _histogram(ordered: Array) -> Found:
    """Counts in bins of equal width, each without its upper edge but the last; one bin where all are the same."""
    first, last = ordered[0], ordered[-1]
    if first == last:
        return {"edges": [float(first), float(last)], "counts": [len(ordered)]}
    with np.errstate(over="ignore"):
        half = np.isinf(last - first)
    edges = np.linspace(first / 2, last / 2, BINS + 1) * 2 if half else np.linspace(first, last, BINS + 1)
    edges[0], edges[-1] = first, last
    counts, _ = np.histogram(ordered, edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# Texts -------------------------------------------------------------------------------------------------------------


def _levels(text: Text, counts: Array) -> Found:
    return {"distinct": int((counts > 0).sum()), "top": _top(text.levels, counts)}


def _lengths(text: Text, counts: Array) -> Found:
    if not counts.any():
        return {"mean_length": None, "maximum_length": None}
    lengths = np.fromiter(map(len, text.levels), np.int64, len(text.levels))
    return {
        "mean_length": float((lengths * counts).sum() / counts.sum()),
        "maximum_length": int(lengths[counts > 0].max()),
    }


def _counts(text: Text) -> Array:
    return np.bincount(text.codes[text.codes >= 0], minlength=len(text.levels))


def _top(levels: Sequence[str], counts: Array) -> list[Found]:
    order = np.argsort(-counts, kind="stable")[:TOP]
    return [{"value": levels[place], "count": int(counts[place])} for place in order if counts[place]]


# Warnings ----------------------------------------------------------------------------------------------------------


def warning(code: str, detail: str) -> dict[str, str]:
    """One thing a user should know: a code that stays, and a sentence that may change."""
    return {"code": code, "detail": detail}


def _warnings(found: Found, rows: int, most: int, *, could_identify: bool) -> Iterator[dict[str, str]]:
    distinct, present = found["distinct"], rows - found["missing"]
    if could_identify and present >= IDENTIFIER_ROWS and distinct > IDENTIFIER_SHARE * present:
        yield warning(
            "identifier_like",
            f"{distinct} different values in {present} rows, like an identifier; they say nothing of other rows",
        )
    if distinct == 1:
        yield warning("constant", f"the same in all {present} rows that have it; nothing can be learned from it")
    elif most > NEARLY_CONSTANT_SHARE * present:
        yield warning("nearly_constant", f"one value in {most} of {present} rows")
    if found["missing_share"] > MOSTLY_BLANK_SHARE:
        yield warning("mostly_blank", f"blank in {found['missing']} of {rows} rows")
    if found["type"] == "text" and distinct > MAXIMUM_LEVELS:
        yield warning(
            "high_cardinality", f"{distinct} different texts; a run learns from the {MAXIMUM_LEVELS} most frequent"
        )
