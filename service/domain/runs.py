"""Runs: accepting, showing and steering them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.data import Preprocessing
from engine.spec import RunSpec
from service.domain import datasets
from service.domain.training import Plan, plan
from service.domain.warm_starts import WarmStart, begin, warm_start
from service.errors import Conflict, NotFound, TooManyRuns
from service.ids import new_id
from service.settings import Limits
from service.store import events
from service.store import runs as store
from service.store.database import Database
from service.store.pages import Page
from service.store.tables import DatasetRow, RunRow

ACTIONS: dict[str, tuple[str, ...]] = {
    "queued": ("cancel", "pause"),
    "running": ("cancel", "pause"),
    "paused": ("cancel", "resume"),
    "succeeded": ("fork", "delete"),
    "failed": ("fork", "delete"),
    "cancelled": ("fork", "delete"),
}
"""What can be asked of a run in each status, beside reading it. Any run with a checkpoint can be forked."""


@dataclass(frozen=True)
class Labels:
    """What a user files a run under."""

    name: str | None = None
    notes: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True)
class RunDetail:
    """A run as it is shown. `row` has the columns; the rest is worked out from them."""

    row: RunRow
    tags: list[str]
    queue_position: int | None
    dataset_sha256: str

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.row.status in store.FINISHED

    @property
    def allowed_actions(self) -> tuple[str, ...]:
        """What can be asked of it now."""
        is_to_pause = self.row.status == "running" and self.row.pause_requested_at is not None
        return ("cancel", "resume") if is_to_pause else ACTIONS[self.row.status]

    @property
    def epochs(self) -> int:
        """The epochs it was asked for."""
        return int(self.row.resolved["training"]["epochs"])

    @property
    def progress(self) -> float:
        """From 0 to 1; an early stop is the whole way."""
        if self.row.status == "succeeded":
            return 1.0
        return min(1.0, (self.row.epoch + self.row.step / max(1, self.row.steps_per_epoch)) / self.epochs)

    @property
    def eta_seconds(self) -> float | None:
        """Until the last epoch at the pace of the newest one; an early stop comes sooner."""
        if self.row.status != "running" or not self.row.last:
            return None
        seconds = self.row.last["values"].get("seconds")
        return None if seconds is None else float(seconds) * (self.epochs - self.row.epoch)


def preprocessing_of(session: Session, run_id: str) -> dict[str, Any]:
    """What was fitted for a run, with a name for each input, and the weights of classes by name."""
    fitted = Preprocessing.from_json(row_of(session, run_id).preprocessing)
    content = fitted.to_json()
    by_class = dict(zip(fitted.targets[0].classes, fitted.class_weights, strict=False)) or None
    shown = ("features", "targets", "dropped", "split", "seed", "weight", "warnings")
    return {name: content[name] for name in shown} | {"inputs": list(fitted.input_names), "class_weights": by_class}


# Accepting ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    """A run that could be accepted."""

    dataset: DatasetRow
    plan: Plan
    start: WarmStart | None
    """What it begins with, where that is another run's."""


def validate(database: Database, data: Path, dataset_id: str, spec: RunSpec, limits: Limits) -> Draft:
    """What the run would be, without accepting it. Fitting may take its time, so no transaction is held open."""
    with database.read() as session:
        dataset = datasets.get(session, dataset_id)
    what = plan(spec, datasets.path_of(data, dataset.id), limits)
    start = warm_start(database, what)
    if start is not None:
        what = replace(what, warnings=(*what.warnings, *start.warnings))
    return Draft(dataset, what, start)


def accept(session: Session, draft: Draft, sent: Mapping[str, Any], labels: Labels, limits: Limits) -> RunDetail:
    """Put a run into the queue. `sent` is the spec as the client wrote it."""
    refuse_full_queue(session, limits)
    datasets.get(session, draft.dataset.id)
    row = new_row(draft.dataset, draft.plan, sent, labels)
    store.add(session, row, labels.tags)
    if draft.start is not None:
        begin(session, row, draft.start)
    log_acceptance(session, row)
    return get(session, row.id)


def new_row(dataset: DatasetRow, what: Plan, sent: Mapping[str, Any], labels: Labels) -> RunRow:
    """A queued run, not yet stored."""
    now = datetime.now(UTC)
    return RunRow(
        id=new_id("run"),
        name=labels.name or f"{dataset.name}: {', '.join(what.resolved.target)}"[:200].replace("\0", ""),
        notes=labels.notes,
        priority=labels.priority,
        dataset_id=dataset.id,
        spec=dict(sent),
        resolved=what.resolved.model_dump(mode="json"),
        preprocessing=what.preprocessing.to_json(),
        parameter_count=what.network.parameter_count,
        memory_bytes=what.memory_bytes,
        seed=what.resolved.seed,
        status="queued",
        created_at=now,
        queued_at=now,
        attempt=0,
        deaths=0,
        epoch=0,
        step=0,
        steps_per_epoch=what.steps_per_epoch,
        warnings=list(what.warnings),
        last_event=0,
    )


def log_acceptance(session: Session, row: RunRow) -> None:
    """Tell the events of a run just stored."""
    events.append(session, row.id, "created", {"parent": row.parent_id} if row.parent_id else {})
    for warning in row.warnings:
        events.append(session, row.id, "warning", {"detail": warning})
    events.append(session, row.id, "queued")


def refuse_full_queue(session: Session, limits: Limits) -> None:
    """TooManyRuns where no more may wait."""
    waiting = store.counts(session)["queued"]
    if waiting >= limits.queued_runs:
        raise TooManyRuns(
            f"The queue holds {waiting}, and takes at most {limits.queued_runs}. Try again when a run has ended.",
            limit="queued_runs",
            maximum=limits.queued_runs,
            headers={"Retry-After": "30"},
        )


# Showing -----------------------------------------------------------------------------------------------------------


def get(session: Session, run_id: str) -> RunDetail:
    """The run, or NotFound."""
    return _details(session, [row_of(session, run_id)])[0]


def row_of(session: Session, run_id: str) -> RunRow:
    """The run's row, or NotFound."""
    row = store.get(session, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id[:60]}.")
    return row


def listed(
    session: Session,
    *,
    statuses: Sequence[str],
    tags: Sequence[str],
    dataset_id: str | None,
    order_by: str,
    limit: int,
    cursor: str | None,
    name: str | None = None,
) -> Page[RunDetail]:
    """A page of runs."""
    found = store.listed(
        session,
        statuses=statuses,
        tags=tags,
        dataset_id=dataset_id,
        name=name,
        order_by=order_by,
        limit=limit,
        cursor=cursor,
    )
    return Page(_details(session, found.items), found.next_cursor)


def _details(session: Session, rows: Sequence[RunRow]) -> list[RunDetail]:
    ids = [row.id for row in rows]
    tags = store.tags_of(session, ids)
    positions = store.queue_positions(session, ids)
    query = select(DatasetRow.id, DatasetRow.sha256).where(DatasetRow.id.in_({row.dataset_id for row in rows}))
    hashes = {row[0]: row[1] for row in session.execute(query)}
    return [
        RunDetail(
            row=row, tags=tags[row.id], queue_position=positions.get(row.id), dataset_sha256=hashes[row.dataset_id]
        )
        for row in rows
    ]


def update(session: Session, run_id: str, changes: Mapping[str, Any]) -> RunDetail:
    """Change name, notes, tags or priority; what is not in `changes` stays."""
    row = row_of(session, run_id)
    for field in ("name", "notes", "priority"):
        if field in changes:
            setattr(row, field, changes[field])
    session.flush()
    if "tags" in changes:
        store.set_tags(session, run_id, changes["tags"])
    return get(session, run_id)


# Steering ----------------------------------------------------------------------------------------------------------


def cancel(session: Session, run_id: str) -> tuple[RunDetail, bool]:
    """Stop a run: a waiting one at once, a running one after its batch. Gives whether anything changed."""
    return _stop(session, run_id, "cancel", "cancelled", waiting=("queued", "paused"))


def pause(session: Session, run_id: str) -> tuple[RunDetail, bool]:
    """Let a run wait: a queued one at once, a running one after its batch. Gives whether anything changed."""
    return _stop(session, run_id, "pause", "paused", waiting=("queued",))


def _stop(session: Session, run_id: str, action: str, status: str, *, waiting: Sequence[str]) -> tuple[RunDetail, bool]:
    """Move a waiting run to the status at once; leave the wish to a running one's worker."""
    wish, reason = f"{action}_requested_at", store.as_asked(status)
    if store.move(session, run_id, waiting, status, reason=reason):
        events.append(session, run_id, status, reason)
        return get(session, run_id), True
    if store.wish(session, run_id, wish):
        events.append(session, run_id, f"{action}_requested")
        return get(session, run_id), True
    return _already(session, run_id, action, is_so=lambda row: getattr(row, wish) or row.status == status)


def resume(session: Session, run_id: str) -> tuple[RunDetail, bool]:
    """Let a paused run go on from where it stopped, also before its worker has. Gives whether anything changed."""
    if store.move(session, run_id, "paused", "queued", reason=None) or store.take_back_pause(session, run_id):
        events.append(session, run_id, "resumed")
        return get(session, run_id), True
    return _already(session, run_id, "resume", is_so=lambda row: row.status in ("queued", "running"))


def _already(session: Session, run_id: str, action: str, *, is_so: Any) -> tuple[RunDetail, bool]:
    """Explain why nothing changed: it is so already, or it can't be."""
    detail = get(session, run_id)
    if is_so(detail.row):
        return detail, False
    allowed = list(detail.allowed_actions)
    raise Conflict(
        f"A run that is {detail.row.status} can't be asked to {action}; it allows {', '.join(allowed)}.",
        code="not_allowed_now",
        status_now=detail.row.status,
        allowed_actions=allowed,
    )


def delete(session: Session, run_id: str) -> None:
    """Delete a finished run with its epochs, events and checkpoints."""
    if not store.delete_finished(session, run_id):
        row = row_of(session, run_id)
        allowed = list(ACTIONS[row.status])
        raise Conflict(
            f"Only a finished run can be deleted; this one is {row.status} and allows {', '.join(allowed)}.",
            code="not_allowed_now",
            allowed_actions=allowed,
        )
