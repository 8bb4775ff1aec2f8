"""One attempt at a run: take up the newest checkpoint, train, store, and end in one of the ways a run can."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from errno import EDQUOT, EFBIG, ENOSPC
from functools import cached_property
from math import isfinite
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.blas import using_threads
from engine.data import Preprocessing
from engine.errors import CheckpointError, Diverged
from engine.fingerprint import fingerprint
from engine.metrics import Judged, Truth, measure
from engine.network import Network
from engine.parameters import Array, digest
from engine.spec import RunSpec
from engine.training import EpochReport, StepReport, TrainingState, reason_to_stop, steps_per_epoch, train
from service.domain import datasets
from service.domain.training import Parts, parts
from service.ids import new_id
from service.settings import Settings
from service.store import checkpoints, digests, epochs, events, runs, watchpoints
from service.store.database import UNAVAILABLE, Database
from service.store.tables import CheckpointRow, Json
from service.worker.heartbeat import Heartbeat
from service.worker.trail import Trail
from service.worker.watch import Watch

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.9
"""So long epochs wait to be stored together: a transaction takes about ten milliseconds, a hundredth of that."""
FIRST_CHECKPOINT_SECONDS = 0.8
SAVING_SHARE = 0.01
"""Of its time a run may spend on the states that steps are replayed from; where they take long they lie further apart.
"""
RETRY_SECONDS = 2.0
"""So long a write is tried again although someone waits for the run to stop."""

Result = TypeVar("Result")
Ending = Callable[[Session], object]
"""Ends the run within a transaction that stores; gives something true if the run is over."""


class Fenced(Exception):  # noqa: N818 - what happened
    """The run is no longer this attempt's."""


class CannotTrain(Exception):  # noqa: N818 - said to the user
    """The run can't be trained by anyone: a code, and a sentence."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass
class Snapshot:
    """A state of the training that is to be stored. Its bytes are made when it is: most are replaced before."""

    state: TrainingState
    network: Network
    values: dict[str, Any] | None
    is_best: bool = False
    is_periodic: bool = False
    is_waypoint: bool = False

    @property
    def epoch(self) -> int:
        return self.state.epoch

    @property
    def step(self) -> int:
        return self.state.step

    @cached_property
    def content(self) -> bytes:
        """The checkpoint, whose writing may have to be tried again."""
        return formats.dump(self.state, self.network)


@dataclass
class Unsaved:
    """What happened since the last flush."""

    reports: list[EpochReport] = field(default_factory=list)
    best: Snapshot | None = None
    periodic: list[Snapshot] = field(default_factory=list)

    @property
    def snapshots(self) -> list[Snapshot]:
        """All that are to be stored, the best one last."""
        return [each for each in self.periodic if each is not self.best] + ([self.best] if self.best else [])


class Attempt:
    """The training of one run under one claim."""

    def __init__(
        self, settings: Settings, database: Database, run_id: str, attempt: int, *, is_stopping: Callable[[], bool]
    ) -> None:
        self.settings, self.database, self.is_stopping = settings, database, is_stopping
        self.run_id = run_id
        self.claim = (run_id, attempt)
        self.heart = Heartbeat(database, run_id, attempt, lease_seconds=settings.lease_seconds, position=self._position)
        self.state: TrainingState | None = None
        self.unsaved = Unsaved()
        self.watch, self.told_wrong = Watch(), set[str]()
        self.next_flush = time.monotonic() + FLUSH_SECONDS
        self.next_checkpoint = time.monotonic() + FIRST_CHECKPOINT_SECONDS

    def run(self) -> None:
        """Train to the run's end, or to the point where someone wants it to stop. Raises Fenced if it was lost."""
        self.heart.start()
        try:
            self._prepare()
            with using_threads(self.spec.training.threads):
                self._note_fingerprint()
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
        self.spec = RunSpec.model_validate(run.resolved)
        self.preprocessing = Preprocessing.from_json(run.preprocessing)
        self.network = Network.of(self.spec, n_in=self.preprocessing.n_in)
        self.parts = self._parts(run.dataset_id, run.memory_bytes)
        self.best: Json | None = run.best
        self.last: Json | None = run.last
        self.earlier_fingerprint = run.fingerprint
        self.trail = Trail(steps_per_epoch(self.spec.training, len(self.parts.training.X)))
        self.state = self._load() or TrainingState.of(self.spec, self.network, self.parts.training)
        self.stored_at = self._position()
        self._look_for_watchpoints()
        if self.state.optimizer is None:
            self._say("warning", {"detail": "goes on from parameters alone: its optimizer starts anew"})

    def _parts(self, dataset_id: str, memory_bytes: int) -> Parts:
        """The encoded rows, in memory if the process may take as much: the limit may be another than at acceptance."""
        try:
            table = datasets.table_of(self.settings.data, dataset_id)
        except FileNotFoundError as error:
            raise CannotTrain(
                "dataset_missing", f"the file of dataset {dataset_id} is not in the data folder"
            ) from error
        room = min(self.settings.limits.encoded_bytes_in_memory, memory_bytes)
        try:
            return parts(
                self.spec,
                self.preprocessing,
                self.network,
                table,
                bytes_in_memory=room,
                folder=self.settings.data,
            )
        except OSError as error:
            if error.errno not in (ENOSPC, EDQUOT, EFBIG):
                raise
            raise CannotTrain("disk_full", "the disk of the data folder has no room for the encoded rows") from error

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

    def _note_fingerprint(self) -> None:
        self.fingerprint, before = fingerprint(self.spec.training.dtype), self.earlier_fingerprint
        if before is not None and before != self.fingerprint:
            changed = [name for name in self.fingerprint if before.get(name) != self.fingerprint[name]]
            detail = f"goes on under another fingerprint ({', '.join(changed)}); the last bits may differ"
            self._say("warning", {"detail": detail, "before": before, "now": self.fingerprint})
        self._write(lambda session: self._hold(session, fingerprint=self.fingerprint))

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
            take=self.watch.take,
        )
        for report in reports:
            if isinstance(report, EpochReport):
                self._note(report)
                if report.reason is not None:
                    break
            if self._stop_at_watchpoint() or self._stop_if_wanted():
                return
            self._save_if_due(report)
        self._succeed()

    def _wants_attention(self) -> bool:
        """Asked between steps."""
        self.trail.pass_by(self._state)
        return (
            bool(self.watch.hits)
            or self.heart.wants_attention
            or self.is_stopping()
            or time.monotonic() >= self.next_checkpoint
        )

    def _note(self, report: EpochReport) -> None:
        """Remember an epoch, and its state where it is one to keep."""
        self.unsaved.reports.append(report)
        every = self.spec.training.checkpoints.every
        is_periodic = every is not None and report.epoch % every == 0
        if report.improved or is_periodic:
            snapshot = self._snapshot(report.values)
            snapshot.is_best, snapshot.is_periodic = report.improved, is_periodic
            if is_periodic:
                self.unsaved.periodic.append(snapshot)
            if report.improved:
                self.unsaved.best = snapshot

    def _stop_at_watchpoint(self) -> bool:
        """Store and pause where a watchpoint was met; the run is looked at, and resumed by its user."""
        hits = self.watch.hits
        if not hits:
            return False
        detail = "; ".join(hit.detail for hit in hits)
        reason = {"code": "watchpoint", "detail": detail, "watchpoint": hits[0].id, "step": hits[0].step}

        def pause(session: Session) -> bool:
            self._note_hits(session)
            return runs.pause_at(session, *self.claim, reason)

        return self._save(current=True, end=pause)

    def _note_hits(self, session: Session) -> None:
        for hit in self.watch.hits:
            watchpoints.hit(session, hit.id, step=hit.step, value=hit.value)

    def _look_for_watchpoints(self) -> None:
        """See which there are now, and say which can't be met."""
        told = set(self.watch.wrong)
        with self.database.read() as session:
            self.watch.await_(watchpoints.awaited(session, self.run_id))
        for name in self.told_wrong ^ told:
            self._say("warning", {"detail": f"a watchpoint can't be met: {self.watch.wrong[name]}"})
        self.told_wrong = told

    def _stop_if_wanted(self) -> bool:
        """Store and end as someone asked. A wish that was taken back meanwhile ends nothing."""
        if self.heart.is_lost:
            raise Fenced
        if self.heart.cancel or self.heart.pause:
            if self._save(current=True, end=lambda session: runs.end_as_asked(session, *self.claim)):
                return True
            self.heart.forget_wishes()
        if self.is_stopping():
            reason = {"code": "worker_stopped", "detail": "its worker was asked to stop"}
            return self._save(
                current=True,
                end=lambda session: runs.give_back(session, *self.claim, event="requeued", reason=reason),
            )
        return False

    def _save_if_due(self, report: EpochReport | StepReport) -> None:
        now = time.monotonic()
        if now >= self.next_checkpoint:
            self._save(current=True)
            end = time.monotonic()
            apart = max(self.settings.replay_seconds, (end - now) / SAVING_SHARE)
            self.next_checkpoint = end + min(apart, self.settings.checkpoint_seconds)
        elif now >= self.next_flush and isinstance(report, EpochReport):
            self._save()
        else:
            return
        self._look_for_watchpoints()
        self.next_flush = time.monotonic() + FLUSH_SECONDS

    # Storing -------------------------------------------------------------------------------------------------------

    def _save(self, *, current: bool = False, end: Ending | None = None, **values: Any) -> bool:
        """Store all that is unsaved, in one transaction: epochs, events, checkpoints, the run's own columns.

        With `current` the state as it is now, too. Gives whether the run is over.
        """
        snapshots, position = self.unsaved.snapshots, self._position()
        if current and position != self.stored_at:
            here = [each for each in snapshots if (each.epoch, each.step) == position]
            if not here:
                here = [self._snapshot(self._last_values() if position[1] == 0 else None)]
                snapshots += here
            here[-1].is_waypoint = True
        self.best, self.last, is_over = self._write(lambda session: self._store(session, snapshots, end, values))
        self.unsaved = Unsaved()
        self.trail.noted.clear()
        if current:
            self.stored_at = position
        return is_over

    def _store(
        self, session: Session, snapshots: list[Snapshot], end: Ending | None, values: dict[str, Any]
    ) -> tuple[Json | None, Json | None, bool]:
        """Write, and give the run's best and last and whether it is over.

        It may have to be done again, so nothing outside the transaction changes here.
        """
        self._hold(session)
        epoch, step = self._position()
        best, last = self.best, self.last
        happened: list[tuple[str, Json]] = []
        reported = epochs.last(session, self.run_id)
        for report in self.unsaved.reports:
            last = {"epoch": report.epoch, "values": report.values, "checkpoint": None}
            if report.epoch > reported:
                happened.append(("epoch", {"epoch": report.epoch, **report.values}))
        for snapshot in snapshots:
            row = self._store_snapshot(session, snapshot)
            happened.append(
                ("checkpoint", {"checkpoint": row.id, "epoch": row.epoch, "step": row.step, "best": row.is_best})
            )
            found = self._state.best
            if row.is_best and found is not None:
                best = {"epoch": row.epoch, "metric": found.metric, "value": found.value, "checkpoint": row.id}
            if last is not None and (row.epoch, row.step) == (last["epoch"], 0):
                last = {**last, "checkpoint": row.id}
        if snapshots:
            values = {**values, "deaths": 0}
        self._hold(session, epoch=epoch, step=step, best=best, last=last, **values)
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
        digests.record(session, self.run_id, self.trail.noted)
        if snapshots:
            checkpoints.prune(
                session,
                self.run_id,
                keep_periodic=self.spec.training.checkpoints.keep,
                maximum_bytes=self.settings.limits.checkpoint_bytes_per_run,
                waypoint_bytes=self.settings.limits.waypoint_bytes_per_run,
                steps_per_epoch=self.trail.steps_per_epoch,
            )
        return best, last, end is not None and bool(end(session))

    def _store_snapshot(self, session: Session, snapshot: Snapshot) -> CheckpointRow:
        row = CheckpointRow(
            id=new_id("ckpt"),
            run_id=self.run_id,
            epoch=snapshot.epoch,
            step=snapshot.step,
            is_best=snapshot.is_best,
            is_periodic=snapshot.is_periodic,
            is_waypoint=snapshot.is_waypoint,
            values=snapshot.values,
            parameters_digest=digest(snapshot.state.parameters),
            fingerprint=self.fingerprint,
            created_at=datetime.now(UTC),
        )
        checkpoints.add(session, row, snapshot.content)
        return row

    def _snapshot(self, values: dict[str, Any] | None) -> Snapshot:
        return Snapshot(self._state.copy(), self.network, values)

    def _last_values(self) -> dict[str, Any] | None:
        if self.unsaved.reports:
            return self.unsaved.reports[-1].values
        return self.last["values"] if self.last else None

    def _hold(self, session: Session, **values: Any) -> None:
        """Keep the run to the end of this transaction, and write to it. Raises Fenced if it is no longer ours."""
        is_ours = runs.fenced(session, *self.claim, **values) if values else runs.holds(session, *self.claim)
        if not is_ours:
            raise Fenced

    def _say(self, kind: str, data: Json) -> None:
        def store(session: Session) -> None:
            self._hold(session)
            events.append(session, self.run_id, kind, data)

        self._write(store)

    def _write(self, store: Callable[[Session], Result]) -> Result:
        """Write in a transaction, again and again where the database is locked, full or away, while the lease lives.

        Where someone waits for the run to stop it is given up sooner: the supervisor then ends or requeues the run.
        """
        pause, begun = 0.05, time.monotonic()
        while True:
            try:
                with self.database.write() as session:
                    return store(session)
            except UNAVAILABLE as error:
                is_awaited = self.heart.wants_attention or self.is_stopping()
                if self.heart.is_lost or (is_awaited and time.monotonic() - begun > RETRY_SECONDS):
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
            "validation": self._metrics(
                best, held_out.X_validation, held_out.Y_validation, held_out.weights_validation
            ),
            "test": self._metrics(best, self.parts.X_test, self.parts.Y_test, self.parts.weights_test),
        }
        self._ensure_best()
        reason = {"code": code, "detail": detail}

        def end(session: Session) -> bool:
            self._note_hits(session)  # of the very last step, behind which there is nothing to pause
            return runs.end(session, *self.claim, "succeeded", reason)

        self._save(
            current=True,
            end=end,
            metrics=metrics,
            weights_digest=digest(best),
        )

    def _ensure_best(self) -> None:
        """See that the best parameters have a checkpoint: a fork may have begun behind the one it had.

        What the optimizer knew then is gone, so the checkpoint has no moments, and who goes on from it can tell.
        """
        best, state = self._state.best, self._state
        with self.database.read() as session:
            stored = [row.epoch for row in checkpoints.of_run(session, self.run_id) if row.is_best]
        if self.unsaved.best is not None or stored:
            return
        snapshot = self._snapshot(None)
        if best is not None and best.epoch != state.epoch:
            alone = TrainingState(best.parameters, {}, epoch=best.epoch)
            snapshot = Snapshot(alone, self.network, None)
        snapshot.is_best = True
        self.unsaved.best = snapshot

    def _metrics(
        self, parameters: Array, X: Array | None, Y: Array | None, weights: Array | None
    ) -> dict[str, float | None] | None:
        if X is None or Y is None or not len(X):
            return None
        evaluation = self.network.evaluate(parameters, X, Y, weights)
        data = self.parts.training
        rows = Judged(evaluation.A, Truth(Y, data.kind, data.units, weights), self.network.loss.scores)
        found = {"loss": evaluation.loss, **measure(rows)}
        return {name: value if value is not None and isfinite(value) else None for name, value in found.items()}

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
        self.trail.note(self._state)
        self._save(end=lambda session: runs.end(session, *self.claim, "failed", reason))

    @property
    def _state(self) -> TrainingState:
        if self.state is None:
            raise RuntimeError("expected a prepared attempt")
        return self.state

    def _position(self) -> tuple[int, int]:
        return (self.state.epoch, self.state.step) if self.state is not None else (0, 0)
