"""Training: an iterator of epochs. Whoever iterates decides when to store, report and stop.

All that continues a training is in its TrainingState; every random number follows from the seed and the position.
So a training that is stopped at any report and taken up again from its state ends with the same bits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil, isfinite, sqrt
from time import perf_counter
from typing import Literal, Self

import numpy as np

from engine.errors import Diverged
from engine.metrics import measure, rises
from engine.network import Network
from engine.optimizers import OPTIMIZERS, bind_penalty
from engine.parameters import Array, digest
from engine.randomness import generator
from engine.spec import TrainingSpec
from engine.workspace import Workspace

EXPLOSION = 1e5
"""A batch's loss this many times the first one, or weights with this root mean square, count as divergence."""


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
    best: Best | None = None
    stopping_value: float | None = None
    """The monitored number that later ones must beat by min_delta."""
    stale_epochs: int = 0
    """Epochs since they last did."""

    @classmethod
    def start(cls, network: Network, training: TrainingSpec, *, seed: int) -> Self:
        """The state before the first step."""
        parameters = network.initial_parameters(seed=seed, dtype=training.dtype)
        return cls(parameters, _no_moments(training, parameters))

    def suit(self, training: TrainingSpec, *, monitor: str) -> None:
        """Drop what a changed spec can't go on with: another optimizer's moments, the best by another number."""
        if set(self.moments) != set(OPTIMIZERS[training.optimizer.type].moments):
            self.moments, self.updates = _no_moments(training, self.parameters), 0
        if self.best is not None and self.best.metric != monitor:
            self.best = self.stopping_value = None
            self.stale_epochs = 0


def _no_moments(training: TrainingSpec, parameters: Array) -> dict[str, Array]:
    return {name: np.zeros_like(parameters) for name in OPTIMIZERS[training.optimizer.type].moments}


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
    reason: Literal["completed", "early_stopping"] | None
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
) -> Iterator[EpochReport | StepReport]:
    """Train from `state`, which is changed in place and whole at every report, to the end.

    Gives an EpochReport at each epoch's end, and a StepReport after any step at which `interrupt()` is true. Raises
    Diverged when the numbers leave what one can learn from.
    """
    trainer = _Trainer(network, data, training, state, seed=seed)
    while reason_to_stop(state, training) is None:
        yield trainer.run(interrupt)


def reason_to_stop(state: TrainingState, training: TrainingSpec) -> Literal["completed", "early_stopping"] | None:
    """Why no further epoch is due, or None."""
    if state.epoch >= training.epochs and state.step == 0:
        return "completed"
    stopping = training.early_stopping
    if stopping is not None and state.step == 0 and state.stale_epochs >= stopping.patience:
        return "early_stopping"
    return None


def monitored(training: TrainingSpec, *, has_validation: bool) -> str:
    """The number that decides which parameters are best, such as `validation.loss`."""
    stopping = training.early_stopping
    if stopping is not None and stopping.monitor != "auto":
        return stopping.monitor
    return "validation.loss" if has_validation else "train.loss"


def batch_rows(order: Array, *, step: int, batch_size: int) -> Array:
    """The row numbers of one step's batch."""
    return order[step * batch_size : (step + 1) * batch_size]


def epoch_order(row_count: int, *, seed: int, epoch: int) -> Array:
    """The order in which an epoch (counted from 0) goes through the training rows."""
    return generator(seed, "shuffle", epoch=epoch).permutation(row_count)


class _Trainer:
    """One training under way: the workspaces and bound functions that every step uses again."""

    def __init__(
        self, network: Network, data: TrainingData, training: TrainingSpec, state: TrainingState, *, seed: int
    ) -> None:
        self.network, self.data, self.training, self.state, self.seed = network, data, training, state, seed
        self.monitor = monitored(training, has_validation=data.X_validation is not None)
        state.suit(training, monitor=self.monitor)
        self.batch_size = min(training.batch_size, len(data.X))
        self.steps_per_epoch = ceil(len(data.X) / self.batch_size)
        rows = ceil(self.batch_size / training.shards)
        self.workspaces = [
            Workspace(network, state.parameters, rows=rows, training=True) for _ in range(training.shards)
        ]
        self.gradient = self.workspaces[0].gradient
        self.optimizer = OPTIMIZERS[training.optimizer.type](training.optimizer)
        self.update = self.optimizer.bind(state.parameters, self.gradient, state.moments)
        self.penalize = bind_penalty(training.l2, network.layout, state.parameters, self.gradient)

    def run(self, interrupt: Callable[[], bool]) -> EpochReport | StepReport:
        """Train to the end of the epoch, or to the step at which `interrupt()` is true."""
        state, begun = self.state, perf_counter()
        order = epoch_order(len(self.data.X), seed=self.seed, epoch=state.epoch)
        with np.errstate(all="ignore"):
            while state.step < self.steps_per_epoch:
                self._step(batch_rows(order, step=state.step, batch_size=self.batch_size))
                if interrupt() and state.step < self.steps_per_epoch:
                    state.seconds += perf_counter() - begun
                    return StepReport(state.epoch, state.step)
            return self._end_epoch(begun)

    def _step(self, rows: Array) -> None:
        """One batch: gather, forward, loss, backward, update."""
        state = self.state
        loss = self._gradient(rows) / len(rows)
        norm = float(np.dot(self.gradient, self.gradient))
        if state.first_loss is None:
            state.first_loss = loss
        if not (isfinite(norm) and loss < EXPLOSION * max(1.0, state.first_loss)):
            raise self._diverged(loss)
        self.penalize()
        state.updates += 1
        self.update(state.updates)
        state.step += 1
        state.running_loss += loss
        state.gradient_norm += sqrt(norm)

    def _gradient(self, rows: Array) -> float:
        """Fill the gradient of the rows' mean loss, and give the sum of their losses.

        The rows are cut into `shards` fixed parts whose gradients are added in a fixed binary tree, so that the bits
        do not depend on who computes which part.
        """
        data, state, shards = self.data, self.state, self.training.shards
        scale, total = 1 / len(rows), 0.0
        for shard, workspace in enumerate(self.workspaces):
            part = rows[shard * len(rows) // shards : (shard + 1) * len(rows) // shards]
            if not len(part):
                workspace.gradient.fill(0)
                continue
            batch = workspace.cut(len(part))
            workspace.at(seed=self.seed, epoch=state.epoch, step=state.step, shard=shard)
            np.take(data.X, part, axis=0, out=batch.X, mode="clip")
            np.take(data.Y, part, axis=0, out=batch.Y, mode="clip")
            batch.forward()
            total += float(np.add.reduce(batch.example_losses()))
            batch.backward(scale=scale)
        stride = 1
        while stride < shards:
            for left in range(0, shards - stride, 2 * stride):
                self.workspaces[left].gradient += self.workspaces[left + stride].gradient
            stride *= 2
        return total

    def _end_epoch(self, begun: float) -> EpochReport:
        state, data = self.state, self.data
        values: dict[str, float | None] = {"train.running_loss": state.running_loss / self.steps_per_epoch}
        values |= self._evaluate("train", data.X, data.Y)
        if data.X_validation is not None and data.Y_validation is not None:
            values |= self._evaluate("validation", data.X_validation, data.Y_validation)
        self._check_finite(values["train.loss"])
        values["learning_rate"] = self.optimizer.learning_rate
        values["grad_norm"] = state.gradient_norm / self.steps_per_epoch
        values["seconds"] = state.seconds + perf_counter() - begun
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

    def _evaluate(self, part: str, X: Array, Y: Array) -> dict[str, float | None]:
        evaluation = self.network.evaluate(self.state.parameters, X, Y)
        values = {"loss": evaluation.loss, **measure(self.data.task, evaluation.A, Y, self.data.scale)}
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
        if state.stopping_value is None or sign * (state.stopping_value - value) > min_delta:
            state.stopping_value, state.stale_epochs = value, 0
        if state.best is None:
            state.best = Best(state.epoch, self.monitor, value, state.parameters.copy())
            return True
        if sign * (state.best.value - value) > 0:
            state.best.epoch, state.best.value = state.epoch, value
            np.copyto(state.best.parameters, state.parameters)
            return True
        return False

    def _check_finite(self, loss: float | None) -> None:
        """Raise Diverged where the epoch left weights that no longer mean anything, though no step showed it."""
        for name, values in self.network.views(self.state.parameters).items():
            size = sqrt(float(np.mean(np.square(values, dtype=np.float64))))
            if not size < EXPLOSION:
                raise self._divergence(f"dense {name.split('.')[1]}", f"{name} has a root mean square of {size:.3g}")
        if loss is None:
            raise self._diverged(float("nan"))

    def _diverged(self, loss: float) -> Diverged:
        """Name the first layer, in the order of computation, whose numbers are not finite; else the largest weights."""
        for workspace in self.workspaces:
            names = self.network.boundary_names
            for name, array in zip(names, workspace.outputs, strict=True):
                if not np.isfinite(array).all():
                    return self._divergence(_layer_of(name), f"{name} holds infinite or undefined numbers")
            for name, array in reversed(self.network.views(workspace.gradient).items()):
                if not np.isfinite(array).all():
                    return self._divergence(_layer_of(name), f"d{name} holds infinite or undefined numbers")
        sizes = {
            name: float(np.abs(values).max()) for name, values in self.network.views(self.state.parameters).items()
        }
        name = max(sizes, key=sizes.__getitem__)
        return self._divergence(
            _layer_of(name), f"the batch's loss is {loss:.3g}, with values up to {sizes[name]:.3g} in {name}"
        )

    def _divergence(self, layer: str, found: str) -> Diverged:
        return Diverged(epoch=self.state.epoch + 1, step=self.state.step + 1, layer=layer, found=found)


def _layer_of(name: str) -> str:
    """The layer a tensor name belongs to: "dense 2" of W.2 or Z.2, "layers.3" of layers.3.y, "input" of A.0."""
    if name == "A.0":
        return "input"
    first, second, *_ = name.split(".")
    return f"layers.{second}" if first == "layers" else f"dense {second}"
