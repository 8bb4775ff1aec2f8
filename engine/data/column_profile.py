"""The profile of one column: what one would look at first, and what one should be warned of."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from engine.data.datetimes import iso
from engine.data.features import MAXIMUM_LEVELS
from engine.data.frequencies import BLOCK, frequencies, runs
from engine.data.schema import Column
from engine.data.table import Table
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


def column_profile(table: Table, column: Column) -> Found:
    """`{"type", "missing", "missing_share", "distinct", …, "warnings"}` of one of the table's columns.

    Numbers have minimum, quartiles, maximum, mean, standard deviation (with n − 1), skewness and a histogram, None
    where one is too large for float64; text and booleans, and integers with few distinct values, their most frequent
    values with counts; text its mean and largest length in characters; moments minimum, quartiles, maximum and mean as
    ISO 8601. Numbers are held in memory once, of texts eight bytes for each row and never the texts themselves.
    """
    rows = table.row_count
    found: Found = {
        "type": column.type,
        "missing": column.missing,
        "missing_share": column.missing / rows if rows else 0.0,
    }
    if column.type == "text":
        texts, most = _texts(table, column)
        return found | texts | {"warnings": list(_warnings(found | texts, rows, most, could_identify=True))}
    present = table.present(column.name)
    could_identify = column.type == "integer" and _ascends(present)
    present.sort()
    if column.type == "boolean":
        numbers, most = _booleans(column, present)
    else:
        numbers, most = _numbers(column, present)
        numbers = _moments(numbers) if column.type == "datetime" else numbers
    return found | numbers | {"warnings": list(_warnings(found | numbers, rows, most, could_identify=could_identify))}


# Numbers -----------------------------------------------------------------------------------------------------------


def _ascends(values: Array) -> bool:
    return all(
        bool((values[start + 1 : start + 1 + BLOCK] > values[start : start + BLOCK][: len(values) - start - 1]).all())
        for start in range(0, len(values) - 1, BLOCK)
    )


def _booleans(column: Column, ordered: Array) -> tuple[Found, int]:
    counts = [len(ordered) - int(np.count_nonzero(ordered)), int(np.count_nonzero(ordered))]
    found = {
        "distinct": sum(count > 0 for count in counts),
        "top": _top([column.spell(0.0), column.spell(1.0)], np.array(counts)),
    }
    return found, max(counts)


def _numbers(column: Column, ordered: Array) -> tuple[Found, int]:
    """The profile of numbers in ascending order, which it may disarrange, and how often the most frequent occurs."""
    if not ordered.size:
        return {"distinct": 0}, 0
    found, most = _repeats(column, ordered)
    found |= {"minimum": float(ordered[0]), "maximum": float(ordered[-1]), "histogram": _histogram(ordered)}
    found |= _shape(ordered, is_constant=found["distinct"] == 1)
    with np.errstate(over="ignore", invalid="ignore"):
        quartiles = np.quantile(ordered, [0.25, 0.5, 0.75], overwrite_input=True)
    return found | {"quartiles": [_finite(quartile) for quartile in quartiles]}, most


def _repeats(column: Column, ordered: Array) -> tuple[Found, int]:
    """How many numbers differ, and how often each of a few and the most frequent occurs."""
    distinct, most, few, of_few = 0, 0, list[float](), list[int]()
    for values, counts in runs(ordered):
        distinct, most = distinct + len(values), max(most, int(counts.max()))
        if distinct <= FEW:
            few += values.tolist()
            of_few += counts.tolist()
    found: Found = {"distinct": distinct}
    if column.type == "integer" and distinct <= FEW:
        found["top"] = _top([column.spell(value) for value in few], np.array(of_few))
    return found, most


def _moments(found: Found) -> Found:
    """The same of seconds since 1970, with places in time as ISO 8601."""
    if found["distinct"] == 0:
        return found
    places = {name: iso(found[name]) for name in ("minimum", "maximum", "mean")}
    return found | places | {"quartiles": [iso(quartile) for quartile in found["quartiles"]]}


def _shape(present: Array, *, is_constant: bool) -> Found:
    """Mean, standard deviation, and skewness: the mean of ((x − mean)/σ)³ with σ² the mean of (x − mean)², g₁."""
    with np.errstate(all="ignore"):
        mean = present.mean()
        square, n = _power(present, mean, 1.0, 2), len(present)
        deviation = np.sqrt(square / (n - 1)) if n > 1 else 0.0
        skewness = _power(present, mean, np.sqrt(square / n), 3) / n
    return {
        "mean": _finite(mean),
        "standard_deviation": _finite(deviation),
        "skewness": None if is_constant else _finite(skewness),
    }


def _power(present: Array, mean: float, scale: float, exponent: int) -> np.float64:
    """The sum of ((x − mean)/scale) to a power, a block at a time."""
    total = np.float64(0)
    for start in range(0, len(present), BLOCK):
        away = (present[start : start + BLOCK] - mean) / scale
        total += np.prod([away] * exponent, axis=0).sum()
    return total


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


def _texts(table: Table, column: Column) -> tuple[Found, int]:
    """The profile of texts, and how often the most frequent of them occurs."""
    characters, longest = 0, 0
    for _, text in table.texts(column.name):
        counts = np.bincount(text.codes[text.codes >= 0], minlength=len(text.levels))
        lengths = np.fromiter(map(len, text.levels), np.int64, len(text.levels))
        characters += int((lengths * counts).sum())
        longest = max(longest, int(lengths[counts > 0].max(initial=0)))
    present = table.row_count - column.missing
    found = frequencies(lambda: ((text, None) for _, text in table.texts(column.name)), table.row_count, TOP)
    return {
        "distinct": found.distinct,
        "top": [{"value": text, "count": count} for text, count in found.top],
        "mean_length": characters / present if present else None,
        "maximum_length": longest if present else None,
    }, max((count for _, count in found.top), default=0)


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
