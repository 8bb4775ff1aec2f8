"""Observation: a step of a training kept whole while it is taken, which changes none of its bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt

import numpy as np

from engine.inspection.names import derivative_of
from engine.inspection.quantities import run_pass
from engine.network import Network
from engine.parameters import Array, digest
from engine.training.chunks import Chunks
from engine.training.state import TrainingState
from engine.training.trainer import Trainer
from engine.workspace import Batch


@dataclass(frozen=True)
class ObservedStep:
    """A step of a training, with every number of it."""

    number: int
    """Counted from 1 over the whole training."""
    epoch: int
    """Counted from 1."""
    step: int
    """Counted from 1 within the epoch."""
    rows: Array
    """(m,): which of the training rows were its batch."""
    loss: float
    """The batch's mean loss before the update."""
    learning_rate: float
    gradient_norm: float
    """Of the batch's mean loss, before penalty and clipping."""
    is_update: bool
    """Whether the parameters were updated: not where gradients of more batches are awaited, or are not finite."""
    digest_before: str
    digest_after: str
    tensors: dict[str, Array]
    """By name: A.0, Z.1, dZ.1, … of the batch, W.1 before the update, dW.1 of the mean loss; `gradient.W.1` as the
    optimizer was given it, `update.W.1`, `opt.<moment>.W.1` before, and `after.` of what the update changed."""


@dataclass(frozen=True)
class PassedBatch:
    """A step's batch, forward and back, before its update. The next pass overwrites what its parts hold."""

    rows: Array
    """(m,): which of the training rows, the parts' one after the other."""
    parts: tuple[Batch, ...]
    """One for each shard: every boundary, with the derivatives of the batch's mean loss."""
    gradient: Array
    """Of the batch's mean loss."""
    loss: float


class Observer:
    """Takes the steps of a training under way one by one, in workspaces where every boundary keeps its own array."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.network, self.state = trainer, trainer.network, trainer.state

    @cached_property
    def chunks(self) -> Chunks:
        """Of one batch each."""
        trainer = self.trainer
        return Chunks(
            self.network,
            trainer.data,
            trainer.training,
            self.state.parameters,
            steps=1,
            of_all_rows=False,
            shared=False,
        )

    def take(self, order: Array) -> ObservedStep:
        """The next step of an epoch that goes through the rows in this order.

        Where its gradient is not finite there is no update, and the training stays where it is.
        """
        return self._of_all_rows() if self.trainer.optimizer.full_batch else self._of_batch(order)

    def pass_batch(self, order: Array) -> PassedBatch:
        """Run the next step's batch forward and back, as the training does; what is left of the step is `update`."""
        state, chunks = self.state, self.chunks
        size = chunks.batch_size
        rows = order[state.step * size : (state.step + 1) * size]
        chunk = chunks.gather(rows)
        chunks.at(seed=self.trainer.seed, epoch=state.epoch, step=state.step)
        for each in chunk.plans[0]:
            each()
        own = chunks.gradient.copy()
        np.copyto(self.trainer.chunks.gradient, own)
        [loss] = chunks.losses(chunk)
        return PassedBatch(rows, tuple(part for part in chunks.parts(chunk, 0) if part.m), own, loss)

    def update(self) -> Array:
        """Take the step whose batch was passed last; gives the gradient as the optimizer got it."""
        state, trainer = self.state, self.trainer
        gradient, updates = trainer.chunks.gradient, state.updates
        [plan] = trainer.updates.plans(1)
        prepared = trainer.updates.prepared if state.updates > updates else 0
        for each in plan[:prepared]:
            each()
        given = gradient.copy()
        for each in plan[prepared:]:
            each()
        state.step += 1
        return given

    def _of_batch(self, order: Array) -> ObservedStep:
        state, trainer = self.state, self.trainer
        before, updates, place = _Kept(self.network, state), state.updates, (state.epoch, state.step)
        passed = self.pass_batch(order)
        own = passed.gradient
        norm, rate = sqrt(float(own.dot(own))), trainer.rates.at(state, state.step, trainer.steps_per_epoch)
        boundaries = _boundaries(self.network, passed.parts)
        given = self.update() if norm < inf else own
        return ObservedStep(
            number=place[0] * trainer.steps_per_epoch + place[1] + 1,
            epoch=place[0] + 1,
            step=place[1] + 1,
            rows=passed.rows,
            loss=passed.loss,
            learning_rate=rate,
            gradient_norm=norm,
            is_update=state.updates > updates,
            digest_before=digest(before.parameters),
            digest_after=digest(state.parameters),
            tensors=boundaries | self._gradients(own, given) | self._changes(before),
        )

    def _of_all_rows(self) -> ObservedStep:
        """An epoch that is one step of all rows; their boundaries are as one pass gives them, to the last digits."""
        state, trainer, data = self.state, self.trainer, self.trainer.data
        before, place = _Kept(self.network, state), state.epoch
        batch = run_pass(
            self.network, state.parameters, data.X, data.Y, data.weights, scale=1 / len(data.X), shortcut=True
        )
        boundaries, own = _boundaries(self.network, [batch]), batch.workspace.gradient.copy()
        trainer.objective.measure(trainer.learned)
        given, loss, norm = trainer.objective.gradient.copy(), trainer.objective.loss, trainer.objective.norm
        rate = trainer.rates.at(state, 0, 1)
        trainer.full_step()
        return ObservedStep(
            number=place + 1,
            epoch=place + 1,
            step=1,
            rows=np.arange(len(data.X)),
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            is_update=True,
            digest_before=digest(before.parameters),
            digest_after=digest(state.parameters),
            tensors=boundaries | self._gradients(own, given) | self._changes(before),
        )

    def _gradients(self, own: Array, given: Array) -> dict[str, Array]:
        named = {derivative_of(name): view for name, view in self.network.views(own).items()}
        return named | _named("gradient", self.network.views(given))

    def _changes(self, before: "_Kept") -> dict[str, Array]:
        """Everything the step changed, before and after it."""
        network, after = self.network, _Kept(self.network, self.state)
        learned = slice(network.parameter_count)
        update = after.parameters[learned] - before.parameters[learned]
        found = network.views(before.parameters) | _named("update", network.views(update)) | before.named
        return found | _named("after", network.views(after.parameters) | after.named)


class _Kept:
    """Copies of what an update changes."""

    def __init__(self, network: Network, state: TrainingState) -> None:
        self.parameters = state.parameters.copy()
        vectors = {f"opt.{name}": moment for name, moment in state.moments.items()}
        if state.average is not None:
            vectors["average"] = state.average
        if state.accumulated is not None:
            vectors["accumulated"] = state.accumulated
        self.named: dict[str, Array] = {}
        """By name: moments that are as long as what is learned are cut like it, others stay whole."""
        for name, vector in vectors.items():
            if vector.shape in ((network.parameter_count,), (network.layout.size,)):
                self.named |= _named(name, network.views(vector.copy()))
            else:
                self.named[name] = vector.copy()


def _boundaries(network: Network, parts: Sequence[Batch]) -> dict[str, Array]:
    """What stood at every boundary, in both directions, the parts of the batch one after the other."""
    names = network.boundary_names
    forward = [[part.slots[0].x, *(slot.y for slot in part.slots)] for part in parts]
    back = [[part.slots[0].dx, *(slot.dy for slot in part.slots)] for part in parts]
    found: dict[str, Array] = {}
    for place, name in enumerate(names):
        found[name] = np.concatenate([arrays[place] for arrays in forward])
    for place, name in enumerate(names):
        found[derivative_of(name)] = np.concatenate([array for arrays in back if (array := arrays[place]) is not None])
    return {**found, "Y": np.concatenate([part.Y for part in parts])}


def _named(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}
