"""Metrics of how sure outputs are: of their order, and of probabilities as such."""

import numpy as np

from engine.metrics.judged import Judged
from engine.parameters import Array

BLOCK_ROWS = 4096


def roc_auc(rows: Judged) -> float | None:
    """The chance that a row of a class has a higher output for it than a row of another class, ties counting half.

    Of several classes, each against the rest, and of several labels the mean. Undefined (None) where a class has no
    row or all.
    """
    if rows.kind == "multilabel":
        return _mean([roc_auc(target) for target in rows.targets])
    classes, weights = rows.truth.classes, rows.truth.row_weights
    if rows.kind == "binary":
        return _area(rows.A[:, -1], classes == 1, weights)
    return _mean([_area(outputs, classes == place, weights) for place, outputs in enumerate(rows.A.T)])


def _area(outputs: Array, is_one: Array, weights: Array) -> float | None:
    """The Mann–Whitney statistic over the number of pairs: Σ₁ w·(Σ w of zeros below + ½ Σ w of zeros as high)."""
    order = np.argsort(outputs)
    ordered = outputs[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ones = np.add.reduceat(np.where(is_one, weights, 0.0)[order], firsts)
    zeros = np.add.reduceat(np.where(is_one, 0.0, weights)[order], firsts)
    pairs = ones.sum() * zeros.sum()
    return float(ones @ (np.cumsum(zeros) - zeros / 2) / pairs) if pairs > 0 else None


def log_loss(rows: Judged) -> float | None:
    """The mean of −log p, p the probability given to the right class; of several labels, the mean over them.

    p is kept from 0 and 1 by the machine epsilon of the outputs' dtype. Undefined (None) for scores.
    """
    if rows.scores:
        return None
    if rows.kind == "multilabel":
        return _mean([log_loss(target) for target in rows.targets])
    p = rows.probabilities_of(rows.truth.classes)
    epsilon = float(np.finfo(rows.A.dtype).eps)
    return float(rows.truth.mean(-np.log(np.clip(p, epsilon, 1 - epsilon))))


def brier(rows: Judged) -> float | None:
    """The mean squared distance of probabilities to what is: of two classes of the second's alone, of more their sum.

    Of several labels, the mean over them. Undefined (None) for scores.
    """
    if rows.scores:
        return None
    if rows.kind == "multilabel":
        return _mean([brier(target) for target in rows.targets])
    if rows.kind == "binary":
        return float(rows.truth.mean(np.square(1 - rows.probabilities_of(rows.truth.classes))))
    return float(rows.truth.mean(_squared_distances(rows)))


def _squared_distances(rows: Judged) -> Array:
    """Σ_k (p_k − y_k)² of each row (m,), some rows at a time, as float64 takes twice the memory of the outputs."""
    found = np.empty(len(rows.A))
    for start in range(0, len(rows.A), BLOCK_ROWS):
        some = slice(start, start + BLOCK_ROWS)
        differences = rows.A[some] / rows.sums[some, np.newaxis]
        differences[np.arange(len(differences)), rows.truth.classes[some]] -= 1
        np.einsum("ij,ij->i", differences, differences, out=found[some])
    return found


def _mean(values: list[float | None]) -> float | None:
    """None if one is."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None
