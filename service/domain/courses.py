"""Courses: the steps of a run as far as it has come, and the moments between them by their names."""

import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.optimizers import OPTIMIZERS
from service.domain import datasets
from service.errors import NotFound, Unprocessable
from service.store import checkpoints as stored
from service.store import epochs
from service.store.tables import CheckpointRow, Json, RunRow

AT = "a step's number, epoch:3, first, last, best or checkpoint:ckpt_…"
_AT = re.compile(
    r"(?:step:)?(?P<number>\d{1,12})|first|last|best|epoch:(?P<epoch>\d{1,9})|checkpoint:(?P<checkpoint>\w{1,60})"
)


@dataclass(frozen=True)
class Course:
    """The steps of a run: moment s is after s of them, and step s leads there from moment s − 1."""

    run_id: str
    steps_per_epoch: int
    batch_rows: int
    """How many rows a step looks at, at most."""
    begun: int
    """The first moment of its own: a fork begins where its parent stood."""
    reached: int
    """The furthest one."""
    diverged: int | None
    """The step whose numbers were not finite, where the run ended or was paused so."""
    parent: str | None
    step_seconds: float | None
    """What a step took while the run trained, its share of measuring the epoch included."""

    @property
    def furthest_step(self) -> int:
        """The last step there is something to see of."""
        return max(self.reached, self.diverged or 0)

    def epoch_of(self, step: int) -> int:
        """The epoch a step belongs to, counted from 1."""
        return (step - 1) // self.steps_per_epoch + 1


def course(session: Session, run: RunRow) -> Course:
    """The steps of a run as far as it has come."""
    per_epoch = run.steps_per_epoch
    first = stored.first_waypoint(session, run.id) if run.parent_checkpoint_id else None
    seconds = [value for row in epochs.newest(session, run.id, 5) if (value := row.values.get("seconds"))]
    reached = run.epoch * per_epoch + run.step
    stopped = _stopped_at(run.reason or {}, per_epoch)
    return Course(
        run_id=run.id,
        steps_per_epoch=per_epoch,
        batch_rows=_batch_rows(session, run),
        begun=moment_of(first, per_epoch) if first is not None else 0,
        reached=reached,
        diverged=stopped if stopped == reached + 1 else None,
        parent=run.parent_id,
        step_seconds=sum(seconds) / len(seconds) / per_epoch if seconds else None,
    )


def _stopped_at(reason: Json, steps_per_epoch: int) -> int | None:
    """The step at which a run ended or was paused; not taken, where its numbers were not finite."""
    if reason.get("code") == "diverged":
        return int((reason["epoch"] - 1) * steps_per_epoch + reason["step"])
    return int(reason["step"]) if reason.get("code") == "watchpoint" else None


def _batch_rows(session: Session, run: RunRow) -> int:
    training = run.resolved["training"]
    if OPTIMIZERS[training["optimizer"]["type"]].full_batch:
        return datasets.get(session, run.dataset_id).rows
    return int(training["batch_size"])


def moment_of(checkpoint: CheckpointRow, steps_per_epoch: int) -> int:
    """How many steps were done at a checkpoint."""
    return checkpoint.epoch * steps_per_epoch + checkpoint.step


def resolved_at(run: RunRow, moment: int) -> Json:
    """The spec by which a run is trained behind a moment: it may have been changed since, while the run was paused."""
    for amendment in run.amendments:
        if moment < amendment["moment"]:
            return {**run.resolved, "training": amendment["training"]}
    return run.resolved


def moment_at(session: Session, run: RunRow, at: str) -> int:
    """How many steps were done at the moment a user names. NotFound tells which moments there are."""
    match, there = _AT.fullmatch(at), course(session, run)
    if match is None:
        raise Unprocessable(f"at: expected {AT}, got {at[:60]!r}.", code="bad_moment")
    if at == "first":
        return there.begun
    if at == "last":
        return there.reached
    if at == "best":
        return there.reached if run.best is None else int(run.best["epoch"]) * there.steps_per_epoch
    if match["checkpoint"] is not None:
        row = session.get(CheckpointRow, match["checkpoint"])
        if row is None or row.run_id != run.id:
            raise NotFound(f"Run {run.id} has no {at}; it has moments {there.begun} to {there.reached}.")
        return moment_of(row, there.steps_per_epoch)
    moment = int(match["number"]) if match["number"] else int(match["epoch"]) * there.steps_per_epoch
    if not there.begun <= moment <= there.reached:
        raise NotFound(_outside(there, f"no moment {at}"), code="no_such_moment")
    return moment


def step_at(session: Session, run: RunRow, at: str) -> int:
    """The number of the step a user names: the one that leads to that moment, but for `first`, which is the first."""
    there = course(session, run)
    number = int(at) if at.isdecimal() and len(at) <= 12 else moment_at(session, run, at) + (at == "first")
    if not there.begun < number <= there.furthest_step:
        raise NotFound(_outside(there, f"no step {at}"), code="no_such_step")
    return number


def _outside(there: Course, what: str) -> str:
    if there.reached == there.begun:
        return f"Run {there.run_id} has {what}: no step of it is done yet."
    behind = f"; what lies before is in {there.parent}, whose fork it is" if there.begun and there.parent else ""
    steps = f"steps {there.begun + 1} to {there.furthest_step}, {there.steps_per_epoch} in an epoch"
    return f"Run {there.run_id} has {what}: it has {steps}{behind}."
