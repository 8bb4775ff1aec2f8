"""Training: an iterator of epochs. Whoever iterates decides when to store, report and stop.

All that continues a training is in its TrainingState; every random number follows from the seed and the position.
So a training that is stopped at any report and taken up again from its state ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from math import ceil, inf, isfinite, nan, sqrt
from time import perf_counter
from typing import Literal, Self

import numpy as np

from engine.base_rate import base_rate_bias
from engine.clipping import CLIPS
from engine.errors import Diverged, SpecError
from engine.metrics import measure, rises
from engine.network import Evaluator, Network
from engine.optimizers import BLOCK, OPTIMIZERS, Stretch, Updater
from engine.parameters import Array, Layout, Shapes, digest
from engine.penalties import is_weight, max_norm_plan, penalty, penalty_plan
from engine.plans import Call, call
from engine.randomness import generator
from engine.schedules import SCHEDULES, Plateau
from engine.spec import OutputSpec, RunSpec, TrainingSpec
from engine.weights import check_weights, relative_weights
from engine.workspace import Workspace

EXPLOSION = 1e5
"""A batch's loss this many times the first one, or weights with this root mean square, count as divergence."""
CHUNK_OPERATIONS = 5e7
"""Floating-point operations of the steps that are done in one go, about a millisecond's."""
CHUNK_STEPS = 64
"""At most so many steps are done in one go."""


Reason = Literal["completed", "early_stopping", "target_reached", "time_budget"]
"""Why a training ends well."""


@dataclass(frozen=True)
class TrainingData:
    """Encoded rows: X (m, n_in) and Y (m, n_out) of the network's dtype, to train on and to validate with."""

    X: Array
    Y: Array
    X_validation: Array | None = None
    Y_validation: Array | None = None
    task: Literal["classification", "regression"] = "classification"
    target_scale: Array | None = None
    """(n_out,): what one unit of Y is in the target's own unit; ones if None."""
    weights: Array | None = None
    """(m,): how much each row to train on counts in losses, gradients and metrics; all alike if None."""
    weights_validation: Array | None = None

    def __post_init__(self) -> None:
        check_weights("weights", self.weights, len(self.X))
        held_out = 0 if self.X_validation is None else len(self.X_validation)
        check_weights("weights_validation", self.weights_validation, held_out)

    @property
    def scale(self) -> Array:
        """`target_scale`, with its default."""
        return np.ones(self.Y.shape[1]) if self.target_scale is None else self.target_scale


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


def _never() -> bool:
    return False


def train(
    network: Network,
    data: TrainingData,
    training: TrainingSpec,
    state: TrainingState,
    *,
    seed: int,
    interrupt: Callable[[], bool] = _never,
    steps_at_once: int | None = None,
) -> Iterator[EpochReport | StepReport]:
    """Train from `state`, which is changed in place and whole at every report, to the end.

    Gives an EpochReport at each epoch's end, and a StepReport where `interrupt()` is true, which is asked after every
    `steps_at_once` steps; None makes that about a millisecond's. The bits do not depend on it. Raises Diverged when the
    numbers leave what one can learn from.
    """
    trainer = _Trainer(network, data, training, state, seed=seed, steps_at_once=steps_at_once)
    while reason_to_stop(state, training) is None:
        yield trainer.run(interrupt)


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
    return "validation.loss" if has_validation else "train.loss"


def learning_rates(training: TrainingSpec, *, maximum: int = 1000) -> list[float]:
    """The learning rate at the start of each epoch, of at most so many, as long as no plateau changes it."""
    schedule, base = SCHEDULES[training.schedule.type](training.schedule), training.optimizer
    rate = OPTIMIZERS[base.type](base).learning_rate
    return [rate * schedule(epoch, training.epochs) for epoch in range(min(training.epochs, maximum))]


def batch_rows(order: Array, *, step: int, batch_size: int) -> Array:
    """The row numbers of one step's batch."""
    return order[step * batch_size : (step + 1) * batch_size]


def epoch_order(row_count: int, *, seed: int, epoch: int) -> Array:
    """The order in which an epoch (counted from 0) goes through the training rows."""
    return generator(seed, "shuffle", epoch=epoch).permutation(row_count)


class _Trainer:
    """One training under way: the workspaces and plans that every step uses again."""

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        training: TrainingSpec,
        state: TrainingState,
        *,
        seed: int,
        steps_at_once: int | None,
    ) -> None:
        self.network, self.data, self.training, self.state, self.seed = network, data, training, state, seed
        self.monitor = monitored(training, has_validation=data.X_validation is not None)
        network.refuse_unsteady(training.optimizer)
        state.suit(network, training, monitor=self.monitor)
        self.optimizer = OPTIMIZERS[training.optimizer.type](training.optimizer)
        self.batch_size = min(training.batch_size, len(data.X))
        self.batches = ceil(len(data.X) / self.batch_size)
        self.steps_per_epoch = 1 if self.optimizer.full_batch else self.batches
        self.steps_at_once = min(steps_at_once or _steps_at_once(network, self.batch_size), self.batches)
        rows = ceil(self.batch_size / training.shards)
        self.workspaces = [
            Workspace(
                network,
                state.parameters,
                rows=rows,
                batches=self.steps_at_once,
                training=True,
                weighted=data.weights is not None,
            )
            for _ in range(training.shards)
        ]
        self.gradient = self.workspaces[0].gradient
        self.learned, self.layout = state.parameters[: network.parameter_count], Layout(network.shapes)
        self.schedule = SCHEDULES[training.schedule.type](training.schedule)
        clip = CLIPS[training.clip.type](training.clip).plan(self.layout, self.gradient) if training.clip else ()
        penalty = penalty_plan(training.l1, training.l2, self.layout, self.learned, self.gradient)
        self.before = [*clip, *penalty]
        """What is done to a gradient before it changes the parameters."""
        self.after = [*max_norm_plan(training.max_norm, self.layout, self.learned)] if training.max_norm else []
        """What is done to the parameters after each update."""
        self.keep, self.take = np.zeros((2, 1), state.parameters.dtype)
        if state.average is not None:
            self.after += average_plan(state.average, state.parameters, self.keep, self.take)
        self.served = state.parameters if state.average is None else state.average
        """The parameters that are evaluated, and kept if they are the best."""
        self.chunks: dict[int, _Chunk] = {}
        held_out = 0 if data.X_validation is None else len(data.X_validation)
        self.evaluator = Evaluator(network, self.served, rows=max(len(data.X), held_out))

    @cached_property
    def update(self) -> Updater:
        return Updater(
            self.optimizer, self.learned, self.gradient, self.state.moments, stretches(self.network, self.training)
        )

    @cached_property
    def objective(self) -> _Objective:
        return _Objective(self._whole, self.learned, self.training.l2, self.layout)

    def run(self, interrupt: Callable[[], bool]) -> EpochReport | StepReport:
        """Train to the end of the epoch, or to where `interrupt()` is true."""
        state, begun = self.state, perf_counter()
        if self.optimizer.full_batch:
            with np.errstate(all="ignore"):
                self._full_step()
                return self._end_epoch(begun)
        order = epoch_order(len(self.data.X), seed=self.seed, epoch=state.epoch)
        with np.errstate(all="ignore"):
            while state.step < self.steps_per_epoch:
                self._chunk(order, min(self.steps_at_once, self.steps_per_epoch - state.step))
                if interrupt() and state.step < self.steps_per_epoch:
                    state.seconds += perf_counter() - begun
                    return StepReport(state.epoch, state.step)
            return self._end_epoch(begun)

    def _chunk(self, order: Array, steps: int) -> None:
        """So many steps: their rows gathered together, then each on its own, then their losses together."""
        state, first = self.state, self.state.step
        chunk = self._gather(order[first * self.batch_size : (first + steps) * self.batch_size])
        square = self.gradient.dot
        for number, plan in enumerate(chunk.plans):
            if self.network.is_random:
                self._say_where()
            for each in plan:
                each()
            norm = float(square(self.gradient))
            if not norm < inf:
                raise self._not_finite(self._losses(chunk)[number], chunk, number)
            if self._is_update_due():
                self._update()
            state.step += 1
            state.gradient_norm += sqrt(norm)
        for number, loss in enumerate(self._losses(chunk)):
            self._note_loss(loss, step=first + number)

    def _is_update_due(self) -> bool:
        """Whether this step's gradient completes an update, which it then is the mean gradient of."""
        state, every = self.state, self.training.accumulate
        if state.accumulated is None:
            return True
        np.add(state.accumulated, self.gradient, out=state.accumulated)
        waiting = state.step % every + 1
        if waiting < every and state.step + 1 < self.steps_per_epoch:
            return False
        np.divide(state.accumulated, waiting, out=self.gradient)
        state.accumulated.fill(0)
        return True

    def _update(self) -> None:
        """Change the parameters by the gradient."""
        state, average = self.state, self.training.average
        for each in self.before:
            each()
        state.updates += 1
        self.update(state.updates, self._learning_rate(state.step))
        if average is not None:
            self.keep[0] = keep = min(average.decay, (1 + state.updates) / (10 + state.updates))
            self.take[0] = 1 - keep
        for each in self.after:
            each()

    def _learning_rate(self, step: int) -> float:
        """The learning rate of a step of the epoch under way."""
        state = self.state
        at = state.epoch + step / self.steps_per_epoch
        factor = self.schedule(at, self.training.epochs) * self.schedule.fallen(state.plateau)
        return self.optimizer.learning_rate * factor

    def _full_step(self) -> None:
        """The one step of an epoch whose optimizer looks at all rows together."""
        state = self.state
        self.objective.measure(self.learned)
        self._note_loss(self.objective.loss, step=0)
        state.gradient_norm += self.objective.norm
        self.optimizer.step(self.learned, state.moments, self.objective, self._learning_rate(0))
        state.updates += 1

    def _whole(self, gradient: Array) -> float:
        """The mean loss of all rows, with the sum of all batches' shares of its gradient."""
        rows, total, at_once = np.arange(len(self.data.X)), 0.0, self.steps_at_once * self.batch_size
        gradient.fill(0)
        for start in range(0, len(rows), at_once):
            chunk = self._gather(rows[start : start + at_once])
            for number, plan in enumerate(chunk.plans):
                for each in plan:
                    each()
                if not float(self.gradient.dot(self.gradient)) < inf:
                    raise self._not_finite(self._losses(chunk)[number], chunk, number)
                np.add(gradient, self.gradient, out=gradient)
            total += sum(loss * m for loss, m in zip(self._losses(chunk), chunk.counts, strict=True))
        return total / len(rows)

    def _gather(self, rows: Array) -> _Chunk:
        """These rows of the data, in the workspaces."""
        chunk = self._chunk_of(len(rows))
        weights = self._weights(rows)
        for workspace, share in zip(self.workspaces, chunk.shares, strict=True):
            taken = rows if share.places is None else rows[share.places]
            np.take(self.data.X, taken, axis=0, out=workspace.X[: len(taken)], mode="clip")
            np.take(self.data.Y, taken, axis=0, out=workspace.Y[: len(taken)], mode="clip")
            if workspace.weights is not None and weights is not None:
                workspace.weights[: len(taken), 0] = weights if share.places is None else weights[share.places]
        return chunk

    def _weights(self, rows: Array) -> Array | None:
        """The rows' weights, averaging 1 over what one gradient is of: all rows, or each batch."""
        weights = self.data.weights
        if weights is None:
            return None
        if self.optimizer.full_batch:
            return relative_weights(weights, len(weights))[rows]
        return relative_weights(weights[rows], self.batch_size)

    def _say_where(self) -> None:
        for shard, workspace in enumerate(self.workspaces):
            workspace.at(seed=self.seed, epoch=self.state.epoch, step=self.state.step, shard=shard)

    def _chunk_of(self, rows: int) -> _Chunk:
        """What is done to a chunk of so many rows, written down once."""
        if rows not in self.chunks:
            shares = _shares(rows, self.batch_size, self.training.shards)
            plans = [self._plan(shares, number) for number in range(len(shares[0].counts))]
            self.chunks[rows] = _Chunk(shares, plans)
        return self.chunks[rows]

    def _plan(self, shares: list[_Share], number: int) -> list[Call]:
        """All that fills the gradient of a batch's mean loss, or its share of that of all rows' mean loss.

        The batch is cut into fixed parts whose gradients are added in a fixed binary tree, so that the bits do not
        depend on who computes which part.
        """
        scale = 1 / (len(self.data.X) if self.optimizer.full_batch else sum(share.counts[number] for share in shares))
        plan: list[Call] = []
        for workspace, share in zip(self.workspaces, shares, strict=True):
            m = share.counts[number]
            plan += (
                workspace.cut(m, share.starts[number]).step(scale=scale) if m else [call(workspace.gradient.fill, 0)]
            )
        gradients = [workspace.gradient for workspace in self.workspaces]
        stride = 1
        while stride < len(shares):
            for left in range(0, len(shares) - stride, 2 * stride):
                plan.append(call(np.add, gradients[left], gradients[left + stride], gradients[left]))
            stride *= 2
        return plan

    def _losses(self, chunk: _Chunk) -> list[float]:
        """The mean loss of each batch of the chunk."""
        totals = [0.0] * len(chunk.plans)
        for workspace, share in zip(self.workspaces, chunk.shares, strict=True):
            examples = workspace.example_losses(sum(share.counts))
            for number, (start, m) in enumerate(zip(share.starts, share.counts, strict=True)):
                totals[number] += float(np.add.reduce(examples[start : start + m]))
        return [total / m for total, m in zip(totals, chunk.counts, strict=True)]

    def _note_loss(self, loss: float, *, step: int) -> None:
        state = self.state
        if state.first_loss is None:
            state.first_loss = loss
        if not loss < EXPLOSION * max(1.0, state.first_loss):
            raise self._exploded(loss, step=step)
        state.running_loss += loss

    def _end_epoch(self, begun: float) -> EpochReport:
        state, data = self.state, self.data
        values: dict[str, float | None] = {"train.running_loss": state.running_loss / self.steps_per_epoch}
        values |= self._evaluate("train", data.X, data.Y, data.weights)
        if data.X_validation is not None and data.Y_validation is not None:
            values |= self._evaluate("validation", data.X_validation, data.Y_validation, data.weights_validation)
        self._check_finite(values["train.loss"])
        values["learning_rate"] = self._learning_rate(self.steps_per_epoch - 1)
        values["grad_norm"] = state.gradient_norm / self.steps_per_epoch
        values["seconds"] = seconds = state.seconds + perf_counter() - begun
        state.spent_seconds += seconds
        state.epoch, state.step = state.epoch + 1, 0
        state.running_loss = state.gradient_norm = state.seconds = 0.0
        improved = self._note_best(values[self.monitor])
        return EpochReport(
            epoch=state.epoch,
            values=values,
            digest=digest(state.parameters),
            improved=improved,
            reason=reason_to_stop(state, self.training),
        )

    def _evaluate(self, part: str, X: Array, Y: Array, weights: Array | None) -> dict[str, float | None]:
        evaluation, data = self.evaluator.evaluate(X, Y, weights), self.data
        metrics = measure(data.task, evaluation.A, Y, data.scale, weights=weights, scores=self.network.loss.scores)
        values = {"loss": evaluation.loss, **metrics}
        return {
            f"{part}.{name}": value if value is not None and isfinite(value) else None for name, value in values.items()
        }

    def _note_best(self, value: float | None) -> bool:
        """Keep the parameters if they are the best so far, and count the epochs without enough improvement."""
        state, stopping = self.state, self.training.early_stopping
        sign = -1 if rises(self.monitor) else 1
        min_delta = stopping.min_delta if stopping else 0.0
        state.stale_epochs += 1
        if value is None:
            return False
        self.schedule.note(state.plateau, sign * value)
        if state.stopping_value is None or sign * (state.stopping_value - value) > min_delta:
            state.stopping_value, state.stale_epochs = value, 0
        if state.best is None:
            state.best = Best(state.epoch, self.monitor, value, self.served.copy())
            return True
        if sign * (state.best.value - value) > 0:
            state.best.epoch, state.best.value = state.epoch, value
            np.copyto(state.best.parameters, self.served)
            return True
        return False

    def _check_finite(self, loss: float | None) -> None:
        """Raise Diverged where the epoch left weights that no longer mean anything, though no step showed it."""
        step = self.steps_per_epoch - 1
        for name, values in self.network.views(self.learned).items():
            size = sqrt(float(np.mean(np.square(values, dtype=np.float64))))
            if not size < EXPLOSION:
                raise self._diverged(name, f"{name} has a root mean square of {size:.3g}", step=step)
        if loss is None:
            raise self._exploded(float("nan"), step=step)

    def _not_finite(self, loss: float, chunk: _Chunk, number: int) -> Diverged:
        """Name the first layer, in the order of computation, whose numbers are not finite in the chunk's batch."""
        step = self.state.step
        for workspace, share in zip(self.workspaces, chunk.shares, strict=True):
            batch = workspace.cut(share.counts[number], share.starts[number])
            boundaries = [batch.X, *(slot.y for slot in batch.slots)]
            for name, array in zip(self.network.boundary_names, boundaries, strict=True):
                if not np.isfinite(array).all():
                    return self._diverged(name, f"{name} holds infinite or undefined numbers", step=step)
            for name, array in reversed(self.network.views(workspace.gradient).items()):
                if not np.isfinite(array).all():
                    return self._diverged(name, f"d{name} holds infinite or undefined numbers", step=step)
        return self._exploded(loss, step=step)

    def _exploded(self, loss: float, *, step: int) -> Diverged:
        """Name the layer with the largest parameters."""
        sizes = {name: float(np.abs(values).max()) for name, values in self.network.views(self.learned).items()}
        name = max(sizes, key=sizes.__getitem__)
        found = f"the batch's loss is {loss:.3g}, with values up to {sizes[name]:.3g} in {name}"
        return self._diverged(name, found, step=step)

    def _diverged(self, name: str, found: str, *, step: int) -> Diverged:
        layer = _layer_of(self.network, name)
        return Diverged(epoch=self.state.epoch + 1, step=step + 1, layer=layer, found=found)


@dataclass(frozen=True)
class _Share:
    """What one shard takes of a chunk: of each batch a fixed part of its rows."""

    places: Array | None
    """Which of the chunk's rows, batch after batch; None is all of them."""
    counts: list[int]
    """How many of each batch."""
    starts: list[int]
    """Where each batch's begin."""


@dataclass(frozen=True)
class _Chunk:
    """Some steps done in one go."""

    shares: list[_Share]
    """Of each shard."""
    plans: list[list[Call]]
    """Of each step, what fills the gradient."""

    @property
    def counts(self) -> list[int]:
        """How many rows each batch has."""
        return [sum(counts) for counts in zip(*(share.counts for share in self.shares), strict=True)]


class _Objective:
    """What a full-batch optimizer minimizes: the mean loss of all training rows plus the penalty.

    What was found last is kept, so that a step may ask again where the one before ended.
    """

    def __init__(self, whole: Callable[[Array], float], parameters: Array, l2: float, layout: Layout) -> None:
        self.whole, self.parameters, self.l2, self.layout = whole, parameters, l2, layout
        self.gradient, self.place = np.zeros_like(parameters), np.full_like(parameters, nan)
        self.penalty = penalty_plan(0.0, l2, layout, parameters, self.gradient)
        self.loss = self.norm = self.value = nan
        """The loss and its gradient's norm without the penalty; the loss with it."""

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """The value and the gradient at θ; infinite where they are not finite, so that a search turns back."""
        try:
            self.measure(theta)
        except Diverged:
            return inf, self.gradient
        return self.value, self.gradient

    def measure(self, theta: Array) -> None:
        """Find everything at θ. Raises Diverged where it is not finite."""
        if np.array_equal(theta, self.place):
            return
        np.copyto(self.parameters, theta)
        self.place.fill(nan)
        self.loss = self.whole(self.gradient)
        self.norm = sqrt(float(self.gradient.dot(self.gradient)))
        for each in self.penalty:
            each()
        self.value = self.loss + penalty(self.l2, self.layout, self.parameters)
        np.copyto(self.place, theta)


def _shares(rows: int, batch_size: int, shards: int) -> list[_Share]:
    """Cut the rows of some batches into the shards' shares."""
    places = np.arange(rows)
    batches = [places[start : start + batch_size] for start in range(0, rows, batch_size)]
    found = []
    for shard in range(shards):
        parts = [batch[shard * len(batch) // shards : (shard + 1) * len(batch) // shards] for batch in batches]
        counts = [len(part) for part in parts]
        starts = [0, *accumulate(counts[:-1])]
        found.append(_Share(np.concatenate(parts) if shards > 1 else None, counts, starts))
    return found


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


def _steps_at_once(network: Network, batch_size: int) -> int:
    """A power of two of steps that take about a millisecond together."""
    operations = 6 * batch_size * max(network.products, 1)
    steps = 1
    while steps < CHUNK_STEPS and 2 * steps * operations <= CHUNK_OPERATIONS:
        steps *= 2
    return steps


def _layer_of(network: Network, name: str) -> str:
    """The layer a tensor name belongs to: "dense 2" of W.2 or Z.2, "layers.3" of layers.3.y, "input" of A.0."""
    if name == "A.0":
        return "input"
    if name.endswith(".y"):
        return name.removesuffix(".y")
    number = int(name.rpartition(".")[2])
    layer = network.layers[network.numbers.index(number)]
    return f"{layer.spec.model_fields['type'].default} {number}"
