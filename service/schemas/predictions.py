"""Predictions. The bodies are written down here for the documentation; the hot route reads and writes raw JSON."""

from typing import Annotated, Any

from pydantic import Field

from service.schemas.base import Body, Request, example


class PredictRequest(Request):
    """Rows to predict, each an object by column name or an array in the order of the run's features."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"rows": [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]}]
        }
    }

    rows: Annotated[list[dict[str, Any] | list[Any]], Field(min_length=1)]
    checkpoint: Annotated[str | None, Field(description="best (default), last, epoch:3 or checkpoint:ckpt_…")] = None
    at: Annotated[str | None, Field(description="Another word for `checkpoint`.")] = None


class PredictionBody(Body):
    """Of a classification `label` and `probabilities`, of a regression `value`, of several targets `targets`.

    Behind a loss that teaches scores, such as hinge, `probabilities` is null and `scores` says how each class did.
    """

    label: str | None = None
    probabilities: dict[str, float] | None = None
    scores: dict[str, float] | None = None
    value: float | None = None
    targets: dict[str, Any] | None = None


class PredictionsBody(Body):
    """One prediction for each row, in order."""

    model_config = example(
        {
            "predictions": [
                {"label": "setosa", "probabilities": {"setosa": 0.98, "versicolor": 0.02, "virginica": 0.0}}
            ],
            "checkpoint": "ckpt_0193d2f4d2b19f86d081884c7d65",
            "warnings": [],
        }
    )

    predictions: list[PredictionBody]
    checkpoint: str
    warnings: list[str]
