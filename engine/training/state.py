"""All that continues a training: the parameters, what the optimizer remembers, the position, the best so far."""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from engine.base_rate import base_rate_bias
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array, Shapes
from engine.schedules import Plateau
from engine.spec import OutputSpec, RunSpec, TrainingSpec
from engine.training.data import TrainingData


@dataclass
class Best:
    """The parameters with the best monitored number so far."""

    epoch: int
    metric: str
    value: float
    parameters: Array


@dataclass
class TrainingState:
    """All that continues a training bit for bit, from the end of any step."""

    parameters: Array
    moments: dict[str, Array]
    optimizer: str | None = None
    """Whose moments these are; None in bytes that don't say it."""
    updates: int = 0
    epoch: int = 0
    """Whole epochs done."""
    step: int = 0
    """Steps done in the epoch under way."""
    running_loss: float = 0.0
    """The sum of the epoch's batch losses so far."""
    gradient_norm: float = 0.0
    """The sum of the epoch's gradient norms so far."""
    seconds: float = 0.0
    """Spent on the epoch so far."""
    first_loss: float | None = None
    """The very first batch's loss."""
    spent_seconds: float = 0.0
    """On whole epochs."""
    average: Array | None = None
    """The moving average of the parameters, where one is asked for: what is evaluated and served."""
    accumulated: Array | None = None
    """The sum of the gradients that wait for an update, where several batches make one."""
    plateau: Plateau = field(default_factory=Plateau)
    best: Best | None = None
    stopping_value: float | None = None
    """The monitored number that later ones must beat by min_delta."""
    stale_epochs: int = 0
    """Epochs since they last did."""

    @classmethod
    def start(cls, network: Network, training: TrainingSpec, *, seed: int) -> Self:
        """The state before the first step."""
        parameters = network.initial_parameters(seed=seed, dtype=training.dtype)
        optimizer = OPTIMIZERS[training.optimizer.type](training.optimizer)
        return cls(parameters, optimizer.start(parameters[: network.parameter_count]), training.optimizer.type)

    @classmethod
    def of(cls, spec: RunSpec, network: Network, data: TrainingData) -> Self:
        """The state before the first step of a resolved run spec, its head's b where the spec wants it."""
        state = cls.start(network, spec.training, seed=spec.seed)
        output = spec.network.output
        if isinstance(output, OutputSpec) and output.bias_init == "base_rate":
            b = network.views(state.parameters)[f"b.{network.numbers[-1]}"]
            b[...] = base_rate_bias(output.activation.type, data.Y)
        return state

    def copy(self) -> Self:
        """The same with arrays of its own, which a training that goes on does not change."""
        best = self.best and replace(self.best, parameters=self.best.parameters.copy())
        moments = {name: moment.copy() for name, moment in self.moments.items()}
        average, accumulated = (None if each is None else each.copy() for each in (self.average, self.accumulated))
        return replace(
            self,
            parameters=self.parameters.copy(),
            moments=moments,
            average=average,
            accumulated=accumulated,
            plateau=replace(self.plateau),
            best=best,
        )

    def suit(self, network: Network, training: TrainingSpec, *, monitor: str) -> None:
        """Drop what a changed spec can't go on with: another optimizer's moments, the best by another number."""
        kind = training.optimizer.type
        fresh = OPTIMIZERS[kind](training.optimizer).start(self.parameters[: network.parameter_count])
        if self.optimizer not in (None, kind) or _shapes(self.moments) != _shapes(fresh):
            self.moments, self.updates = fresh, 0
        self.optimizer = kind
        if self.best is not None and self.best.metric != monitor:
            self.best = self.stopping_value = None
            self.stale_epochs, self.plateau = 0, Plateau()
        if training.average is None:
            self.average = None
        elif self.average is None:
            self.average = self.parameters.copy()
        if training.accumulate == 1:
            self.accumulated = None
        elif self.accumulated is None:
            self.accumulated = np.zeros(network.parameter_count, self.parameters.dtype)


def _shapes(moments: dict[str, Array]) -> Shapes:
    return {name: moment.shape for name, moment in moments.items()}
