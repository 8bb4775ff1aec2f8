"""Updates: what a gradient does to the parameters, with all that is asked for before and after the optimizer."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from engine.clipping import CLIPS
from engine.errors import SpecError
from engine.network import Network
from engine.optimizers import BLOCK, OPTIMIZERS, Stretch, Updater
from engine.parameters import Array, Layout
from engine.penalties import is_weight, max_norm_plan, penalty_plan
from engine.plans import Call, call
from engine.schedules import SCHEDULES
from engine.spec import TrainingSpec
from engine.training.state import TrainingState


class _Own(NamedTuple):
    """The numbers of an update that are not the optimizer's."""

    batches: float
    """How many its gradient is the mean of."""
    keep: float
    """What the average of the weights keeps of itself."""
    take: float
    """What it takes of the weights."""


class Updates:
    """The updates of a training under way, bound to its state and to the gradient of its batches."""

    def __init__(
        self,
        network: Network,
        training: TrainingSpec,
        state: TrainingState,
        gradient: Array,
        *,
        steps_per_epoch: int,
        steps_at_once: int,
    ) -> None:
        self.training, self.state, self.steps_per_epoch = training, state, steps_per_epoch
        self.rates = LearningRates(training)
        learned, layout = state.parameters[: network.parameter_count], Layout(network.shapes)
        optimizer = OPTIMIZERS[training.optimizer.type](training.optimizer)
        self.updater = Updater(
            optimizer, learned, gradient, state.moments, stretches(network, training), extra=len(_Own._fields)
        )
        self.has_own = state.accumulated is not None or state.average is not None
        numbers = self.updater.numbers
        batches, keep, take = (numbers[place, ...] for place in range(-len(_Own._fields), 0))
        self.waiting: list[Call] = []
        """The plan of a step whose update waits for more batches."""
        plan: list[Call] = []
        if state.accumulated is not None:
            self.waiting = [call(np.add, state.accumulated, gradient, state.accumulated)]
            plan = [*self.waiting, call(np.divide, state.accumulated, batches, gradient)]
            plan.append(call(state.accumulated.fill, 0))
        if training.clip:
            plan += CLIPS[training.clip.type](training.clip).plan(layout, gradient)
        plan += penalty_plan(training.l1, training.l2, layout, learned, gradient)
        prepared = len(plan)
        plan += self.updater.plan
        if training.max_norm:
            plan += max_norm_plan(training.max_norm, layout, learned)
        if state.average is not None:
            plan += average_plan(state.average, state.parameters, keep, take)
        self.ahead = np.zeros((steps_at_once, len(numbers)), gradient.dtype)
        """What the numbers are to be in each of the next updates."""
        self.changes = [[call(np.copyto, numbers, row), *plan] for row in self.ahead]
        """The plan of each of the next updates."""
        self.prepared = 1 + prepared
        """So many calls of it make the optimizer's gradient of the batch's own: the mean, clipped, and the penalty."""

    def plans(self, steps: int) -> list[list[Call]]:
        """What each of the next steps does once its gradient is there; the state counts their updates as made."""
        state, every = self.state, self.training.accumulate
        found: list[list[Call]] = []
        numbers: list[list[float]] = []
        for step in range(state.step, state.step + steps):
            batches = step % every + 1
            if batches < every and step + 1 < self.steps_per_epoch:
                found.append(self.waiting)
                continue
            rate = self.rates.at(state, step, self.steps_per_epoch)
            state.updates += 1
            found.append(self.changes[len(numbers)])
            numbers.append(self.updater.numbers_of(state.updates, rate))
            if self.has_own:
                numbers[-1] += self._own(batches)
        if numbers:
            self.ahead[: len(numbers), : len(numbers[0])] = numbers
        return found

    def _own(self, batches: int) -> _Own:
        average, updates = self.training.average, self.state.updates
        keep = min(average.decay, (1 + updates) / (10 + updates)) if average else 1.0
        return _Own(batches, keep, 1 - keep)


class LearningRates:
    """The learning rate at each position of a training."""

    def __init__(self, training: TrainingSpec) -> None:
        self.epochs = training.epochs
        self.base = OPTIMIZERS[training.optimizer.type](training.optimizer).learning_rate
        self.schedule = SCHEDULES[training.schedule.type](training.schedule)

    def at(self, state: TrainingState, step: int, steps_per_epoch: int) -> float:
        """That of a step of the epoch under way."""
        factor = self.schedule(state.epoch + step / steps_per_epoch, self.epochs)
        return self.base * factor * self.schedule.fallen(state.plateau)

    def to_come(self, *, maximum: int = 1000) -> list[float]:
        """Those at the start of each epoch, of at most so many, as long as no plateau changes them."""
        return [self.base * self.schedule(epoch, self.epochs) for epoch in range(min(self.epochs, maximum))]


def stretches(network: Network, training: TrainingSpec) -> list[Stretch]:
    """The parameters cut into stretches that are updated alike, frozen ones left out.

    Raises SpecError for the number of a layer that is not there.
    """
    frozen, factors = set(training.frozen), training.learning_rate_factors
    numbers = {number for number in network.numbers if number is not None}
    for option, asked in (("frozen", frozen), ("learning_rate_factors", set(factors))):
        unknown = sorted(asked - numbers)
        if unknown:
            raise SpecError(
                f"training.{option}",
                f"there is no layer {unknown[0]}; those that learn are 1 to {max(numbers, default=0)}",
                code="unknown_layer",
            )
    found: list[Stretch] = []
    layout = Layout(network.shapes)
    decays = OPTIMIZERS[training.optimizer.type](training.optimizer).weight_decay > 0
    for name, place in layout.slices().items():
        number = int(name.split(".")[1])
        if number in frozen:
            continue
        stretch = Stretch(place, factors.get(number, 1.0), decays=decays and is_weight(layout.shapes[name]))
        if found and found[-1].place.stop == place.start and replace(found[-1], place=place) == stretch:
            found[-1] = replace(stretch, place=slice(found[-1].place.start, place.stop))
        else:
            found.append(stretch)
    return found


def average_plan(average: Array, parameters: Array, keep: Array, take: Array) -> Iterator[Call]:
    """average ← keep·average + take·parameters."""
    spare = np.empty(min(BLOCK, average.size), average.dtype)
    for start in range(0, average.size, BLOCK):
        block = slice(start, min(start + BLOCK, average.size))
        change = spare[: block.stop - start]
        yield call(np.multiply, average[block], keep, average[block])
        yield call(np.multiply, parameters[block], take, change)
        yield call(np.add, average[block], change, average[block])


_ONE_BY_ONE = ("clip", "l1", "max_norm", "average", "accumulate", "frozen", "learning_rate_factors")
"""Options of updates that follow one batch each."""


def check_updates(network: Network, training: TrainingSpec) -> None:
    """Raise SpecError for options of an update that can't work with this network or optimizer."""
    stretches(network, training)
    if not OPTIMIZERS[training.optimizer.type].full_batch:
        return
    for layer in network.layers:
        if layer.is_random or layer.statistics():
            raise SpecError(
                f"network.layers[{layer.path.split('.')[0]}]",
                f"{training.optimizer.type} compares the loss at several points, so it needs layers that give the same "
                f"outputs at every pass; {layer.spec.model_fields['type'].default} does not while training. "
                "Leave it out, or use another optimizer",
                code="impossible_optimizer",
            )
    plain = TrainingSpec()
    for option in _ONE_BY_ONE:
        if getattr(training, option) != getattr(plain, option):
            raise SpecError(
                f"training.{option}",
                f"{training.optimizer.type} takes whole steps along its own line, so {option} has no place in them; "
                "leave it out, or use another optimizer",
                code="impossible_optimizer",
            )
