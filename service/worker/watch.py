"""The watch: looks at every step of a training for the watchpoints of its run, where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from engine.errors import Diverged, SpecError
from engine.inspection import ObservedStep, Observer
from engine.inspection.measures import Measure, Predicate
from engine.parameters import Array
from engine.training.trainer import Trainer
from service.store.tables import WatchpointRow


@dataclass(frozen=True)
class Hit:
    """A watchpoint that was met."""

    id: str
    quantity: str
    step: int
    value: float | None

    @property
    def detail(self) -> str:
        """What happened, in a sentence."""
        return f"{self.quantity} is {'not finite' if self.value is None else f'{self.value:.6g}'} at step {self.step}"


class Watch:
    """Takes the steps of a training: as it would on its own, or one by one and kept whole where someone watches."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        """Of the step just taken."""
        self.wrong: dict[str, str] = {}
        """Of watchpoints that no step can meet, why not."""
        self._awaited: dict[str, Predicate] = {}
        self._observer: Observer | None = None

    def await_(self, rows: Sequence[WatchpointRow]) -> None:
        """Look for these from now on."""
        self._awaited = {
            row.id: Predicate(Measure.parse(row.quantity), row.comparison, row.value)
            for row in rows
            if row.id not in self.wrong
        }

    def take(self, trainer: Trainer, order: Array) -> None:
        """The next steps of an epoch that goes through the rows in this order."""
        if not self._awaited:
            trainer.chunk(order)
            return
        if self._observer is None or self._observer.trainer is not trainer:
            self._observer = Observer(trainer)
        step = self._observer.take(order)
        self._look_at(step)
        if isfinite(step.gradient_norm):
            self._note(step, trainer)
        elif not self.hits:
            trainer.chunk(order, most=1)  # which says what is wrong

    def _note(self, step: ObservedStep, trainer: Trainer) -> None:
        """What a trainer notes of its own steps. A loss that exploded ends no run that pauses here."""
        state = trainer.state
        state.gradient_norm += step.gradient_norm
        try:
            trainer.note_loss(step.loss, step=step.step - 1)
        except Diverged:
            if not self.hits:
                raise
            state.running_loss += step.loss

    def _look_at(self, step: ObservedStep) -> None:
        for name, predicate in list(self._awaited.items()):
            try:
                holds, value = predicate.holds(step)
            except SpecError as error:
                self.wrong[name] = str(error)
                del self._awaited[name]
                continue
            if holds:
                text = predicate.measure.text
                self.hits.append(Hit(name, text, step.number, value if isfinite(value) else None))
