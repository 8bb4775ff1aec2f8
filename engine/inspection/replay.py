"""Replay: a stretch of a training computed again from a state that was stored, bit for bit.

Moment s is after s steps, 0 before the first; step s leads from moment s − 1 to moment s. Every number of a step can be
kept while it is taken, which changes none of them.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from engine.errors import SpecError
from engine.inspection.observation import ObservedStep, Observer, PassedBatch
from engine.network import Network
from engine.parameters import Array, digest
from engine.spec import TrainingSpec
from engine.training import TrainingData, TrainingState, epoch_order
from engine.training.trainer import Trainer


class Replay:
    """A training taken up at a stored state, that goes to any later moment and keeps steps whole on the way.

    `recorded` gives what was measured at the end of an epoch, counted from 1: it is not measured again, and only a
    schedule that goes by it needs it. Raises Diverged where the training did.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        training: TrainingSpec,
        state: TrainingState,
        *,
        seed: int,
        recorded: Callable[[int], Mapping[str, float | None]] = lambda epoch: {},
    ) -> None:
        self.trainer = Trainer(network, data, training, state, seed=seed, steps_at_once=None)
        self.trainer.explosion = None  # what the training went through is gone through again
        self.network, self.data, self.state = network, data, state
        self.seed, self.recorded = seed, recorded
        self.is_full_batch = self.trainer.optimizer.full_batch
        self.steps_per_epoch = self.trainer.steps_per_epoch
        self._order: tuple[int, Array] | None = None

    @cached_property
    def _observer(self) -> Observer:
        return Observer(self.trainer)

    @property
    def moment(self) -> int:
        """How many steps are done."""
        return self.state.epoch * self.steps_per_epoch + self.state.step

    @property
    def learning_rate(self) -> float:
        """That of the step that led here; before the first step, its own."""
        state = self.state
        step = state.step - 1 if self.moment else 0
        return self.trainer.rates.at(state, step, self.steps_per_epoch)

    def digest(self) -> str:
        """SHA-256 of the parameters as they are."""
        return digest(self.state.parameters)

    def to(self, moment: int) -> None:
        """Go on to a later moment. Raises SpecError for one that lies behind."""
        if moment < self.moment:
            raise SpecError("step", f"expected a moment from {self.moment} on, where the replay stands, got {moment}")
        with np.errstate(all="ignore"):
            while self.moment < moment:
                self._begin()
                if self.is_full_batch:
                    self.trainer.full_step()
                else:
                    self.trainer.chunk(self._rows(), most=moment - self.moment)

    def observe(self) -> ObservedStep:
        """Take the next step, and keep all of it. Where its gradient is not finite the replay stays where it is."""
        with np.errstate(all="ignore"):
            self._begin()
            return self._observer.take(np.empty(0, np.int64) if self.is_full_batch else self._rows())

    def _begin(self) -> None:
        """Enter the next epoch if the one under way is through."""
        state = self.state
        if state.step == self.steps_per_epoch:
            self.trainer.pass_epoch(self.recorded(state.epoch + 1).get(self.trainer.monitor))

    def _rows(self) -> Array:
        epoch = self.state.epoch
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(len(self.data.X), seed=self.seed, epoch=epoch))
        return self._order[1]

    def pass_batch(self) -> PassedBatch:
        """Run the next step's batch forward and back, as the training did; what is left of the step is `update`."""
        with np.errstate(all="ignore"):
            self._begin()
            return self._observer.pass_batch(self._rows())

    def update(self) -> Array:
        """Take the step whose batch was passed last; gives the gradient of the mean loss as the optimizer got it."""
        with np.errstate(all="ignore"):
            return self._observer.update()
