"""Reduce on plateau: the learning rate falls when the monitored number no longer improves."""

from typing import Any, Literal

from engine.options import Field
from engine.schedules.base import Plateau, Schedule, ScheduleSpec


class ReduceOnPlateauSpec(ScheduleSpec):
    """The learning rate falls by a factor when the monitored number has not improved for `patience` epochs."""

    type: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    gamma: float = Field(0.1, gt=0, lt=1, description="The factor of each fall.")
    patience: int = Field(10, ge=1, strict=True, description="Epochs without improvement before a fall.")
    min_delta: float = Field(1e-4, ge=0, description="What counts as improvement.")
    end: float = Field(0.0, ge=0, le=1, description="The factor never falls below this.")


class ReduceOnPlateau(Schedule):
    """The learning rate falls by a factor when the number that decides which parameters are best stays on a plateau."""

    spec = ReduceOnPlateauSpec
    formula = "f ← max(γ·f, end) after `patience` epochs without improvement"
    source = "PyTorch's ReduceLROnPlateau and Keras's callback of that name"

    def __init__(self, spec: Any) -> None:
        super().__init__(spec)
        self.gamma, self.patience, self.min_delta, self.end = spec.gamma, spec.patience, spec.min_delta, spec.end

    def factor(self, t: float, T: float) -> float:
        return 1.0

    def note(self, plateau: Plateau, value: float) -> None:
        plateau.stale_epochs += 1
        if plateau.best is None or plateau.best - value > self.min_delta:
            plateau.best, plateau.stale_epochs = value, 0
        elif plateau.stale_epochs >= self.patience:
            plateau.falls, plateau.stale_epochs = plateau.falls + 1, 0

    def fallen(self, plateau: Plateau) -> float:
        return float(max(self.gamma**plateau.falls, self.end))
