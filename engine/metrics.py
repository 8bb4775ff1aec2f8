"""Metrics: how good outputs are, in words people use. Each is scikit-learn's of the same name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.parameters import Array


@dataclass(frozen=True)
class Judged:
    """Rows to be judged."""

    A: Array
    """(m, n_out): the outputs."""
    Y: Array
    """(m, n_out): the targets."""
    scale: Array
    """(n_out,): what one unit of Y is in the target's own unit."""
    weights: Array | None = None
    """(m,): how much each row counts; None where all count alike."""
    scores: bool = False
    """Whether the outputs are scores, of which the sign decides, instead of probabilities."""

    def mean(self, values: Array) -> Array:
        """The mean over the rows, in float64."""
        if self.weights is None:
            return np.asarray(values.mean(axis=0, dtype=np.float64))
        return np.asarray(np.average(values, axis=0, weights=self.weights.astype(np.float64)))


def accuracy(rows: Judged) -> float:
    """The share of rows whose class is right; with several yes-or-no outputs, of rows right in all of them.

    Mutually exclusive classes (rows of Y sum to 1 over two or more outputs) go by the largest output, others by ½, or
    where outputs are scores by their sign.
    """
    A, Y = rows.A, rows.Y
    if Y.shape[1] > 1 and bool((Y.sum(axis=1) == 1).all()):
        right = A.argmax(axis=1) == Y.argmax(axis=1)
    else:
        yes = A > 0 if rows.scores else A >= 0.5
        right = (yes == (Y >= 0.5)).all(axis=1)
    return float(rows.mean(right))


def mean_absolute_error(rows: Judged) -> float:
    """The mean of |A − Y| in the targets' own units, over rows and outputs."""
    return float((rows.mean(np.abs(rows.A - rows.Y)) * rows.scale).mean())


def r2(rows: Judged) -> float | None:
    """1 − Σ(A − Y)²/Σ(Y − Ȳ)², averaged over the outputs; undefined (None) where a target does not vary."""
    residual = rows.mean(np.square(rows.A - rows.Y, dtype=np.float64))
    total = rows.mean(np.square(rows.Y - rows.mean(rows.Y)))
    return None if (total == 0).any() else float((1 - residual / total).mean())


@dataclass(frozen=True)
class Metric:
    """One metric, of rows whose targets are known."""

    measure: Callable[[Judged], float | None]
    task: Literal["classification", "regression"]
    formula: str
    rises: bool
    """Whether more is better."""


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "classification", "share of rows whose class is right", rises=True),
    "mae": Metric(mean_absolute_error, "regression", "mean |A − Y| in the target's unit", rises=False),
    "r2": Metric(r2, "regression", "1 − Σ(A − Y)²/Σ(Y − Ȳ)²", rises=True),
}


def measure(
    task: str, A: Array, Y: Array, scale: Array, *, weights: Array | None = None, scores: bool = False
) -> dict[str, float | None]:
    """Every metric of the task, by name."""
    rows = Judged(A, Y, scale, weights, scores)
    return {name: metric.measure(rows) for name, metric in METRICS.items() if metric.task == task}


def rises(monitor: str) -> bool:
    """Whether more is better for a monitored number such as `validation.loss`."""
    metric = METRICS.get(monitor.split(".")[1])
    return metric is not None and metric.rises
