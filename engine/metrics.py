"""Metrics: how good outputs are, in words people use. Each is scikit-learn's of the same name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.parameters import Array


def accuracy(A: Array, Y: Array, scale: Array) -> float:
    """The share of rows whose class is right; with several yes-or-no outputs, of rows right in all of them.

    Mutually exclusive classes (rows of Y sum to 1 over two or more outputs) go by the largest output, others by ½.
    """
    if Y.shape[1] > 1 and bool((Y.sum(axis=1) == 1).all()):
        right = A.argmax(axis=1) == Y.argmax(axis=1)
    else:
        right = ((A >= 0.5) == (Y >= 0.5)).all(axis=1)
    return float(right.mean())


def mean_absolute_error(A: Array, Y: Array, scale: Array) -> float:
    """The mean of |A − Y| in the targets' own units, over rows and outputs."""
    return float((np.abs(A - Y).mean(axis=0, dtype=np.float64) * scale).mean())


def r2(A: Array, Y: Array, scale: Array) -> float | None:
    """1 − Σ(A − Y)²/Σ(Y − Ȳ)², averaged over the outputs; undefined (None) where a target does not vary."""
    residual = np.square(A - Y, dtype=np.float64).sum(axis=0)
    total = np.square(Y - Y.mean(axis=0, dtype=np.float64)).sum(axis=0)
    return None if (total == 0).any() else float((1 - residual / total).mean())


@dataclass(frozen=True)
class Metric:
    """One metric of rows A, Y (m, n_out) and the size of each target's unit (n_out,)."""

    measure: Callable[[Array, Array, Array], float | None]
    task: Literal["classification", "regression"]
    formula: str
    rises: bool
    """Whether more is better."""


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, "classification", "share of rows whose class is right", rises=True),
    "mae": Metric(mean_absolute_error, "regression", "mean |A − Y| in the target's unit", rises=False),
    "r2": Metric(r2, "regression", "1 − Σ(A − Y)²/Σ(Y − Ȳ)²", rises=True),
}


def measure(task: str, A: Array, Y: Array, scale: Array) -> dict[str, float | None]:
    """Every metric of the task, by name."""
    return {name: metric.measure(A, Y, scale) for name, metric in METRICS.items() if metric.task == task}


def rises(monitor: str) -> bool:
    """Whether more is better for a monitored number such as `validation.loss`."""
    metric = METRICS.get(monitor.split(".")[1])
    return metric is not None and metric.rises
