"""What a training reports, and why it ends."""

from dataclasses import dataclass, field
from typing import Literal

from engine.metrics import rises
from engine.spec import TrainingSpec
from engine.training.state import TrainingState

Reason = Literal["completed", "early_stopping", "target_reached", "time_budget"]
"""Why a training ends well."""


@dataclass(frozen=True)
class EpochReport:
    """What was measured at the end of an epoch."""

    epoch: int
    """Counted from 1: the epoch just finished."""
    values: dict[str, float | None] = field(repr=False)
    """`train.running_loss`, loss and metrics of `train.` and `validation.`, `learning_rate`, `grad_norm`, `seconds`."""
    digest: str
    """SHA-256 of the parameters' bytes."""
    improved: bool
    """Whether these parameters are the best so far."""
    reason: Reason | None
    """Why the training ends here, or None if it goes on."""


@dataclass(frozen=True)
class StepReport:
    """A pause in mid-epoch that `interrupt` asked for."""

    epoch: int
    """Whole epochs done."""
    step: int
    """Steps done in the epoch under way."""


def reason_to_stop(state: TrainingState, training: TrainingSpec) -> Reason | None:
    """Why no further epoch is due, or None."""
    if state.step:
        return None
    stopping, best = training.early_stopping, state.best
    if stopping is not None and stopping.target is not None and best is not None:
        sign = -1 if rises(best.metric) else 1
        if sign * best.value <= sign * stopping.target:
            return "target_reached"
    if state.epoch >= training.epochs:
        return "completed"
    if stopping is not None and state.stale_epochs >= stopping.patience:
        return "early_stopping"
    if training.time_budget_seconds is not None and state.spent_seconds >= training.time_budget_seconds:
        return "time_budget"
    return None


def monitored(training: TrainingSpec, *, has_validation: bool) -> str:
    """The number that decides which parameters are best, such as `validation.loss`."""
    stopping = training.early_stopping
    if stopping is not None and stopping.monitor != "auto":
        return stopping.monitor
    return "validation.loss" if has_validation else "train.objective"
