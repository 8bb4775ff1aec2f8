"""What every schedule is: the learning rate's factor as a function of how far the training is."""

from dataclasses import dataclass
from typing import Any, ClassVar

from engine.options import Choice, Field


class ScheduleSpec(Choice):
    """What every schedule has: a warm-up in front of it (Goyal et al. 2017, §2.2)."""

    warmup_epochs: float = Field(0.0, ge=0, le=1e6, description="So long the factor rises in a line to 1.")
    warmup_start: float = Field(0.0, ge=0, le=1, description="The factor it rises from.")


@dataclass
class Plateau:
    """What a training remembers of its monitored number for a schedule that goes by it."""

    best: float | None = None
    """The best so far, less being better."""
    stale_epochs: int = 0
    """Epochs since then."""
    falls: int = 0
    """How often the learning rate has fallen."""


class Schedule:
    """A learning rate's course, by the position in the training and, for some, what happened on a plateau.

    Positions are in epochs from the training's start, fractions included: step 5 of 20 in the third epoch is at 2.25.
    """

    spec: ClassVar[type[ScheduleSpec]]
    formula: ClassVar[str]
    """Of the factor f at t of T epochs, behind the warm-up."""
    source: ClassVar[str]

    def __init__(self, spec: Any) -> None:
        self.warmup_epochs: float = spec.warmup_epochs
        self.warmup_start: float = spec.warmup_start

    def note(self, plateau: Plateau, value: float) -> None:
        """An epoch ended with this monitored number, less being better: change `plateau` accordingly."""

    def fallen(self, plateau: Plateau) -> float:
        """What the plateaus so far have made of the factor."""
        return 1.0

    def __call__(self, at: float, epochs: int) -> float:
        """The factor at a position of a training of so many epochs, warm-up included, plateaus left out."""
        if at < self.warmup_epochs:
            risen = self.warmup_start + (1 - self.warmup_start) * at / self.warmup_epochs
            return risen * self.factor(0.0, max(epochs - self.warmup_epochs, 0.0))
        return self.factor(at - self.warmup_epochs, max(epochs - self.warmup_epochs, 0.0))

    def factor(self, t: float, T: float) -> float:
        """The factor at t of T epochs."""
        raise NotImplementedError
