"""One cycle: the learning rate rises to its peak along half a wave, then falls far below its start."""

from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Schedule, ScheduleSpec
from engine.schedules.cosine import half_wave


class OneCycleSpec(ScheduleSpec):
    """The learning rate rises to its peak, then falls far below where it began; the optimizer's rate is the peak."""

    type: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(0.3, gt=0, lt=1, description="The share of the training that rises.")
    start_divisor: float = Field(25.0, ge=1, description="The first factor is 1 by this.")
    end_divisor: float = Field(1e4, ge=1, description="The last factor is the first one by this.")


class OneCycle(Schedule):
    """The learning rate rises to its peak along half a cosine wave, then falls along another."""

    spec = OneCycleSpec
    formula = "f from 1/start to 1 over rise·T, then to 1/(start·end), each along half a cosine wave"
    source = "Smith & Topin 2019, Super-convergence; PyTorch's OneCycleLR without its cycled momentum"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.rise = spec.rise
        self.first = 1 / spec.start_divisor
        self.last = self.first / spec.end_divisor

    def factor(self, t: float, T: float) -> float:
        share = min(t / T, 1.0) if T else 1.0
        if share < self.rise:
            return float(1 + (self.first - 1) * half_wave(share / self.rise))
        return float(self.last + (1 - self.last) * half_wave((share - self.rise) / (1 - self.rise)))
