"""Associations: how much one column tells of another, from 0 to 1."""

import numpy as np

from engine.parameters import Array

ROUNDING = 1e-14
"""Beside its largest number, what a column spreads no further than does not vary."""


def pearson(x: Array, y: Array) -> float | None:
    """|r| of two columns of numbers (m,), by Pearson; None where one does not vary."""
    X, Y = _centred(x), _centred(y)
    return _share(np.sqrt(X @ X) * np.sqrt(Y @ Y), abs(float(X @ Y)))


def correlation_ratio(x: Array, groups: Array) -> float | None:
    """η: the root of the share of the variance of x (m,) that lies between the groups (m,), whole numbers from 0.

    Pearson, "On the general theory of skew correlation", 1905. For two groups it is |r| with either's indicator. None
    where x does not vary, or all is in one group.
    """
    X = _centred(x)
    counts = np.bincount(groups)
    used = counts > 0
    if used.sum() < 2:
        return None
    sums = np.bincount(groups, weights=X)[used]
    found = _share(float(X @ X), float((sums * sums / counts[used]).sum()))
    return None if found is None else float(np.sqrt(found))


def cramers_v(groups: Array, others: Array) -> float | None:
    """V of two groupings (m,), whole numbers from 0: 1 where one decides the other. None where one is all alike.

    Cramér, "Mathematical Methods of Statistics", 1946, §21.9: √(χ²/(m·(k − 1))), k the smaller number of groups. Pairs
    of groups are counted only where they occur.
    """
    width = int(others.max(initial=0)) + 1
    pairs, counts = np.unique(groups * width + others, return_counts=True)
    of_groups, of_others = np.bincount(groups), np.bincount(others)
    smaller = min(int((of_groups > 0).sum()), int((of_others > 0).sum()))
    if smaller < 2:
        return None
    expected = of_groups[pairs // width].astype(np.float64) * of_others[pairs % width]
    spread = float((counts * (counts / expected)).sum()) - 1  # χ²/m
    return float(np.sqrt(np.clip(spread / (smaller - 1), 0.0, 1.0)))


def _centred(x: Array) -> Array:
    """x about its mean, divided by its largest number first, so that no square overflows;
    0 where only rounding varies.
    """
    peak = max(float(x.max(initial=0.0)), -float(x.min(initial=0.0)))
    scaled: Array = x / (peak or 1.0)
    scaled -= scaled.mean() if scaled.size else 0.0
    return scaled if scaled @ scaled > len(x) * ROUNDING**2 else np.zeros_like(scaled)


def _share(whole: float, part: float) -> float | None:
    return min(1.0, part / whole) if whole > 0 else None
