"""Polynomial: the learning rate falls to its end along a power of the time that is left."""

from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec


class PolynomialSpec(ScheduleSpec):
    """The learning rate falls to its end along a power of the time that is left; power 1 is a line."""

    type: Literal["polynomial"] = "polynomial"
    power: float = Field(1.0, gt=0, le=100)
    end: float = Field(0.0, ge=0, le=1, description="The factor at the end.")


class Polynomial(Schedule):
    """The learning rate falls to its end along a power of the time that is left."""

    spec = PolynomialSpec
    formula = "f = end + (1 − end)·(1 − t/T)^power"
    source = "Chen, Papandreou, Kokkinos, Murphy & Yuille 2017, DeepLab, §4.1; PyTorch's PolynomialLR"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.power, self.end = spec.power, spec.end

    def factor(self, t: float, T: float) -> float:
        left = 1 - min(t / T, 1.0) if T else 0.0
        return float(self.end + (1 - self.end) * left**self.power)
