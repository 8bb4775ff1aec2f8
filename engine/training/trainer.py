"""The trainer: epochs of steps, each a gradient and an update, measured at their end."""

from collections.abc import Callable, Iterator
from functools import cached_property
from math import inf, isfinite, nan, sqrt
from time import perf_counter

import numpy as np

from engine.errors import Diverged
from engine.metrics import Judged, Part, measure, rises
from engine.network import Evaluator, Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array, Layout, digest
from engine.penalties import penalty
from engine.spec import TrainingSpec
from engine.training.chunks import Chunk, Chunks
from engine.training.data import TrainingData
from engine.training.divergence import EXPLOSION, Found, largest, not_finite, too_large
from engine.training.full_batch import Objective
from engine.training.order import epoch_order, steps_per_epoch
from engine.training.reports import EpochReport, StepReport, monitored, reason_to_stop
from engine.training.state import Best, TrainingState
from engine.training.updates import LearningRates, Updates, check_updates


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
    take: Callable[["Trainer", Array], None] | None = None,
) -> Iterator[EpochReport | StepReport]:
    """Train from `state`, which is changed in place and whole at every report, to the end.

    Gives an EpochReport at each epoch's end, and a StepReport where `interrupt()` is true, which is asked after every
    `steps_at_once` steps; None makes that about a millisecond's. The bits do not depend on it. Raises Diverged when the
    numbers leave what one can learn from. `take` does the next steps in the trainer's place, of an epoch that goes
    through the rows in an order.
    """
    trainer = Trainer(network, data, training, state, seed=seed, steps_at_once=steps_at_once)
    trainer.take = take or Trainer.chunk
    while reason_to_stop(state, training) is None:
        yield trainer.run(interrupt)


class Trainer:
    """One training under way: what every step uses again."""

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
        check_updates(network, training)
        state.suit(network, training, monitor=self.monitor)
        self.optimizer = OPTIMIZERS[training.optimizer.type](training.optimizer)
        self.is_random = network.is_random
        self.chunks = Chunks(
            network, data, training, state.parameters, steps=steps_at_once, of_all_rows=self.optimizer.full_batch
        )
        self.steps_per_epoch = steps_per_epoch(training, len(data.X))
        self.rates = LearningRates(training)
        self.learned = state.parameters[: network.parameter_count]
        self.served = state.parameters if state.average is None else state.average
        """The parameters that are evaluated, and kept if they are the best."""
        self.truths = data.truths()
        held_out = 0 if data.X_validation is None else len(data.X_validation)
        self.take: Callable[[Trainer, Array], None] = Trainer.chunk
        self.evaluator = Evaluator(network, self.served, rows=max(len(data.X), held_out))
        self.explosion: float | None = EXPLOSION
        """The loss at which it ends as diverged, in units of the first; None: at none while gradients are finite."""

    @cached_property
    def updates(self) -> Updates:
        return Updates(
            self.network,
            self.training,
            self.state,
            self.chunks.gradient,
            steps_per_epoch=self.steps_per_epoch,
            steps_at_once=self.chunks.steps,
        )

    @cached_property
    def objective(self) -> Objective:
        return Objective(self._whole, self.learned, self.training.l2, Layout(self.network.shapes))

    def run(self, interrupt: Callable[[], bool]) -> EpochReport | StepReport:
        """Train to the end of the epoch, or to where `interrupt()` is true."""
        state, begun = self.state, perf_counter()
        with np.errstate(all="ignore"):
            if self.optimizer.full_batch:
                self.full_step()
                return self._end_epoch(begun)
            order = epoch_order(len(self.data.X), seed=self.seed, epoch=state.epoch)
            while state.step < self.steps_per_epoch:
                self.take(self, order)
                if interrupt() and state.step < self.steps_per_epoch:
                    state.seconds += perf_counter() - begun
                    return StepReport(state.epoch, state.step)
            return self._end_epoch(begun)

    def chunk(self, order: Array, *, most: int | None = None) -> None:
        """The next steps: their rows gathered together, then each on its own, then their losses together."""
        state, chunks, first, size = self.state, self.chunks, self.state.step, self.chunks.batch_size
        steps = chunks.steps if most is None else min(chunks.steps, most)
        chunk = chunks.gather(order[first * size : (first + steps) * size])
        square_of = chunks.gradient.dot
        for number, (plan, update) in enumerate(zip(chunk.plans, self.updates.plans(len(chunk.plans)), strict=True)):
            if self.is_random:
                chunks.at(seed=self.seed, epoch=state.epoch, step=state.step)
            for each in plan:
                each()
            square = float(square_of(chunks.gradient))
            if not square < inf:
                self._note_losses(chunk, first=first, count=number)
                raise self._not_finite(chunk, number, step=state.step)
            for each in update:
                each()
            state.step += 1
            state.gradient_norm += sqrt(square)
        self._note_losses(chunk, first=first, count=len(chunk.plans))

    def _note_losses(self, chunk: Chunk, *, first: int, count: int) -> None:
        """Those of a chunk's first batches: the first that left what one can learn from is where it diverged."""
        for step, loss in enumerate(self.chunks.losses(chunk)[:count], start=first):
            self.note_loss(loss, step=step)

    def full_step(self) -> None:
        """The one step of an epoch whose optimizer looks at all rows together."""
        state = self.state
        self.objective.measure(self.learned)
        self.note_loss(self.objective.loss, step=0)
        state.gradient_norm += self.objective.norm
        self.optimizer.step(self.learned, state.moments, self.objective, self._learning_rate())
        state.updates += 1
        state.step = 1

    def _whole(self, gradient: Array) -> float:
        """The mean loss of all rows, with the sum of all batches' shares of its gradient."""
        chunks, rows, total = self.chunks, np.arange(len(self.data.X)), 0.0
        at_once = chunks.steps * chunks.batch_size
        gradient.fill(0)
        for start in range(0, len(rows), at_once):
            chunk = chunks.gather(rows[start : start + at_once])
            for number, plan in enumerate(chunk.plans):
                for each in plan:
                    each()
                if not float(chunks.gradient.dot(chunks.gradient)) < inf:
                    raise self._not_finite(chunk, number, step=0)
                np.add(gradient, chunks.gradient, out=gradient)
            total += float(np.dot(chunks.losses(chunk), chunk.counts))
        return total / len(rows)

    def _learning_rate(self) -> float:
        """That of the epoch's last step."""
        return self.rates.at(self.state, self.steps_per_epoch - 1, self.steps_per_epoch)

    def note_loss(self, loss: float, *, step: int) -> None:
        """Add a batch's loss to the epoch's. Raises Diverged for one that left what one can learn from."""
        state = self.state
        if state.first_loss is None:
            state.first_loss = loss
        if self.explosion is not None and not loss < self.explosion * max(1.0, state.first_loss):
            raise self._diverged(largest(self.network, self.learned, loss), step=step)
        state.running_loss += loss

    def _end_epoch(self, begun: float) -> EpochReport:
        state, data = self.state, self.data
        values: dict[str, float | None] = {"train.running_loss": state.running_loss / self.steps_per_epoch}
        values |= self._evaluate("train", data.X)
        if data.X_validation is not None:
            values |= self._evaluate("validation", data.X_validation)
        self._check_end(values["train.loss"])
        values["train.objective"] = self._objective(values["train.loss"])
        values["learning_rate"] = self._learning_rate()
        values["grad_norm"] = state.gradient_norm / self.steps_per_epoch
        values["seconds"] = seconds = state.seconds + perf_counter() - begun
        state.spent_seconds += seconds
        self._next_epoch()
        improved = self._note_best(values[self.monitor])
        return EpochReport(
            epoch=state.epoch,
            values=values,
            digest=digest(state.parameters),
            improved=improved,
            reason=reason_to_stop(state, self.training),
        )

    def pass_epoch(self, monitored: float | None) -> None:
        """Leave an epoch that was measured before, without measuring it again: `monitored` is what was found then."""
        self._next_epoch()
        if monitored is not None:
            self.rates.schedule.note(self.state.plateau, self._sign * monitored)

    def _next_epoch(self) -> None:
        state = self.state
        state.epoch, state.step = state.epoch + 1, 0
        state.running_loss = state.gradient_norm = state.seconds = 0.0

    @property
    def _sign(self) -> int:
        """What makes less of the monitored number better."""
        return -1 if rises(self.monitor) else 1

    def _evaluate(self, part: Part, X: Array) -> dict[str, float | None]:
        truth = self.truths[part]
        evaluation = self.evaluator.evaluate(X, truth.Y, truth.weights)
        rows = Judged(evaluation.A, truth, self.network.loss.scores)
        values = {"loss": evaluation.loss, **measure(rows, each_epoch=part)}
        return {
            f"{part}.{name}": value if value is not None and isfinite(value) else None for name, value in values.items()
        }

    def _objective(self, loss: float | None) -> float | None:
        """What training minimizes: the loss and the penalty."""
        if loss is None:
            return None
        learned = self.served[: self.network.parameter_count]
        return loss + penalty(self.training.l1, self.training.l2, Layout(self.network.shapes), learned)

    def _note_best(self, value: float | None) -> bool:
        """Keep the parameters if they are the best so far, and count the epochs without enough improvement."""
        state, stopping = self.state, self.training.early_stopping
        sign = self._sign
        min_delta = stopping.min_delta if stopping else 0.0
        state.stale_epochs += 1
        if value is None:
            return False
        self.rates.schedule.note(state.plateau, sign * value)
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

    def _check_end(self, loss: float | None) -> None:
        """Raise Diverged where the epoch left weights that no longer mean anything, though no step showed it."""
        found = too_large(self.network, self.learned)
        if found is None and loss is None:
            found = largest(self.network, self.learned, nan)
        if found is not None:
            raise self._diverged(found, step=self.steps_per_epoch - 1)

    def _not_finite(self, chunk: Chunk, number: int, *, step: int) -> Diverged:
        """Say where one of a chunk's batches left the finite numbers."""
        found = not_finite(self.network, self.chunks.parts(chunk, number))
        return self._diverged(
            found or largest(self.network, self.learned, self.chunks.losses(chunk)[number]), step=step
        )

    def _diverged(self, found: Found, *, step: int) -> Diverged:
        layer, what = found
        return Diverged(epoch=self.state.epoch + 1, step=step + 1, layer=layer, found=what)
