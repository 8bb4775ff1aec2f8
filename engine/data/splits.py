"""Splits: which rows train, validate and test. The same seed gives the same rows on any machine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.data.table import Table
from engine.errors import DataError
from engine.parameters import Array
from engine.randomness import generator
from engine.spec import SplitSpec

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What a column may call the parts, in any capitalisation."""


@dataclass(frozen=True)
class Split:
    """Row numbers of the three parts, each in ascending order."""

    train: Array
    validation: Array
    test: Array

    def part(self, name: str) -> Array:
        """The part called `train`, `validation` or `test`."""
        parts: dict[str, Array] = {"train": self.train, "validation": self.validation, "test": self.test}
        return parts[name]


def split_rows(
    row_count: int, spec: SplitSpec, *, seed: int, strata: Array | None = None, groups: Array | None = None
) -> Split:
    """Draw the parts at random.

    `strata` (m,) gives a class for every row, and each class is drawn from in proportion. `groups` (m,) gives a number
    for every row, and rows of one number stay together; those of −1 are alone. With `folds` the test part is one of
    as many that hold every row once.

    The rows are ordered by random words of the seeded generator itself, not by a shuffle whose method may change.
    """
    order = np.argsort(generator(seed, "split").bit_generator.random_raw(row_count), kind="stable")
    order = order.astype(np.int32) if row_count <= np.iinfo(np.int32).max else order
    if groups is not None:
        return _of_groups(_grouped(order, groups), spec)
    bundles = [order] if strata is None else _by_value(order, strata[order])
    sizes = np.array([len(bundle) for bundle in bundles])
    if spec.folds is None:
        test = [slice(count) for count in _shares(sizes, spec.test)]
    else:
        starts = np.cumsum(sizes) - sizes
        test = [slice((spec.fold - start) % spec.folds, None, spec.folds) for start in starts]
    tested = [bundle[chosen] for bundle, chosen in zip(bundles, test, strict=True)]
    rests = [np.delete(bundle, chosen) for bundle, chosen in zip(bundles, test, strict=True)]
    taken = np.array([len(rows) for rows in tested])
    validation = _shares(sizes, spec.validation, taken=taken)
    return _split(
        train=[rest[count:] for rest, count in zip(rests, validation, strict=True)],
        validation=[rest[:count] for rest, count in zip(rests, validation, strict=True)],
        test=tested,
    )


def _by_value(order: Array, drawn: Array) -> list[Array]:
    """The rows of each stratum, in their order; `drawn` is each row's."""
    return [order[drawn == stratum] for stratum in np.unique(drawn)]


def split_by_time(times: Array, spec: SplitSpec) -> Split:
    """The latest of rows with these times (m,) test, those before them validate; equal times stay in one part."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]

    def start_of(count: float) -> int:
        """Where a part that ends the first `count` rows begins: at the first of equal times."""
        return int(np.searchsorted(ordered, ordered[min(round(count), len(ordered) - 1)])) if count else 0

    test = start_of(len(times) * (1 - spec.test)) if spec.test else len(times)
    validation = start_of(len(times) * (1 - spec.test - spec.validation)) if spec.validation else test
    validation = min(validation, test)
    return _split(train=[order[:validation]], validation=[order[validation:test]], test=[order[test:]])


def times_of(table: Table, name: str, rows: Array) -> Array:
    """The numbers of the rows (m,) by which they are ordered. Raises DataError for text and for a blank."""
    if table.schema.column(name).type == "text":
        raise DataError("split.time", f"expected a column of numbers or times, but {name} is text", code="not_numbers")
    times = table.numbers(name, rows)
    blank = np.flatnonzero(np.isnan(times))
    if blank.size:
        raise DataError(f"rows[{rows[blank[0]]}].{name}", "expected a time to split by, got a blank", code="blank")
    return times


def named_parts(table: Table, name: str, rows: Array) -> Split:
    """The parts that a column names for each of the rows. Raises DataError for a cell that names none."""
    text = table.text(name, rows)
    names = [PARTS.get(level.strip().lower()) for level in text.levels]
    codes = text.codes
    wrong = np.flatnonzero(np.array([*(part is None for part in names), True])[codes])
    if wrong.size:
        row, got = rows[wrong[0]], "a blank" if codes[wrong[0]] < 0 else "another text"
        raise DataError(f"rows[{row}].{name}", f"expected train, validation or test, got {got}", code="unknown_part")
    of_rows = np.array(names)[codes]
    return Split(**{part: np.flatnonzero(of_rows == part) for part in ("train", "validation", "test")})


def _split(**parts: Sequence[Array]) -> Split:
    return Split(**{name: np.sort(np.concatenate(rows)).astype(np.int64) for name, rows in parts.items()})


def _grouped(order: Array, groups: Array) -> list[Array]:
    """The rows of each group, groups in the order in which their first row was drawn."""
    numbers = groups[order].copy()
    alone = numbers < 0
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    places = rank[inverse]
    by_group = np.argsort(places, kind="stable")
    return np.split(order[by_group], np.cumsum(np.bincount(places))[:-1])


def _of_groups(groups: list[Array], spec: SplitSpec) -> Split:
    """Whole groups to test and then to validate until there are enough; of folds the largest groups are dealt first."""
    count = sum(map(len, groups))
    test, rest = list[Array](), list[Array]()
    if spec.folds is None:
        test, rest = _until(groups, count * spec.test)
    else:
        sizes = [0] * spec.folds
        for group in sorted(groups, key=len, reverse=True):
            smallest = sizes.index(min(sizes))
            sizes[smallest] += len(group)
            (test if smallest == spec.fold else rest).append(group)
    validation, train = _until(rest, count * spec.validation)
    nothing = [np.array([], np.int64)]
    return _split(train=train or nothing, validation=validation or nothing, test=test or nothing)


def _until(groups: Sequence[Array], wanted: float) -> tuple[list[Array], list[Array]]:
    """Groups until they come as near to so many rows as whole groups can, but the last; and the others."""
    found, taken = 0, 0.0
    while found < len(groups) - 1 and taken + len(groups[found]) / 2 < wanted:
        taken += len(groups[found])
        found += 1
    return list(groups[:found]), list(groups[found:])


def _shares(sizes: Array, share: float, *, taken: Array | int = 0) -> Array:
    """How many rows of each bundle make this share of all, by largest remainder; one row of each is left to train."""
    ideal = sizes * share
    counts = np.minimum(np.floor(ideal), np.maximum(sizes - taken - 1, 0)).astype(np.int64)
    for place in np.argsort(counts - ideal, kind="stable"):
        if counts.sum() >= round(sizes.sum() * share):
            break
        if counts[place] < sizes[place] - (taken[place] if isinstance(taken, np.ndarray) else taken) - 1:
            counts[place] += 1
    return counts
