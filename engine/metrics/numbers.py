"""Metrics of numbers: the mean over the targets of each target's own, those with a unit in that target's unit."""

import numpy as np

from engine.metrics.judged import Judged
from engine.parameters import Array


def mean_absolute_error(rows: Judged) -> float:
    """The mean of |A − Y|."""
    return float(rows.truth.in_own_units(rows.truth.mean(np.abs(rows.errors))).mean())


def root_mean_squared_error(rows: Judged) -> float:
    """√ of the mean of (A − Y)²."""
    return float(rows.truth.in_own_units(np.sqrt(rows.mean_squared_errors)).mean())


def r2(rows: Judged) -> float | None:
    """1 − Σ(A − Y)²/Σ(Y − Ȳ)²; undefined (None) where a target does not vary."""
    return _explained(rows.mean_squared_errors, rows.truth.variances)


def explained_variance(rows: Judged) -> float | None:
    """1 − Var(A − Y)/Var(Y), which does not mind that all are off by the same; None where a target does not vary."""
    centred = rows.errors - rows.truth.mean(rows.errors)
    return _explained(rows.truth.mean(np.square(centred, dtype=np.float64)), rows.truth.variances)


def median_absolute_error(rows: Judged) -> float:
    """The median of |A − Y|, of the rows by their weights."""
    distances = np.abs(rows.errors).astype(np.float64)
    if rows.truth.weights is None:
        medians = np.median(distances, axis=0)
    else:
        medians = np.array([_weighted_median(column, rows.truth.row_weights) for column in distances.T])
    return float(rows.truth.in_own_units(medians).mean())


def _explained(left: Array, variances: Array) -> float | None:
    return None if (variances == 0).any() else float((1 - left / variances).mean())


def _weighted_median(values: Array, weights: Array) -> float:
    """Where half the weight is reached; midway to the next value where it is reached exactly."""
    counted = weights > 0
    values, weights = values[counted], weights[counted]
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    half = reached[-1] / 2
    place = int(np.searchsorted(reached, half))
    after = min(place + (reached[place] - half <= np.finfo(np.float64).eps), len(values) - 1)
    return float((values[order[place]] + values[order[after]]) / 2)
