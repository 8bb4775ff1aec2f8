"""Maps: what an update made of its gradient, and did besides, over the whole vector of what is learned, in float64."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from engine.clipping import CLIPS
from engine.optimizers import Factor, Optimizer
from engine.parameters import Array, Layout
from engine.penalties import penalty_plan
from engine.plans import run
from engine.training.trainer import Trainer
from engine.training.updates import stretches


@dataclass(frozen=True)
class Before:
    """What a step will change, copied."""

    parameters: Array
    moments: dict[str, Array]
    accumulated: Array | None
    """The sum of the gradients that wait, where several batches make an update."""
    batches: int
    """How many wait once this step's is there."""
    rate: float

    @classmethod
    def of(cls, trainer: Trainer) -> Self:
        """Before the trainer's next step."""
        state = trainer.state
        return cls(
            parameters=trainer.learned.astype(np.float64),
            moments=_in_float64(state.moments),
            accumulated=None if state.accumulated is None else state.accumulated.astype(np.float64),
            batches=state.step % trainer.training.accumulate + 1,
            rate=trainer.rates.at(state, state.step, trainer.steps_per_epoch),
        )

    def total(self, gradient: Array) -> Array:
        """The sum of the gradients that wait, with that of the step's own batch."""
        own = gradient.astype(np.float64)
        return own if self.accumulated is None else self.accumulated + own


@dataclass(frozen=True)
class Map:
    """m ← kept·m + entered·g, θ ← θ − lost·θ − (of_memory·m + of_gradient·g), with g = scale·Σg_b + penalty.

    Σg_b sums the gradients of the batches that made the update. An array may have one number, where all are alike.
    """

    of_gradient: Array
    of_memory: Array
    entered: Array
    lost: Array
    scale: Array
    penalty: Array

    @classmethod
    def of(cls, trainer: Trainer, before: Before, gradient: Array) -> Self:
        """Of the update the trainer just made, whose last batch had this gradient."""
        after, optimizer = _in_float64(trainer.state.moments), trainer.optimizer
        found: dict[str, list[tuple[slice, Factor]]] = {"of_gradient": [], "of_memory": [], "entered": [], "lost": []}
        for stretch in stretches(trainer.network, trainer.training):
            place = stretch.place
            numbers = optimizer.numbers(trainer.state.updates, before.rate * stretch.factor)
            scalars = dict(zip(optimizer.scalars, numbers, strict=True))
            linear = optimizer.linear(_cut(before.moments, place), _cut(after, place), scalars)
            lost = 1 - scalars["keep"] if stretch.decays else 0.0
            for name, factor in {**vars(linear), "lost": lost}.items():
                found[name].append((place, factor))
        whole = {name: _whole(factors, len(before.parameters)) for name, factors in found.items()}
        return cls(**whole, scale=_scale(trainer, before, gradient), penalty=_penalty(trainer, before))

    def step(self, optimizer: Optimizer, before: Before, gradient: Array) -> Array:
        """What it takes off the parameters as it stands here: the update itself but for its rounding and max_norm."""
        g = self.scale * before.total(gradient) + self.penalty
        found: Array = self.lost * before.parameters + self.of_gradient * g
        if optimizer.memory is not None:
            found += self.of_memory * (optimizer.kept * before.moments[optimizer.memory] + self.entered * g)
        return found


def _scale(trainer: Trainer, before: Before, gradient: Array) -> Array:
    """What the mean over the batches, and clipping, multiply the sum of gradients with."""
    clip = trainer.training.clip
    if clip is None:
        return np.full(1, 1 / before.batches)
    mean = before.total(gradient) / before.batches
    clipped = mean.copy()
    run(CLIPS[clip.type](clip).plan(Layout(trainer.network.shapes), clipped))
    return np.divide(clipped, mean, out=np.ones_like(mean), where=mean != 0) / before.batches


def _penalty(trainer: Trainer, before: Before) -> Array:
    """The derivative of the penalty."""
    training = trainer.training
    if not training.l1 and not training.l2:
        return np.zeros(1)
    found = np.zeros_like(before.parameters)
    run(penalty_plan(training.l1, training.l2, Layout(trainer.network.shapes), before.parameters, found))
    return found


def _whole(factors: list[tuple[slice, Factor]], size: int) -> Array:
    """What each parameter is multiplied with, 0 where nothing is said; one number where it is the same for all."""
    if len(factors) == 1 and isinstance(factors[0][1], float) and factors[0][0] == slice(0, size):
        return np.full(1, factors[0][1])
    found = np.zeros(size)
    for place, factor in factors:
        found[place] = factor
    return found


def _in_float64(moments: dict[str, Array]) -> dict[str, Array]:
    return {name: moment.astype(np.float64) for name, moment in moments.items()}


def _cut(moments: dict[str, Array], place: slice) -> dict[str, Array]:
    return {name: moment[place] for name, moment in moments.items()}
