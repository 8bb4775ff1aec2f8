"""Evaluations."""

from typing import Literal

from service.schemas.base import Body, example

Metrics = dict[str, float | None]


class ClassBody(Body):
    """How well one class is told from the others; 0/0 is 0."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    """Rows of the class."""


class BinBody(Body):
    """The rows whose probability lies above `low` and up to `high`; the first bin has those at 0 too."""

    low: float
    high: float
    count: int
    mean_predicted: float | None
    """The mean of their probabilities; null without rows."""
    observed: float | None
    """The share for which what the probability is of came true; null without rows."""


class TargetBody(Body):
    """One target's own metrics and tables; what its kind does not have is null."""

    name: str
    metrics: Metrics
    classes: list[ClassBody] | None
    """In the order of rows and columns of `confusion`."""
    confusion: list[list[int]] | None
    """How many rows of each class (down) are taken for each class (across)."""
    calibration: list[BinBody] | None
    """Of two classes the second's probability, of more that of the class decided for."""
    residuals: Metrics | None
    """Quantiles of target − prediction in the target's own unit: `min`, `q05`, `q25`, `q50`, `q75`, `q95`, `max`."""


class SaidBody(Body):
    """A class with what the network gives it, a `probability` or behind hinge losses a `score`; or a `value`.

    Of several targets, `targets` has one for each by name.
    """

    label: str | None = None
    probability: float | None = None
    score: float | None = None
    value: float | None = None
    targets: "dict[str, SaidBody] | None" = None


class WorstBody(Body):
    """A row with a large loss."""

    row: int
    """Its number in the dataset, as `dataset_rows.numbers` of an inspection takes it."""
    loss: float | None
    """As the network is trained with: a regression's in units of the standardised target, without any penalty."""
    true: SaidBody
    predicted: SaidBody


class EvaluationBody(Body):
    """How good a run's network is on a part of its dataset at a stored moment."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "checkpoint": "ckpt_0193d2f4d2b19f86d081884c7d65",
            "epoch": 12,
            "part": "test",
            "rows": 22,
            "metrics": {"loss": 0.12, "accuracy": 0.95, "f1": 0.94, "roc_auc": 0.99},
            "targets": [
                {
                    "name": "species",
                    "metrics": {"accuracy": 0.95, "f1": 0.94, "roc_auc": 0.99},
                    "classes": [{"name": "setosa", "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 7}],
                    "confusion": [[7]],
                    "calibration": [{"low": 0.9, "high": 1.0, "count": 7, "mean_predicted": 0.98, "observed": 1.0}],
                    "residuals": None,
                }
            ],
            "worst": [
                {
                    "row": 106,
                    "loss": 1.9,
                    "true": {"label": "virginica", "probability": 0.15},
                    "predicted": {"label": "versicolor", "probability": 0.84},
                }
            ],
        }
    )

    run: str
    checkpoint: str
    epoch: int
    part: Literal["train", "validation", "test"]
    rows: int
    metrics: Metrics
    """The loss, and every metric of the task over all targets."""
    targets: list[TargetBody]
    worst: list[WorstBody]
    """The rows with the largest losses, the largest first."""
