"""Suspicions: what a run's data may do to its results, though nothing forbids to train on it."""

from collections.abc import Iterator, Sequence
from math import ceil

import numpy as np

from engine.data.associations import correlation_ratio, pearson
from engine.data.column_profile import NEARLY_CONSTANT_SHARE
from engine.data.duplicates import RowHashes, known_rows
from engine.data.features import Feature
from engine.data.preprocessing import Preprocessing
from engine.data.splits import Split
from engine.data.table import Table, Text
from engine.data.targets import Target
from engine.parameters import Array

LEAK = 0.999
"""From this |r| on, a feature is as good as the target."""
LEAK_ROWS = 10
"""With fewer rows a feature may fit the target by chance."""
LEAK_VALUES = 20
"""With at most so many distinct values, a number is looked at value by value, as a text is."""
LEAK_CELLS = 20_000_000
LEAK_PAIRS = 2_000
"""Of larger tables every so many rows, and of many targets the first, are looked at for leaks."""
SAMPLE = 1_000
"""Rows that settle most questions before all are looked at."""
RARE_SHARE = 0.05
RARE_RATIO = 20
"""A class is rare below this share, or below a quarter of an even one; or so many times smaller than the largest."""
ROWS_PER_CLASS = 10
ROWS_PER_INPUT = 10
"""The rule of ten events a variable: Peduzzi et al., "A simulation study of the number of events per variable in
logistic regression analysis", Journal of Clinical Epidemiology 49, 1996."""
KNOWN_SHARE = 0.01
KNOWN_ROWS = 5
"""From this share of a part and so many rows on, what training has seen is warned of: fewer meet by chance."""
ROWS_PER_COMBINATION = 10
"""Where the features take so few values together, equal rows are to be expected."""
NAMED = 5

_OF_ONE = "class_weight: balanced makes it count more"
_OF_SEVERAL = "a pos_weight of binary_cross_entropy or the loss binary_focal makes it count more"
"""How a rare class is helped: of one target, and of one among several, which class_weight is not for."""


def suspicions(table: Table, split: Split, preprocessing: Preprocessing) -> list[str]:
    """A sentence for each thing a user should look at before trusting the run.

    They are: a feature that is a target in another guise; a target whose classes are rare or have few rows, or whose
    numbers hardly vary; validation or test rows whose features training rows have too; too few rows for the number of
    inputs.
    """
    remedy = _OF_ONE if len(preprocessing.targets) == 1 else _OF_SEVERAL
    return [
        *_leaks(table, split.train, preprocessing),
        *(each for target in preprocessing.targets for each in _spread(table, target, split.train, remedy)),
        *_known(table, split, preprocessing.features),
        *_fewness(len(split.train), preprocessing.n_in),
    ]


# Leaks -------------------------------------------------------------------------------------------------------------


def _leaks(table: Table, rows: Array, preprocessing: Preprocessing) -> Iterator[str]:
    """Of all rows and targets, or of every so many rows and the first targets where the table is large."""
    features = preprocessing.features
    targets = preprocessing.targets[: max(1, LEAK_PAIRS // len(features))]
    sample = rows[:: max(1, ceil(len(rows) * len(features) * len(targets) / LEAK_CELLS))]
    for target in targets:
        if target.classes:
            yield from _class_leaks(table, features, target, sample)
        else:
            yield from _number_leaks(table, features, target, sample)


def _number_leaks(table: Table, features: Sequence[Feature], target: Target, rows: Array) -> Iterator[str]:
    y = table.numbers(target.name, rows)
    for feature in features:
        if not feature.is_category:
            x = table.numbers(feature.name, rows)
            present = ~np.isnan(x)
            both = (x, y) if present.all() else (x[present], y[present])
            r = pearson(*both) if len(both[0]) >= LEAK_ROWS else None
            if r is not None and r > LEAK:
                yield _leak(feature, target, f"is {target.name} up to a factor and an offset (|r| = {r:.6f})")


def _class_leaks(table: Table, features: Sequence[Feature], target: Target, rows: Array) -> Iterator[str]:
    classes = table.text(target.name, rows).codes
    for feature in features:
        values = table.values(feature.name, rows)
        cells = values.codes if isinstance(values, Text) else values
        if _tells(cells, classes, is_text=isinstance(values, Text)):
            yield _leak(feature, target, f"tells the classes of {target.name} apart by itself")


def _leak(feature: Feature, target: Target, what: str) -> str:
    return f"{feature.name}: {what}; leave it out of features if it is known only once {target.name} is"


def _tells(cells: Array, classes: Array, *, is_text: bool) -> bool:
    """Whether a feature's cells alone decide the class, in more rows than can be chance.

    A text, or a number of few values, does where each of them has one class; a number of many values where the classes
    lie apart on it and it is next to constant within each. Two classes at least must have two rows.
    """
    present = cells >= 0 if is_text else ~np.isnan(cells)
    cells, classes = cells[present], classes[present]
    if len(cells) < LEAK_ROWS or not _may_tell(cells[:SAMPLE], classes[:SAMPLE], is_text=is_text):
        return False
    values, levels, counts = np.unique(cells, return_inverse=True, return_counts=True)
    if is_text or len(values) <= LEAK_VALUES:
        class_of = _class_of(levels, classes)
        settled = np.unique(class_of[counts > 1]).size > 1
        return settled and 5 * len(values) <= len(cells) and bool((class_of[levels] == classes).all())
    eta = correlation_ratio(cells, classes)
    settled = (np.bincount(classes) > 1).sum() > 1
    return bool(settled) and eta is not None and eta > LEAK and _lie_apart(cells, classes)


def _may_tell(cells: Array, classes: Array, *, is_text: bool) -> bool:
    """Whether it looks so in a few rows: what is mixed in them is mixed in all."""
    values, levels = np.unique(cells, return_inverse=True)
    if is_text or len(values) <= LEAK_VALUES:
        return bool((_class_of(levels, classes)[levels] == classes).all())
    return _lie_apart(cells, classes)


def _class_of(levels: Array, classes: Array) -> Array:
    """For each level the class of one of its rows."""
    found = np.zeros(int(levels.max()) + 1, np.int64)
    found[levels] = classes
    return found


def _lie_apart(x: Array, classes: Array) -> bool:
    """Whether each class has a stretch of its own on the line of numbers."""
    order = np.argsort(x, kind="stable")
    changes = np.flatnonzero(np.diff(classes[order]))
    is_apart = (x[order][changes] < x[order][changes + 1]).all()
    return bool(is_apart) and len(changes) == np.unique(classes).size - 1


# Targets -----------------------------------------------------------------------------------------------------------


def _spread(table: Table, target: Target, rows: Array, remedy: str) -> Iterator[str]:
    if target.classes:
        text = table.text(target.name)
        return _class_sizes(target, text.levels, text.codes[rows], remedy)
    return _flatness(target, table.numbers(target.name, rows))


def _class_sizes(target: Target, names: Sequence[str], classes: Array, remedy: str) -> Iterator[str]:
    counts = np.bincount(classes, minlength=len(names))
    order = np.argsort(counts, kind="stable")
    few = [place for place in order if counts[place] < ROWS_PER_CLASS]
    if few:
        listed = ", ".join(f"{names[place]} ({counts[place]})" for place in few[:NAMED])
        more = ", …" if len(few) > NAMED else ""
        yield (
            f"{target.name}: fewer than {ROWS_PER_CLASS} training rows for {len(few)} of {len(names)} classes: "
            f"{listed}{more}"
        )
    smallest, largest = int(order[counts[order] > 0][0]), int(counts.argmax())
    share = counts[smallest] / counts.sum()
    if share < min(RARE_SHARE, 0.25 / len(names)) or counts[largest] > RARE_RATIO * counts[smallest]:
        yield (
            f"{target.name}: of {counts.sum()} training rows {names[smallest]} has {counts[smallest]} and "
            f"{names[largest]} {counts[largest]}, so that accuracy says little of it; {remedy}"
        )


def _flatness(target: Target, y: Array) -> Iterator[str]:
    same = int((y == np.quantile(y, 0.5, method="lower")).sum())  # what nearly all rows have is their median too
    if same > NEARLY_CONSTANT_SHARE * len(y):
        yield f"{target.name}: the same in {same} of {len(y)} training rows, so that there is little to learn"


# Rows --------------------------------------------------------------------------------------------------------------


def _known(table: Table, split: Split, features: Sequence[Feature]) -> Iterator[str]:
    """Parts that hold rows with the features of training rows, unless the features take few values together."""
    hashes = RowHashes(table, [feature.name for feature in features])
    held_out = np.concatenate([split.validation, split.test])
    found = known_rows(hashes, held_out, split.train)
    if not found.size or hashes.distinct(split.train) * ROWS_PER_COMBINATION <= len(split.train):
        return
    for part in ("validation", "test"):
        rows = split.part(part)
        count = int(np.isin(rows, found, assume_unique=True).sum())
        if count >= KNOWN_ROWS and count >= KNOWN_SHARE * len(rows):
            yield (
                f"split: {count} of {len(rows)} {part} rows have the features of a training row, so that what is "
                "measured on them flatters the network"
            )


def _fewness(rows: int, inputs: int) -> Iterator[str]:
    if rows < ROWS_PER_INPUT * inputs:
        yield (
            f"split: {rows} training rows for {inputs} inputs; with fewer than {ROWS_PER_INPUT} for each a network may "
            "learn them by heart: leave out features, or use l2 or dropout"
        )
