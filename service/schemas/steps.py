"""Steps of a training."""

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field

from service.schemas.base import Body, example
from service.schemas.inspections import Convention, InspectedTensor, Orientation, ReplayBody

if TYPE_CHECKING:
    from service.domain.steps import StepView

EXAMPLE: dict[str, Any] = {
    "run": "run_0193d2f4c1a09f86d081884c7d65",
    "number": 96,
    "epoch": 3,
    "step": 32,
    "row_numbers": [17, 4, 88],
    "loss": 0.4127,
    "learning_rate": 0.01,
    "gradient_norm": 0.21,
    "is_update": True,
    "digest_before": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "digest_after": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    "replay": {
        "status": "exact",
        "start": {"checkpoint": "ckpt_0193d2f4d2b19f86d081884c7d65", "moment": 64},
        "steps": 32,
        "proved_at": 96,
        "seconds": 0.02,
    },
    "convention": "per_example",
    "orientation": "rows",
    "units": "the loss is in nats",
    "parameters": [
        {"name": "W.1", "norm": 2.1, "gradient_norm": 0.031, "update_norm": 0.0021, "update_ratio": 0.001},
    ],
    "boundaries": [{"name": "A.0", "norm": 3.2, "derivative_norm": 0.011, "zero_share": 0.0}],
    "tensors": {"dW.1": {"shape": [5, 4], "norm": 0.031, "non_finite": 0}},
    "names": ["A.0", "Z.1", "dW.1", "update.W.1"],
    "first": 1,
    "last": 400,
    "steps_per_epoch": 32,
}


class ParameterChangeBody(Body):
    """What a step did to a parameter, in Euclidean norms; null where one is not finite."""

    name: str
    norm: float | None
    """Before the update."""
    gradient_norm: float | None
    """Of the batch's mean loss, before penalty and clipping."""
    update_norm: float | None
    update_ratio: float | None
    """The update's norm in units of the parameter's."""


class BoundaryBody(Body):
    """What stood between two layers."""

    name: str
    norm: float | None
    derivative_norm: float | None
    """Of the derivative of the batch's mean loss."""
    zero_share: float
    """Of its numbers those that are exactly 0."""


class StepBody(Body):
    """A step of a training: what it saw, and what it did."""

    model_config = example(EXAMPLE)

    run: str
    number: int
    """Counted from 1 over the whole training. It leads from the moment before, `at` number − 1, to `at` number."""
    epoch: int
    """Counted from 1."""
    step: int
    """Counted from 1 within the epoch."""
    row_numbers: list[int]
    """The batch: which rows of the dataset, in its order."""
    loss: float | None
    """The batch's mean loss before the update, without any penalty."""
    learning_rate: float
    gradient_norm: float | None
    """Of the batch's mean loss, before penalty and clipping."""
    is_update: bool
    """False where gradients of more batches are awaited, or were not finite."""
    digest_before: str
    digest_after: str
    """SHA-256 of the parameters before and after."""
    replay: ReplayBody
    convention: Convention
    orientation: Orientation
    units: str
    parameters: list[ParameterChangeBody]
    boundaries: list[BoundaryBody]
    tensors: dict[str, InspectedTensor]
    names: Annotated[list[str], Field(description="Every tensor that can be asked for.")]
    first: int
    """The run's first step."""
    last: int
    """The last step done so far."""
    steps_per_epoch: int

    @classmethod
    def of(cls, view: "StepView", **asked: Any) -> Self:
        """The step as JSON."""
        seen, course = view.seen, view.course
        step = seen.step
        return cls(
            run=course.run_id,
            number=step.number,
            epoch=step.epoch,
            step=step.step,
            row_numbers=seen.row_numbers.tolist(),
            loss=_finite(step.loss),
            learning_rate=step.learning_rate,
            gradient_norm=_finite(step.gradient_norm),
            is_update=step.is_update,
            digest_before=step.digest_before,
            digest_after=step.digest_after,
            replay=ReplayBody.model_validate(view.replay),
            parameters=[ParameterChangeBody(**_all_finite(vars(each))) for each in seen.parameters],
            boundaries=[BoundaryBody(**_all_finite(vars(each))) for each in seen.boundaries],
            names=list(seen.names),
            first=course.begun + 1,
            last=course.furthest_step,
            steps_per_epoch=course.steps_per_epoch,
            **asked,
        )


def _all_finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _finite(value) if isinstance(value, float) else value for name, value in values.items()}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
