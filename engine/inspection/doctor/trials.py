"""Trials: a short training with a remedy beside the same one without it."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import numpy as np

from engine.errors import Diverged
from engine.network import Network
from engine.spec import RunSpec
from engine.training import EpochReport, TrainingData, TrainingState, train

Start = Callable[[RunSpec], tuple[Network, TrainingData, TrainingState]]
"""What a spec begins with: from the seed, or from where another training stood."""


@dataclass(frozen=True)
class Outcome:
    """Where a short training ended."""

    train_loss: float | None
    """Of the training rows; None where it diverged."""
    validation_loss: float | None


@dataclass(frozen=True)
class Trial:
    """Both ends."""

    epochs: int
    """Trained in each."""
    moment: int
    """How many steps were done where both began."""
    without: Outcome
    with_remedy: Outcome

    @property
    def helped(self) -> bool:
        """Whether the remedy's end is the better one: by validation where there is some, else by training."""
        before, after = self.without, self.with_remedy
        if before.train_loss is None or after.train_loss is None:
            return after.train_loss is not None
        if before.validation_loss is not None and after.validation_loss is not None:
            return after.validation_loss < before.validation_loss
        return after.train_loss < before.train_loss


def outcome(spec: RunSpec, start: Start, epochs: int, deadline: Callable[[], bool]) -> Outcome:
    """Train so many epochs from a start, or until the time is over."""
    network, data, state = start(spec)
    end = state.epoch + epochs
    training = spec.training.model_copy(
        update={"epochs": max(end, spec.training.epochs), "early_stopping": None, "time_budget_seconds": None}
    )
    values: dict[str, float | None] = {}
    try:
        for report in train(network, data, training, state, seed=spec.seed, interrupt=deadline):
            if isinstance(report, EpochReport):
                values = dict(report.values)
            if state.epoch >= end or deadline():
                break
    except Diverged:
        return Outcome(None, None)
    if not values:
        with np.errstate(all="ignore"):
            values = {"train.loss": network.evaluate(state.parameters, data.X, data.Y, data.weights).loss}
    return Outcome(_finite(values.get("train.loss")), _finite(values.get("validation.loss")))


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
