"""One attempt at a run: take up the newest checkpoint, train, store, and end in one of the ways a run can."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.data import Preprocessing
from engine.errors import CheckpointError, Diverged
from engine.fingerprint import fingerprint
from engine.metrics import measure
from engine.network import Network
from engine.parameters import Array, digest
from engine.spec import RunSpec
from engine.training import EpochReport, StepReport, TrainingState, reason_to_stop, train
from service.domain import datasets
from service.domain.training import Parts, parts
from service.ids import new_id
from service.settings import Settings
from service.store import checkpoints, epochs, events, runs
from service.store.database import Database
from service.store.tables import CheckpointRow, RunRow
from service.worker.heartbeat import Heartbeat

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
FIRST_CHECKPOINT_SECONDS = 0.8


class Fenced(Exception):  # noqa: N818 - what happened
    """The run is no longer this attempt's."""


@dataclass
class Moment:
    """A state of the training that is to be stored."""

    epoch: int
    step: int
    content: bytes
    digest: str
    values: dict[str, Any] | None
    is_best: bool = False
    is_periodic: bool = False


@dataclass
class Unsaved:
    """What happened since the last flush."""

    reports: list[EpochReport] = field(default_factory=list)
    best: Moment | None = None
    periodic: list[Moment] = field(default_factory=list)


class Attempt:
    """The training of one run under one claim."""

    def __init__(
        self, settings: Settings, database: Database, run_id: str, attempt: int, *, stopping: threading.Event
    ) -> None:
        self.settings, self.database, self.stopping = settings, database, stopping
        self.run_id, self.attempt = run_id, attempt
        self.heart = Heartbeat(database, run_id, attempt, lease_seconds=settings.lease_seconds, position=self._position)
        self.state: TrainingState | None = None
        self.unsaved = Unsaved()
        self.next_flush = time.monotonic() + FLUSH_SECONDS
        self.next_checkpoint = time.monotonic() + FIRST_CHECKPOINT_SECONDS

    def run(self) -> None:
        """Train to the run's end, or to the point where someone wants it to stop. Raises Fenced if it was lost."""
        self.heart.start()
        try:
            self._prepare()
            self._train()
        except Diverged as error:
            self._diverged(error)
        finally:
            self.heart.stop()

    # Getting ready -------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        with self.database.read() as session:
            run = runs.get(session, self.run_id)
            if run is None:
                raise Fenced
            self.reported = epochs.last(session, self.run_id)
        self.spec = RunSpec.model_validate(run.resolved)
        self.preprocessing = Preprocessing.from_json(run.preprocessing)
        self.network = Network.of(self.spec, n_in=self.preprocessing.n_in)
        table = datasets.table_of(self.settings.data, run.dataset_id)
        self.parts: Parts = parts(self.spec, self.preprocessing, self.network, table)
        self.best: dict[str, Any] | None = run.best
        self.last: dict[str, Any] | None = run.last
        self.fingerprint = fingerprint(self.spec.training.dtype)
        self.state = self._load() or TrainingState.start(self.network, self.spec.training, seed=self.spec.seed)
        self.begun_at = self._position()
        self._note_fingerprint(run)

    def _load(self) -> TrainingState | None:
        """The furthest stored state that is whole; None if nothing was stored. Says so where one is damaged."""
        with self.database.read() as session:
            rows = checkpoints.of_run(session, self.run_id)
        for row in rows:
            try:
                with self.database.read() as session:
                    return formats.load(checkpoints.content(session, row), self.network)
            except (CheckpointError, checkpoints.DamagedCheckpoint) as error:
                self._say("warning", {"detail": f"a checkpoint can't be used, so an earlier one is: {error}"})
        if rows:
            self._say("warning", {"detail": "no stored checkpoint can be used, so the run starts anew"})
        return None

    def _note_fingerprint(self, run: RunRow) -> None:
        if run.fingerprint is not None and run.fingerprint != self.fingerprint:
            changed = [name for name in self.fingerprint if run.fingerprint.get(name) != self.fingerprint[name]]
            detail = f"goes on under another fingerprint ({', '.join(changed)}); the last bits may differ"
            self._say("warning", {"detail": detail, "before": run.fingerprint, "now": self.fingerprint})
        self._write(lambda session: self._fenced(session, fingerprint=self.fingerprint))

    # Training ------------------------------------------------------------------------------------------------------

    def _train(self) -> None:
        state = self._state
        reports = train(
            self.network,
            self.parts.training,
            self.spec.training,
            state,
            seed=self.spec.seed,
            interrupt=self._wants_attention,
        )
        for report in reports:
            if isinstance(report, EpochReport):
                self._note(report)
                if report.reason is not None:
                    break
            if self._stop_if_wanted():
                return
            self._save_if_due(report)
        self._succeed()

    def _wants_attention(self) -> bool:
        """Asked after every batch."""
        return self.heart.wants_attention or self.stopping.is_set() or time.monotonic() >= self.next_checkpoint

    def _note(self, report: EpochReport) -> None:
        """Remember an epoch, and its state where it is one to keep."""
        self.unsaved.reports.append(report)
        every = self.spec.training.checkpoints.every
        is_periodic = every is not None and report.epoch % every == 0
        if report.improved or is_periodic:
            moment = self._moment(report.values)
            moment.is_best, moment.is_periodic = report.improved, is_periodic
            if is_periodic:
                self.unsaved.periodic.append(moment)
            if report.improved:
                self.unsaved.best = moment

    def _stop_if_wanted(self) -> bool:
        if self.heart.is_lost:
            raise Fenced
        if self.heart.cancel:
            self._save(end=("cancelled", {"code": "cancelled_by_user", "detail": "as asked"}))
        elif self.heart.pause:
            self._save(end=("paused", {"code": "paused_by_user", "detail": "as asked"}))
        elif self.stopping.is_set():
            self._save(end=("queued", {"code": "worker_stopped", "detail": "its worker was asked to stop"}))
        else:
            return False
        return True

    def _save_if_due(self, report: EpochReport | StepReport) -> None:
        now = time.monotonic()
        if now >= self.next_checkpoint:
            self._save(checkpoint=True)
            self.next_checkpoint = time.monotonic() + self.settings.checkpoint_seconds
        elif now >= self.next_flush and isinstance(report, EpochReport):
            self._save()
        else:
            return
        self.next_flush = time.monotonic() + FLUSH_SECONDS

    # Storing -------------------------------------------------------------------------------------------------------

    def _save(
        self,
        *,
        checkpoint: bool = False,
        end: tuple[str, dict[str, Any]] | None = None,
        **values: Any,
    ) -> None:
        """Store all that is unsaved, in one transaction: epochs, events, checkpoints, the run's own columns."""
        moments = list(self.unsaved.periodic)
        if self.unsaved.best is not None and self.unsaved.best not in moments:
            moments.append(self.unsaved.best)
        if (checkpoint or end is not None) and self._position() != self.begun_at:
            position = self._position()
            if not any((moment.epoch, moment.step) == position for moment in moments):
                moments.append(self._moment(self._last_values() if position[1] == 0 else None))
        self._write(lambda session: self._store(session, moments, end, values))
        self.unsaved = Unsaved()

    def _store(
        self,
        session: Session,
        moments: list[Moment],
        end: tuple[str, dict[str, Any]] | None,
        values: dict[str, Any],
    ) -> None:
        epoch, step = self._position()
        happened = []
        for report in self.unsaved.reports:
            self.last = {"epoch": report.epoch, "values": report.values, "checkpoint": None}
            if report.epoch > self.reported:
                happened.append(("epoch", {"epoch": report.epoch, **report.values}))
        for moment in moments:
            happened.append(("checkpoint", self._store_moment(session, moment)))
        if moments:
            values = {**values, "deaths": 0}
        self._fenced(session, epoch=epoch, step=step, best=self.best, last=self.last, **values)
        if happened:
            events.append_all(session, self.run_id, happened)
        epochs.record(
            session,
            [
                {
                    "run_id": self.run_id,
                    "epoch": report.epoch,
                    "values": report.values,
                    "parameters_digest": report.digest,
                }
                for report in self.unsaved.reports
            ],
        )
        if moments:
            checkpoints.prune(
                session,
                self.run_id,
                keep_periodic=self.spec.training.checkpoints.keep,
                maximum_bytes=self.settings.limits.checkpoint_bytes_per_run,
            )
        self.reported = max([self.reported, *(report.epoch for report in self.unsaved.reports)])
        if end is not None:
            self._end(session, *end)

    def _store_moment(self, session: Session, moment: Moment) -> dict[str, Any]:
        row = CheckpointRow(
            id=new_id("ckpt"),
            run_id=self.run_id,
            epoch=moment.epoch,
            step=moment.step,
            is_best=moment.is_best,
            is_periodic=moment.is_periodic,
            values=moment.values,
            parameters_digest=moment.digest,
            fingerprint=self.fingerprint,
            created_at=datetime.now(UTC),
        )
        checkpoints.add(session, row, moment.content)
        best = self._state.best
        if moment.is_best and best is not None:
            self.best = {"epoch": moment.epoch, "metric": best.metric, "value": best.value, "checkpoint": row.id}
        if self.last is not None and moment.step == 0 and moment.epoch == self.last["epoch"]:
            self.last["checkpoint"] = row.id
        return {"checkpoint": row.id, "epoch": moment.epoch, "step": moment.step, "best": moment.is_best}

    def _end(self, session: Session, status: str, reason: dict[str, Any]) -> None:
        if status == "queued":
            runs.give_back(session, self.run_id, self.attempt, event="requeued", reason=reason)
        elif not runs.end(session, self.run_id, self.attempt, status, reason):
            raise Fenced

    def _moment(self, values: dict[str, Any] | None) -> Moment:
        state = self._state
        content = formats.dump(state, self.network)
        return Moment(state.epoch, state.step, content, digest(state.parameters), values)

    def _last_values(self) -> dict[str, Any] | None:
        if self.unsaved.reports:
            return self.unsaved.reports[-1].values
        return self.last["values"] if self.last else None

    def _fenced(self, session: Session, **values: Any) -> None:
        if not runs.fenced(session, self.run_id, self.attempt, **values):
            raise Fenced

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        def store(session: Session) -> None:
            if not runs.holds(session, self.run_id, self.attempt):
                raise Fenced
            events.append(session, self.run_id, kind, data)

        self._write(store)

    def _write(self, store: Callable[[Session], None]) -> None:
        """Write in a transaction; a database that is locked, full or away is tried again while the lease lives."""
        pause = 0.05
        while True:
            try:
                with self.database.write() as session:
                    store(session)
                return
            except DBAPIError as error:
                if self.heart.is_lost:
                    raise
                log.warning("run %s: could not write, trying again: %s", self.run_id, error.orig)
                time.sleep(pause)
                pause = min(2 * pause, 1.0)

    # Ending --------------------------------------------------------------------------------------------------------

    def _succeed(self) -> None:
        """Store the end: metrics of the best parameters on the rows held out, and their digest."""
        state = self._state
        best = state.best.parameters if state.best is not None else state.parameters
        code = reason_to_stop(state, self.spec.training)
        detail = {
            "completed": f"all {state.epoch} epochs",
            "early_stopping": f"no better epoch for {state.stale_epochs} epochs",
            "target_reached": f"the monitored number is as good as asked for after {state.epoch} epochs",
            "time_budget": f"{state.spent_seconds:.3g} seconds are spent after {state.epoch} epochs",
        }[code or "completed"]
        held_out = self.parts.training
        metrics = {
            "validation": self._metrics(best, held_out.X_validation, held_out.Y_validation),
            "test": self._metrics(best, self.parts.X_test, self.parts.Y_test),
        }
        self._ensure_best()
        self._save(
            checkpoint=True,
            end=("succeeded", {"code": code, "detail": detail}),
            metrics=metrics,
            weights_digest=digest(best),
        )

    def _ensure_best(self) -> None:
        """See that the best parameters have a checkpoint: a fork may have begun behind the one it had."""
        best, state = self._state.best, self._state
        with self.database.read() as session:
            stored = [row.epoch for row in checkpoints.of_run(session, self.run_id) if row.is_best]
        if self.unsaved.best is not None or stored:
            return
        moment = self._moment(None)
        if best is not None and best.epoch != state.epoch:
            alone = TrainingState(best.parameters, dict.fromkeys(state.moments, best.parameters * 0), epoch=best.epoch)
            moment = Moment(best.epoch, 0, formats.dump(alone, self.network), digest(best.parameters), None)
        moment.is_best = True
        self.unsaved.best = moment

    def _metrics(self, parameters: Array, X: Array | None, Y: Array | None) -> dict[str, float | None] | None:
        if X is None or Y is None or not len(X):
            return None
        evaluation = self.network.evaluate(parameters, X, Y)
        data = self.parts.training
        scores = self.network.loss.scores
        return {"loss": evaluation.loss, **measure(data.task, evaluation.A, Y, data.scale, scores=scores)}

    def _diverged(self, error: Diverged) -> None:
        """End as failed, keeping what was stored while the numbers were finite."""
        reason = {
            "code": "diverged",
            "detail": f"{error}; try a smaller learning rate",
            "epoch": error.epoch,
            "step": error.step,
            "layer": error.layer,
            "found": error.found,
        }
        self._write(lambda session: self._store(session, _all_of(self.unsaved), ("failed", reason), {}))

    @property
    def _state(self) -> TrainingState:
        if self.state is None:
            raise RuntimeError("expected a prepared attempt")
        return self.state

    def _position(self) -> tuple[int, int]:
        return (self.state.epoch, self.state.step) if self.state is not None else (0, 0)


def _all_of(unsaved: Unsaved) -> list[Moment]:
    best = [unsaved.best] if unsaved.best is not None and unsaved.best not in unsaved.periodic else []
    return [*unsaved.periodic, *best]
