"""Constant: the learning rate stays."""

from typing import Literal

from engine.schedules.base import Schedule, ScheduleSpec


class ConstantSpec(ScheduleSpec):
    """The learning rate stays."""

    type: Literal["constant"] = "constant"


class Constant(Schedule):
    """The learning rate stays."""

    spec = ConstantSpec
    formula = "f = 1"
    source = "Robbins & Monro 1951 without their decay"

    def factor(self, t: float, T: float) -> float:
        return 1.0
