"""Metrics of the classes that outputs decide for. A macro average is the plain mean over classes, or over labels."""

import numpy as np

from engine.metrics.judged import Judged
from engine.parameters import Array


def accuracy(rows: Judged) -> float:
    """The share of rows whose class is right; of several labels, of rows right in all of them."""
    return float(rows.truth.mean(rows.right))


def balanced_accuracy(rows: Judged) -> float:
    """The mean of the recalls of the classes that there are rows of; of several labels, the mean over them."""
    truth = rows.truth
    if rows.kind != "multilabel":
        return float(_mean_where(recalls(rows), truth.counts > 0))
    noes, rejected = truth.count(~truth.classes), truth.count(~(truth.classes | rows.predicted))
    both = np.stack([recalls(rows), share(rejected, noes)])
    return float(_mean_where(both, np.stack([truth.counts, noes]) > 0).mean())


def precision(rows: Judged) -> float:
    """The macro average of each class's precision: of the rows taken for it, the share that is; 0 where none is."""
    return _macro(rows, precisions(rows))


def recall(rows: Judged) -> float:
    """The macro average of each class's recall: of its rows, the share taken for it; 0 where it has none."""
    return _macro(rows, recalls(rows))


def f1(rows: Judged) -> float:
    """The macro average of each class's F1, the harmonic mean of its precision and recall."""
    return _macro(rows, f1s(rows))


def precisions(rows: Judged) -> Array:
    """(K,): of each class, or of each label's yes."""
    return share(rows.hits, rows.predictions)


def recalls(rows: Judged) -> Array:
    """(K,): of each class, or of each label's yes."""
    return share(rows.hits, rows.truth.counts)


def f1s(rows: Judged) -> Array:
    """(K,): of each class, or of each label's yes."""
    return share(2 * rows.hits, rows.truth.counts + rows.predictions)


def share(part: Array, whole: Array) -> Array:
    """part/whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _macro(rows: Judged, values: Array) -> float:
    """Over all labels, or over the classes that a row has or is given."""
    if rows.kind == "multilabel":
        return float(values.mean())
    return float(_mean_where(values, rows.truth.counts + rows.predictions > 0))


def _mean_where(values: Array, counted: Array) -> Array:
    """The mean along the first axis of the values that count."""
    return np.asarray((values * counted).sum(axis=0) / counted.sum(axis=0))
