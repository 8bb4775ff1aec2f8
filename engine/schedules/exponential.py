"""Exponential: the learning rate falls by the same factor over every epoch."""

from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec


class ExponentialDecaySpec(ScheduleSpec):
    """The learning rate falls by the same factor over every epoch."""

    type: Literal["exponential"] = "exponential"
    gamma: float = Field(0.95, gt=0, le=1, description="The factor over an epoch.")


class ExponentialDecay(Schedule):
    """The learning rate falls by the same factor over every epoch, a little at each step."""

    spec = ExponentialDecaySpec
    formula = "f = γᵗ"
    source = "PyTorch's ExponentialLR, in steps instead of epochs"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.gamma = spec.gamma

    def factor(self, t: float, T: float) -> float:
        return float(self.gamma**t)
