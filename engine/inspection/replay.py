"""Replay: a stretch of a training computed again from a state that was stored, bit for bit.

Moment s is after s steps, 0 before the first; step s leads from moment s − 1 to moment s. Every number of a step can be
kept while it is taken, which changes none of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from engine.errors import SpecError
from engine.inspection.names import derivative_of
from engine.inspection.passes import run_pass
from engine.network import Network
from engine.parameters import Array, digest
from engine.spec import TrainingSpec
from engine.training import TrainingData, TrainingState, epoch_order
from engine.training.chunks import Chunks
from engine.training.trainer import Trainer
from engine.workspace import Batch

STEP_QUANTITIES = ("X", "Y", "Z", "A", "dZ", "dA", "W", "b", "dW", "db", "gradient", "update", "opt", "after")
"""What can be asked of a step without a number."""


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


class Replay:
    """A training taken up at a stored state, that goes to any later moment and keeps steps whole on the way.

    `recorded` gives the monitored number that was found at the end of an epoch, counted from 1: it is not measured
    again, and only a schedule that goes by it needs it. Raises Diverged where the training did.
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        training: TrainingSpec,
        state: TrainingState,
        *,
        seed: int,
        recorded: Callable[[int], float | None] = lambda epoch: None,
    ) -> None:
        self.trainer = Trainer(network, data, training, state, seed=seed, steps_at_once=None)
        self.network, self.data, self.state = network, data, state
        self.seed, self.recorded = seed, recorded
        self.is_full_batch = self.trainer.optimizer.full_batch
        self.steps_per_epoch = self.trainer.steps_per_epoch
        self._order: tuple[int, Array] | None = None
        self._chunks: Chunks | None = None

    @property
    def moment(self) -> int:
        """How many steps are done."""
        return self.state.epoch * self.steps_per_epoch + self.state.step

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
            return self._observe_all_rows() if self.is_full_batch else self._observe_batch()

    def _begin(self) -> None:
        """Enter the next epoch if the one under way is through."""
        state = self.state
        if state.step == self.steps_per_epoch:
            self.trainer.pass_epoch(self.recorded(state.epoch + 1))

    def _rows(self) -> Array:
        epoch = self.state.epoch
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(len(self.data.X), seed=self.seed, epoch=epoch))
        return self._order[1]

    @property
    def _observing(self) -> Chunks:
        """Workspaces that keep every boundary, for one batch at a time."""
        if self._chunks is None:
            trainer = self.trainer
            self._chunks = Chunks(
                self.network,
                self.data,
                trainer.training,
                self.state.parameters,
                steps=1,
                of_all_rows=False,
                shared=False,
            )
        return self._chunks

    def _observe_batch(self) -> ObservedStep:
        state, trainer, chunks = self.state, self.trainer, self._observing
        size = chunks.batch_size
        rows = self._rows()[state.step * size : (state.step + 1) * size]
        before, updates = _Kept(self.network, state), state.updates
        chunk = chunks.gather(rows)
        chunks.at(seed=self.seed, epoch=state.epoch, step=state.step)
        for each in chunk.plans[0]:
            each()
        own, gradient = chunks.gradient.copy(), trainer.chunks.gradient
        np.copyto(gradient, own)
        [loss] = chunks.losses(chunk)
        norm, rate = float(np.linalg.norm(own)), trainer.rates.at(state, state.step, self.steps_per_epoch)
        boundaries = _boundaries(self.network, [part for part in chunks.parts(chunk, 0) if part.m])
        place = (state.epoch, state.step)
        given = self._update(gradient) if norm < inf else own
        return ObservedStep(
            number=place[0] * self.steps_per_epoch + place[1] + 1,
            epoch=place[0] + 1,
            step=place[1] + 1,
            rows=rows,
            loss=loss,
            learning_rate=rate,
            gradient_norm=norm,
            is_update=state.updates > updates,
            digest_before=digest(before.parameters),
            digest_after=self.digest(),
            tensors=boundaries | self._gradients(own, given) | self._changes(before),
        )

    def _update(self, gradient: Array) -> Array:
        """Take the step that the gradient asks for; gives the gradient as the optimizer got it."""
        state, trainer = self.state, self.trainer
        updates = state.updates
        [plan] = trainer.updates.plans(1)
        prepared = trainer.updates.prepared if state.updates > updates else 0
        for each in plan[:prepared]:
            each()
        given = gradient.copy()
        for each in plan[prepared:]:
            each()
        state.step += 1
        return given

    def _observe_all_rows(self) -> ObservedStep:
        """An epoch that is one step of all rows; their boundaries are as one pass gives them, to the last digits."""
        state, trainer, data = self.state, self.trainer, self.data
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
            digest_after=self.digest(),
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


def _boundaries(network: Network, parts: list[Batch]) -> dict[str, Array]:
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
