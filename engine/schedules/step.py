"""Step: the learning rate falls by a factor every so many epochs."""

from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec


class StepSpec(ScheduleSpec):
    """The learning rate falls by a factor every so many epochs."""

    type: Literal["step"] = "step"
    every: int = Field(30, ge=1, strict=True, description="Epochs between two falls.")
    gamma: float = Field(0.1, gt=0, le=1, description="The factor of each fall.")


class Step(Schedule):
    """The learning rate falls by a factor every so many epochs."""

    spec = StepSpec
    formula = "f = γ^⌊t/every⌋"
    source = "He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition, §3.4; PyTorch's StepLR"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.every, self.gamma = spec.every, spec.gamma

    def factor(self, t: float, T: float) -> float:
        return float(self.gamma ** (t // self.every))
