"""The ledger: how much each training row lowered a loss over a stretch of a training, in an account that closes.

A step moves the parameters by d, which is linear in the gradients g_i of its batch's rows (and, with momentum, of
earlier ones). The averaged gradient Ḡ along the step has ℓ(θ + d) − ℓ(θ) = Ḡ·d, so the fall of ℓ is the sum of −Ḡ·d_i
over the rows, and of what is none of theirs: the penalty, the decay, the momentum they began with.

Adam and its kin divide by a root of squared gradients, and clipping divides by a norm. Those divisors are held at what
they were: the sum is as exact as ever, and each row's part is the one it has through the numerator.

The split of a loss's change along the path of a training, there among parameters: Lan, Liu, Zhou & Yosinski 2019, LCA:
loss change allocation for neural network training, eq. 2 to 4. The idea of it among rows, there for steps of one row:
Pruthi, Liu, Kale & Sundararajan 2020, Estimating training data influence by tracing gradient descent, §3.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, log

import numpy as np

from engine.errors import SpecError
from engine.inspection.influence.layers import layer_of, number_of, numbers_of
from engine.inspection.influence.line import Line
from engine.inspection.influence.maps import Before, Map
from engine.inspection.influence.queries import Queries
from engine.inspection.observation import PassedBatch
from engine.inspection.quantities.base import refused
from engine.inspection.quantities.gradients import DenseGradients, ExampleGradients, LayerGradients, RowGradients
from engine.inspection.replay import Replay
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array
from engine.spec import TrainingSpec


@dataclass(frozen=True)
class Account:
    """How the queries' losses fell over a stretch of a training, and by what. A fall is before less after."""

    before: Array
    after: Array
    """(queries,): the losses, with dropout off."""
    rows: Array
    """(queries, layers, training rows): the fall that each row brought through each layer that learns."""
    visits: Array
    """(training rows,): in how many batches each was."""
    terms: dict[str, Array]
    """(queries,) each, of what is no row's: `penalty`, `decay` and `max_norm` of the weights; `earlier`, the gradients
    of the steps before, through momentum and accumulation; and `rounding`, the training's own."""
    layers: Array
    """(queries, layers): the whole fall through each layer that learns."""
    residual: Array
    """(queries,): what the sum of everything misses of the fall."""


def check_ledger(network: Network, training: TrainingSpec) -> None:
    """Raise SpecError for updates that are no sum over rows, and for a layer through which rows know of each other."""
    kind = training.optimizer.type
    if not OPTIMIZERS[kind].is_linear:
        raise SpecError(
            "training.optimizer",
            f"the ledger is not known for {kind}, whose updates are no sum of what each row asks for",
            code="unknown_for_optimizer",
        )
    for place, layer in enumerate(network.layers):
        if layer.statistics():
            raise refused("the ledger", network, place)


def remembered(training: TrainingSpec) -> int:
    """How many updates a gradient lives on in the momentum, until less is left of it than rounding leaves."""
    kept = OPTIMIZERS[training.optimizer.type](training.optimizer).kept
    return ceil(log(np.finfo(training.dtype).eps) / log(kept)) if kept else 0


def ledger(replay: Replay, queries: Queries, *, until: int) -> Account:
    """Go on to a later moment, and account for what became of the queries' losses on the way.

    The losses are those of the weights themselves, not of their moving average, with dropout off; a row's gradient is
    that of the training's own pass, with dropout as it was. Raises SpecError as `check_ledger` does.
    """
    check_ledger(replay.network, replay.trainer.training)
    queries.check(replay.network)
    book = _Book(replay, queries)
    while replay.moment < until:
        book.step()
    return book.close()


@dataclass(frozen=True)
class _Part:
    """Some rows of a batch, with their gradients by layer."""

    rows: Array
    layers: list[LayerGradients]


@dataclass(frozen=True)
class _Update:
    """All that the credit for an update goes by."""

    map: Map
    gradients: Array
    """(queries, parameters): Ḡ along it."""
    parts: list[_Part]
    """Of its batches."""
    earlier: Array | None = None
    """The sum of the gradients of batches before the stretch that it took in."""


class _Book:
    """The account while it is kept."""

    def __init__(self, replay: Replay, queries: Queries) -> None:
        self.replay, self.network, self.optimizer = replay, replay.network, replay.trainer.optimizer
        self.line = Line(self.network, queries)
        self.numbers = numbers_of(self.network)
        shape = (queries.count, len(self.numbers))
        self.rows, self.layers = np.zeros((*shape, len(replay.data.X))), np.zeros(shape)
        self.visits = np.zeros(len(replay.data.X), int)
        self.terms = {name: np.zeros(queries.count) for name in ("penalty", "decay", "max_norm", "earlier")}
        self.before: Array | None = None
        self.after = np.zeros(queries.count)
        self.waiting: list[_Part] = []
        self.updates: list[_Update] = []
        self.window = remembered(replay.trainer.training)
        self.share = max(1, ceil(self.window / 4))
        """So many updates get their credit at once, by what is noted of those behind them."""
        start = Before.of(replay.trainer)
        self.momentum = start.moments[self.optimizer.memory] if self.optimizer.memory else None
        """That the stretch begins with; None once it is accounted for."""
        self.accumulated = start.accumulated

    def step(self) -> None:
        """Take the next step."""
        replay, trainer = self.replay, self.replay.trainer
        passed, before, updates = replay.pass_batch(), Before.of(trainer), trainer.state.updates
        self.waiting += self._parts(passed)
        gradient = passed.gradient
        replay.update()
        if trainer.state.updates > updates:
            self._note(before, gradient)

    def _parts(self, passed: PassedBatch) -> Iterator[_Part]:
        start = 0
        for part in passed.parts:
            rows = passed.rows[start : start + part.m]
            self.visits[rows] += 1
            start += part.m
            yield _Part(rows, [_kept(layer) for layer in ExampleGradients(part).layers])

    def _note(self, before: Before, gradient: Array) -> None:
        """Follow the queries along the update just made."""
        map = Map.of(self.replay.trainer, before, gradient)
        end = self.replay.trainer.learned.astype(np.float64)
        followed = self.line.follow(before.parameters, end)
        fallen = followed.gradients * (before.parameters - end)
        for name, place in self.network.layout.slices().items():
            self.layers[:, self.numbers.index(number_of(name))] += fallen[:, place].sum(axis=1)
        self.terms["decay"] += followed.gradients @ (map.lost * before.parameters)
        if self.replay.trainer.training.max_norm is not None:
            asked = map.step(self.optimizer, before, gradient)
            self.terms["max_norm"] += fallen.sum(axis=1) - followed.gradients @ asked
        self.before = followed.before if self.before is None else self.before
        self.after = followed.after
        self.updates.append(_Update(map, followed.gradients.copy(), self.waiting, self.accumulated))
        self.waiting, self.accumulated = [], None
        if len(self.updates) == self.window + self.share:
            self._credit(self.share)

    def _credit(self, count: int) -> None:
        """Give the first of the updates that are noted their credit, by what all of them did."""
        later = np.zeros_like(self.updates[0].gradients)  # the fall that one unit of m is to bring behind an update
        for place in reversed(range(len(self.updates))):
            update = self.updates[place]
            map, later = update.map, update.map.of_memory * update.gradients + later
            if place < count:
                self._give(update, map.of_gradient * update.gradients + map.entered * later)
            later *= self.optimizer.kept
        if self.momentum is not None:
            self.terms["earlier"] += later @ self.momentum
            self.momentum = None
        del self.updates[:count]

    def _give(self, update: _Update, worth: Array) -> None:
        """`worth` (queries, parameters) is the fall by one unit of each element of the update's gradient."""
        self.terms["penalty"] += (worth * update.map.penalty).sum(axis=1)
        worth = worth * update.map.scale
        if update.earlier is not None:
            self.terms["earlier"] += worth @ update.earlier
        for query, flat in enumerate(worth):
            directions = self.network.views(flat)
            for part in update.parts:
                for layer in part.layers:
                    number = self.numbers.index(layer_of(layer))
                    self.rows[query, number, part.rows] += layer.along(directions)

    def close(self) -> Account:
        """Credit what is left, and sum up."""
        if self.updates:
            self._credit(len(self.updates))
        before = self.line.look(self.replay.trainer.learned) if self.before is None else self.before
        after = before if self.before is None else self.after
        whole = self.layers.sum(axis=1)
        self.terms["rounding"] = whole - self.rows.sum(axis=(1, 2)) - sum(self.terms.values())
        return Account(before, after, self.rows, self.visits, self.terms, self.layers, before - after - whole)


def _kept(layer: LayerGradients) -> LayerGradients:
    """A layer's gradients, for when its workspace and its parameters hold others."""
    if isinstance(layer, DenseGradients):
        return DenseGradients(layer.X.astype(np.float64), layer.dZ.astype(np.float64), layer.shapes)
    if not isinstance(layer, RowGradients):
        raise TypeError(f"expected the gradients of a layer, got {type(layer).__name__}")
    slot = layer.slot
    return RowGradients(
        layer.layer,
        replace(
            slot,
            x=slot.x.copy(),
            dy=slot.dy.copy(),
            params={letter: array.copy() for letter, array in slot.params.items()},
            start=slot.start and replace(slot.start, y=slot.start.y.copy()),
        ),
        layer.shapes,
    )
