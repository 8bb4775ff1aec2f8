"""Metrics: how good outputs are, in words people use. Each is scikit-learn's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.metrics.classes import accuracy, balanced_accuracy, f1, precision, recall
from engine.metrics.judged import Judged, Kind, Truth
from engine.metrics.numbers import (
    explained_variance,
    mean_absolute_error,
    median_absolute_error,
    r2,
    root_mean_squared_error,
)
from engine.metrics.probabilities import brier, log_loss, roc_auc

Task = Literal["classification", "regression"]
Part = Literal["train", "validation"]


@dataclass(frozen=True)
class Metric:
    """One metric, of rows whose targets are known."""

    measure: Callable[[Judged], float | None]
    """None where it is not defined."""
    task: Task
    formula: str
    source: str
    rises: bool
    """Whether more is better."""
    each_epoch: tuple[Part, ...] = ()
    """Of which parts it is measured at each epoch's end; the others at a run's end alone."""


BOTH: tuple[Part, ...] = ("train", "validation")
_YES_OR_NO = "with several labels, the mean over them"

METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        accuracy,
        "classification",
        "share of rows whose class is right",
        "scikit-learn's accuracy_score",
        rises=True,
        each_epoch=BOTH,
    ),
    "balanced_accuracy": Metric(
        balanced_accuracy,
        "classification",
        "mean over the classes of recall",
        f"scikit-learn's balanced_accuracy_score; {_YES_OR_NO}",
        rises=True,
        each_epoch=("validation",),
    ),
    "f1": Metric(
        f1,
        "classification",
        "mean over the classes of 2·hits/(rows of the class + rows taken for it)",
        'scikit-learn\'s f1_score with average="macro", zero_division=0',
        rises=True,
        each_epoch=("validation",),
    ),
    "precision": Metric(
        precision,
        "classification",
        "mean over the classes of hits/rows taken for the class",
        'scikit-learn\'s precision_score with average="macro", zero_division=0',
        rises=True,
    ),
    "recall": Metric(
        recall,
        "classification",
        "mean over the classes of hits/rows of the class",
        'scikit-learn\'s recall_score with average="macro", zero_division=0',
        rises=True,
    ),
    "roc_auc": Metric(
        roc_auc,
        "classification",
        "P(A of a row of the class > A of another) + ½ P(=)",
        'scikit-learn\'s roc_auc_score with average="macro", multi_class="ovr"; Mann & Whitney 1947',
        rises=True,
    ),
    "log_loss": Metric(
        log_loss,
        "classification",
        "mean of −log p, p of the right class, clipped to [ε, 1 − ε] of the dtype",
        f"scikit-learn's log_loss; {_YES_OR_NO}",
        rises=False,
    ),
    "brier": Metric(
        brier,
        "classification",
        "mean of (p − y)² of the second of two classes; of more classes, mean of Σ_k (p_k − y_k)², without ½",
        f'scikit-learn\'s brier_score_loss with scale_by_half="auto"; {_YES_OR_NO}; Brier 1950',
        rises=False,
    ),
    "mae": Metric(
        mean_absolute_error,
        "regression",
        "mean |A − Y| in the target's unit",
        "scikit-learn's mean_absolute_error",
        rises=False,
        each_epoch=BOTH,
    ),
    "rmse": Metric(
        root_mean_squared_error,
        "regression",
        "√(mean (A − Y)²) in the target's unit",
        "scikit-learn's root_mean_squared_error",
        rises=False,
        each_epoch=BOTH,
    ),
    "r2": Metric(r2, "regression", "1 − Σ(A − Y)²/Σ(Y − Ȳ)²", "scikit-learn's r2_score", rises=True, each_epoch=BOTH),
    "explained_variance": Metric(
        explained_variance,
        "regression",
        "1 − Var(A − Y)/Var(Y)",
        "scikit-learn's explained_variance_score",
        rises=True,
    ),
    "median_absolute_error": Metric(
        median_absolute_error,
        "regression",
        "median |A − Y| in the target's unit",
        "scikit-learn's median_absolute_error",
        rises=False,
    ),
}


def measure(rows: Judged, *, each_epoch: Part | None = None) -> dict[str, float | None]:
    """Every metric of the rows' task, by name; with `each_epoch` those measured of that part at each epoch's end."""
    names = names_of("regression" if rows.kind == "regression" else "classification", each_epoch=each_epoch)
    return {name: METRICS[name].measure(rows) for name in names}


def names_of(task: Task, *, each_epoch: Part | None = None) -> list[str]:
    """The names of those metrics."""
    return [
        name
        for name, metric in METRICS.items()
        if metric.task == task and (each_epoch is None or each_epoch in metric.each_epoch)
    ]


def rises(monitor: str) -> bool:
    """Whether more is better for a monitored number such as `validation.loss`."""
    metric = METRICS.get(monitor.split(".")[1])
    return metric is not None and metric.rises


__all__ = ["METRICS", "Judged", "Kind", "Metric", "Part", "Task", "Truth", "measure", "names_of", "rises"]
