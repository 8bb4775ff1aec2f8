"""Cosine: the learning rate falls to its end along half a wave."""

from math import cos, pi
from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec


class CosineSpec(ScheduleSpec):
    """The learning rate falls to its end along half a cosine wave."""

    type: Literal["cosine"] = "cosine"
    end: float = Field(0.0, ge=0, le=1, description="The factor at the end.")


class Cosine(Schedule):
    """The learning rate falls to its end along half a cosine wave."""

    spec = CosineSpec
    formula = "f = end + ½(1 − end)(1 + cos(π·t/T))"
    source = "Loshchilov & Hutter 2017, SGDR, eq. 5 without restarts; PyTorch's CosineAnnealingLR"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.end = spec.end

    def factor(self, t: float, T: float) -> float:
        return float(self.end + (1 - self.end) * half_wave(t / T if T else 1.0))


def half_wave(share: float) -> float:
    """From 1 at 0 down to 0 at 1 and beyond, along half a cosine wave."""
    return 0.5 * (1 + cos(pi * min(share, 1.0)))
