"""Evaluation: how good outputs are in detail: of each class, of each bin of probabilities, in quantiles, row by row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.data.targets import Target
from engine.metrics import Judged, measure
from engine.metrics.classes import f1s, precisions, recalls
from engine.parameters import Array

BINS = 10
QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others; 0/0 is 0."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    """Rows of the class."""


@dataclass(frozen=True)
class Bin:
    """The rows whose probability lies above `low` and up to `high`; the first bin has those at 0 too."""

    low: float
    high: float
    count: int
    mean_predicted: float | None
    """The mean of their probabilities, by the rows' weights."""
    observed: float | None
    """The share for which what the probability is of came true, by the rows' weights."""


@dataclass(frozen=True)
class TargetEvaluation:
    """One target's own metrics and tables. What its kind does not have is None."""

    name: str
    metrics: dict[str, float | None]
    classes: tuple[ClassScore, ...] | None = None
    confusion: list[list[int]] | None = None
    """(K, K): rows of each class, by the class they are taken for."""
    calibration: tuple[Bin, ...] | None = None
    residuals: dict[str, float] | None = None
    """Quantiles of target − output, in the target's own unit."""


def evaluate_targets(rows: Judged, targets: Sequence[Target]) -> list[TargetEvaluation]:
    """The evaluation of each target by itself, over m ≥ 1 rows."""
    return [_evaluate(each, target) for each, target in zip(rows.targets, targets, strict=True)]


def _evaluate(rows: Judged, target: Target) -> TargetEvaluation:
    if rows.kind == "regression":
        return TargetEvaluation(target.name, measure(rows), residuals=residual_quantiles(rows))
    return TargetEvaluation(
        target.name,
        measure(rows),
        classes=class_scores(rows, target.classes),
        confusion=confusion(rows).tolist(),
        calibration=None if rows.scores else calibration(rows),
    )


def class_scores(rows: Judged, names: Sequence[str]) -> tuple[ClassScore, ...]:
    """The classification report of a binary or multiclass target."""
    columns = (precisions(rows), recalls(rows), f1s(rows), confusion(rows).sum(axis=1))
    lists = (column.tolist() for column in columns)
    return tuple(ClassScore(*cells) for cells in zip(names, *lists, strict=True))


def confusion(rows: Judged) -> Array:
    """(K, K): how many rows of each class (down) are taken for each class (across)."""
    count = rows.truth.class_count
    return np.bincount(rows.truth.classes * count + rows.predicted, minlength=count**2).reshape(count, count)


def calibration(rows: Judged) -> tuple[Bin, ...]:
    """Ten bins of equal width: of two classes the second's probability, of more that of the class decided for.

    Source: Murphy & Winkler 1977, the reliability diagram; bounds as in scikit-learn's calibration_curve.
    """
    if rows.kind == "binary":
        p, came_true = rows.probabilities_of(np.ones(len(rows.A), np.intp)), rows.truth.classes == 1
    else:
        p, came_true = rows.probabilities_of(rows.predicted), rows.right
    bounds = np.linspace(0, 1, BINS + 1)
    places = np.searchsorted(bounds[1:-1], p)
    each = rows.truth.row_weights
    counts = np.bincount(places, minlength=BINS)
    weights, sums, hits = (np.bincount(places, values, minlength=BINS) for values in (each, p * each, came_true * each))
    return tuple(
        Bin(
            low=float(low),
            high=float(high),
            count=int(count),
            mean_predicted=float(total / weight) if weight else None,
            observed=float(hit / weight) if weight else None,
        )
        for low, high, count, weight, total, hit in zip(
            bounds[:-1], bounds[1:], counts, weights, sums, hits, strict=True
        )
    )


def residual_quantiles(rows: Judged) -> dict[str, float]:
    """Quantiles of Y − A of one target, in its own unit: linear between rows, of weighted rows one of theirs."""
    residuals = rows.truth.in_own_units(-rows.errors.astype(np.float64))[:, 0]
    shares, weights = list(QUANTILES.values()), rows.truth.weights
    if weights is None:
        found = np.quantile(residuals, shares)
    else:
        found = np.quantile(residuals, shares, weights=rows.truth.row_weights, method="inverted_cdf")
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def worst(losses: Array, count: int) -> Array:
    """The places of the rows with the largest losses (m,), the largest first, one that is no number before all."""
    return np.argsort(-np.where(np.isnan(losses), np.inf, losses), kind="stable")[:count]
