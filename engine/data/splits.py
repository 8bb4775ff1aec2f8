"""Splits: which rows train, validate and test. The same seed gives the same rows on any machine."""

from dataclasses import dataclass

import numpy as np

from engine.parameters import Array
from engine.randomness import generator
from engine.spec import SplitSpec


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


def split_rows(row_count: int, spec: SplitSpec, *, seed: int, strata: Array | None = None) -> Split:
    """Draw the parts at random, each stratum in proportion if `strata` (m,) gives a class for every row.

    The rows are ordered by random words of the seeded generator itself, not by a shuffle whose method may change.
    """
    order = np.argsort(generator(seed, "split").bit_generator.random_raw(row_count), kind="stable")
    groups = [order] if strata is None else [order[strata[order] == stratum] for stratum in np.unique(strata)]
    sizes = np.array([len(group) for group in groups])
    test = _shares(sizes, spec.test)
    validation = _shares(sizes, spec.validation, taken=test)
    parts: dict[str, list[Array]] = {"test": [], "validation": [], "train": []}
    for group, to_test, to_validation in zip(groups, test, validation, strict=True):
        parts["test"].append(group[:to_test])
        parts["validation"].append(group[to_test : to_test + to_validation])
        parts["train"].append(group[to_test + to_validation :])
    return Split(**{name: np.sort(np.concatenate(rows)) for name, rows in parts.items()})


def _shares(sizes: Array, share: float, *, taken: Array | int = 0) -> Array:
    """How many rows of each group make up this share of all, by largest remainder; one row of each is left to train."""
    ideal = sizes * share
    counts = np.minimum(np.floor(ideal), np.maximum(sizes - taken - 1, 0)).astype(np.int64)
    for place in np.argsort(counts - ideal, kind="stable"):
        if counts.sum() >= round(sizes.sum() * share):
            break
        if counts[place] < sizes[place] - (taken[place] if isinstance(taken, np.ndarray) else taken) - 1:
            counts[place] += 1
    return counts
