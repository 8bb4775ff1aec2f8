"""Multi-step: the learning rate falls by a factor at given epochs."""

from bisect import bisect_right
from typing import Annotated, Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec

Milestone = Annotated[int, Field(ge=1, strict=True)]


class MultiStepSpec(ScheduleSpec):
    """The learning rate falls by a factor at given epochs."""

    type: Literal["multi_step"] = "multi_step"
    milestones: tuple[Milestone, ...] = Field(min_length=1, max_length=1000, description="The epochs of the falls.")
    gamma: float = Field(0.1, gt=0, le=1, description="The factor of each fall.")


class MultiStep(Schedule):
    """The learning rate falls by a factor at given epochs."""

    spec = MultiStepSpec
    formula = "f = γ^(milestones ≤ t)"
    source = "He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition, §4.2; PyTorch's MultiStepLR"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.milestones, self.gamma = sorted(spec.milestones), spec.gamma

    def factor(self, t: float, T: float) -> float:
        return float(self.gamma ** bisect_right(self.milestones, t))
