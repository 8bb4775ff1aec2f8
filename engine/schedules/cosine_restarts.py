"""Cosine with restarts: half waves, one after the other, each so many times as long as the one before."""

from math import floor, log
from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec
from engine.schedules.cosine import half_wave


class CosineRestartsSpec(ScheduleSpec):
    """Half cosine waves from 1 to the end, one after the other, each `factor` times as long as the one before."""

    type: Literal["cosine_restarts"] = "cosine_restarts"
    first: int = Field(10, ge=1, strict=True, description="Epochs of the first wave.")
    factor: int = Field(2, ge=1, le=100, strict=True, description="How much longer each wave is than the one before.")
    end: float = Field(0.0, ge=0, le=1, description="The factor at the end of each wave.")


class CosineRestarts(Schedule):
    """Half cosine waves from 1 to the end, one after the other."""

    spec = CosineRestartsSpec
    formula = "f = end + ½(1 − end)(1 + cos(π·tᵢ/Tᵢ)), Tᵢ = first·factorⁱ"
    source = "Loshchilov & Hutter 2017, SGDR, eq. 5; PyTorch's CosineAnnealingWarmRestarts"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.first, self.longer, self.end = spec.first, spec.factor, spec.end

    def factor(self, t: float, T: float) -> float:
        begun, length = self._wave(t)
        return float(self.end + (1 - self.end) * half_wave((t - begun) / length))

    def _wave(self, t: float) -> tuple[float, float]:
        """Where the wave at t began, and how long it is."""
        if self.longer == 1:
            return t // self.first * self.first, self.first
        grown = t / self.first * (self.longer - 1) + 1
        number = floor(log(grown, self.longer) + 1e-12)
        length = self.first * self.longer**number
        return self.first * (self.longer**number - 1) / (self.longer - 1), length
