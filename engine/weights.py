"""Example weights: how much each row counts in losses, gradients and metrics. A mean is then Σwl/Σw."""

from math import inf

import numpy as np

from engine.errors import DataError
from engine.parameters import Array


def check_weights(place: str, weights: Array | None, m: int) -> None:
    """Raise DataError for weights that don't belong to m rows or can't be averaged with."""
    if weights is None:
        return
    if weights.shape != (m,):
        raise DataError(place, f"expected one for each row, shape {[m]}, got {list(weights.shape)}", code="wrong_shape")
    wrong = np.flatnonzero(~((weights >= 0) & (weights < inf)))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"{place}[{row}]", f"expected a finite number from 0 on, got {weights[row]:g}")
    if not weights.any():
        raise DataError(place, "expected at least one above 0, got none")


def relative_weights(weights: Array, batch_size: int) -> Array:
    """Weights (m,) that average 1 over every batch, so that the mean of weighted losses is Σwl/Σw.

    In a batch whose weights are all 0 they stay so.
    """
    starts = np.arange(0, len(weights), batch_size)
    counts = np.diff(starts, append=len(weights))
    totals = np.add.reduceat(weights, starts, dtype=np.float64)
    factors = np.divide(counts, totals, out=np.zeros(len(starts)), where=totals > 0)
    relative: Array = weights * np.repeat(factors, counts)
    return relative
