"""Journeys: a run computed again in a process of its own, from one of its stored states to the next, and proved.

The process is set up as a worker is: with the same BLAS threads it computes the same bits.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.blas import using_threads
from engine.data import Preprocessing
from engine.errors import DataError
from engine.fingerprint import fingerprint
from engine.inspection import ObservedStep, Replay
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from engine.training import TrainingData, TrainingState
from engine.training.trainer import Trainer
from service.domain import datasets
from service.domain.courses import moment_of, resolved_at
from service.domain.training import Parts, parts
from service.settings import Settings
from service.store import checkpoints as stored
from service.store import digests, epochs, runs
from service.store.database import Database
from service.store.tables import CheckpointRow, Json

Found = TypeVar("Found")

HOP = 64
"""Steps: a stored state that spares fewer is passed by."""


@dataclass(frozen=True)
class Stretch:
    """Steps computed again from one stored state."""

    start: str | None
    """The checkpoint's id; None where the seed is the start."""
    start_moment: int
    steps: int
    proved_at: int | None
    """The moment whose digest was compared; None where none is stored."""
    is_exact: bool
    then: Json | None
    """The fingerprint it was computed under."""


@dataclass(frozen=True)
class Travelled(Generic[Found]):
    """What was looked at on the way, and how far it can be trusted."""

    found: Found
    stretches: tuple[Stretch, ...]
    seconds: float
    fingerprint: Json


class Journey:
    """A run computed again, that goes to any moment by the nearest stored state, and keeps steps whole on the way."""

    def __init__(self, settings: Settings, database: Database, run_id: str) -> None:
        self.settings, self.database, self.run_id = settings, database, run_id
        with database.read() as session:
            run = runs.get(session, run_id)
        if run is None:
            raise DataError("run", f"run {run_id} is gone")
        self.run = run
        self.spec, self.preprocessing = (
            RunSpec.model_validate(run.resolved),
            Preprocessing.from_json(run.preprocessing),
        )
        self.network = Network.of(self.spec, n_in=self.preprocessing.n_in)
        self.steps_per_epoch = run.steps_per_epoch
        self.stretches: list[Stretch] = []
        self._replay: Replay | None = None
        self._start: CheckpointRow | None = None

    @cached_property
    def parts(self) -> Parts:
        """The run's encoded rows."""
        return parts(
            self.spec,
            self.preprocessing,
            self.network,
            datasets.table_of(self.settings.data, self.run.dataset_id),
            bytes_in_memory=min(self.settings.limits.encoded_bytes_in_memory, self.run.memory_bytes),
            folder=self.settings.data,
        )

    @property
    def rows(self) -> Array:
        """Which rows of the dataset the training rows are."""
        return self.parts.train_rows

    @property
    def data(self) -> TrainingData:
        """What it trains on."""
        return self.parts.training

    @property
    def replay(self) -> Replay:
        """What is computed again now."""
        if self._replay is None:
            raise RuntimeError("expected a journey under way")
        return self._replay

    @property
    def state(self) -> TrainingState:
        """As it is at the moment reached."""
        return self.replay.state

    @property
    def moment(self) -> int:
        """How many steps are done."""
        return self.replay.moment

    def to(self, moment: int) -> None:
        """Go to a moment, earlier or later, by the stored state that spares the most steps."""
        with self.database.read() as session:
            row, content = self._nearest(session, moment)
        stored_at = 0 if row is None else moment_of(row, self.steps_per_epoch)
        if self._replay is None or moment < self.moment or stored_at >= self.moment + HOP:
            self.prove()
            self._begin(row, content)
        self._on(moment)

    @staticmethod
    def steps_to(moments: Sequence[int], stored_at: Sequence[int]) -> int:
        """How many steps are computed on the way to these moments, one after the other, as `to` goes."""
        steps, reached = 0, None
        for moment in moments:
            nearest = max((each for each in stored_at if each <= moment), default=0)
            begins = reached is None or moment < reached or nearest >= reached + HOP
            steps += moment - (nearest if begins else reached or 0)
            reached = moment
        return steps

    def _on(self, moment: int) -> None:
        """Go on to a moment, and train as the run was then, also where that was changed on the way."""
        for amendment in self.run.amendments:
            if self.moment <= amendment["moment"] <= moment:
                self.replay.to(amendment["moment"])
                self._replay = self._replay_of(self.state)
        self.replay.to(moment)

    def state_at(self, moment: int) -> TrainingState:
        """The whole state at a moment, with all that is measured at epochs' ends, from which a run can go on."""
        with self.database.read() as session:
            row, content = self._nearest(session, moment)
        self._begin(row, content)
        ends = [end for each in self.run.amendments if self.moment < (end := each["moment"]) < moment]
        for end in [*ends, moment]:
            self._measured_to(end)
        return self.state

    def _measured_to(self, moment: int) -> None:
        spec, data = self._spec_at(self.moment), self.parts.training
        trainer = Trainer(self.network, data, spec.training, self.state, seed=spec.seed, steps_at_once=1)
        while self.moment < moment:
            trainer.run(lambda: self.moment >= moment)

    def observe(self) -> ObservedStep:
        """Take the next step, and keep all of it."""
        return self.replay.observe()

    def prove(self) -> None:
        """Go on to the next digest that was stored, and compare."""
        if self._replay is None:
            return
        start = 0 if self._start is None else moment_of(self._start, self.steps_per_epoch)
        with self.database.read() as session:
            proof = self._proof(session, self.moment)
        if proof is not None:
            self._on(proof[0])
        replay = self.replay
        self.stretches.append(
            Stretch(
                start=None if self._start is None else self._start.id,
                start_moment=start,
                steps=replay.moment - start,
                proved_at=None if proof is None else proof[0],
                is_exact=proof is not None and _short(replay.digest()) == proof[1],
                then=self.run.fingerprint if self._start is None else self._start.fingerprint,
            )
        )
        self._replay = None

    def _begin(self, row: CheckpointRow | None, content: bytes | None) -> None:
        if content is None and self.run.parent_checkpoint_id is not None:
            raise DataError("run", "the state it began with, its parent's, is no longer stored", code="not_stored")
        data = self.parts.training
        self._start = row
        self._replay = self._replay_of(
            TrainingState.of(self._spec_at(0), self.network, data)
            if content is None
            else formats.load(content, self.network)
        )

    def _replay_of(self, state: TrainingState) -> Replay:
        spec = self._spec_at(state.epoch * self.steps_per_epoch + state.step)
        return Replay(self.network, self.parts.training, spec.training, state, seed=spec.seed, recorded=self._recorded)

    def _spec_at(self, moment: int) -> RunSpec:
        return RunSpec.model_validate(resolved_at(self.run, moment))

    def _nearest(self, session: Session, moment: int) -> tuple[CheckpointRow | None, bytes | None]:
        """The furthest whole state at or before a moment, with its bytes; None where the seed's is the nearest."""
        epoch, step = divmod(moment, self.steps_per_epoch)
        for row in stored.waypoints_until(session, self.run_id, epoch=epoch, step=step):
            try:
                return row, stored.content(session, row)
            except stored.DamagedCheckpoint:
                continue
        return None, None

    def _recorded(self, epoch: int) -> dict[str, Any]:
        """What was measured at an epoch's end, where the learning rate goes by it."""
        if self.spec.training.schedule.type != "reduce_on_plateau":
            return {}
        with self.database.read() as session:
            row = epochs.get(session, self.run_id, epoch)
            return {} if row is None else row.values

    def _proof(self, session: Session, moment: int) -> digests.Noted | None:
        """The first digest at a moment or behind it: of a step, an epoch's end or a stored state."""
        per_epoch = self.steps_per_epoch
        found = [digests.first_from(session, self.run_id, moment)]
        report = epochs.first_from(session, self.run_id, -(-moment // per_epoch))
        if report is not None:
            found.append((report.epoch * per_epoch, _short(report.parameters_digest)))
        row = stored.first_waypoint(session, self.run_id, epoch=moment // per_epoch, step=moment % per_epoch)
        if row is not None:
            found.append((moment_of(row, per_epoch), _short(row.parameters_digest)))
        return min((each for each in found if each is not None), default=None)


def _short(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal)[: digests.DIGEST_BYTES]


def travel(settings: Settings, run_id: str, look: Callable[[Journey], Found]) -> Travelled[Found]:
    """In the process: look, and prove what was looked at."""
    begun, database = time.perf_counter(), Database(settings.database)
    try:
        journey = Journey(settings, database, run_id)
        with using_threads(journey.spec.training.threads):
            found = look(journey)
            journey.prove()
            now = fingerprint(journey.spec.training.dtype)
    finally:
        database.dispose()
    return Travelled(found, tuple(journey.stretches), time.perf_counter() - begun, now)
