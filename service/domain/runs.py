"""Runs: accepting, showing and steering them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.data import Preprocessing
from engine.losses import LOSSES
from engine.network import Network
from engine.spec import RunSpec, resolve
from engine.training import Best
from service.domain import checkpoints, datasets
from service.domain.training import Plan, check_sizes, part_sizes, plan, plan_of
from service.domain.warm_starts import WarmStart, begin, warm_start
from service.errors import Conflict, Fault, NotFound, TooManyRuns, Unprocessable, own, path_in, pointer
from service.ids import new_id
from service.settings import Limits
from service.store import checkpoints as stored
from service.store import epochs, events
from service.store import runs as store
from service.store.database import Database
from service.store.pages import Page
from service.store.tables import CheckpointRow, DatasetRow, RunRow

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
    row = _row(draft.dataset, draft.plan, sent, labels)
    store.add(session, row, labels.tags)
    if draft.start is not None:
        begin(session, row, draft.start)
    _log_acceptance(session, row)
    return get(session, row.id)


def _row(dataset: DatasetRow, what: Plan, sent: Mapping[str, Any], labels: Labels) -> RunRow:
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


def _log_acceptance(session: Session, row: RunRow) -> None:
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
) -> Page[RunDetail]:
    """A page of runs."""
    found = store.listed(
        session,
        statuses=statuses,
        tags=tags,
        dataset_id=dataset_id,
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


# Forking -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fork:
    """A run that goes on from a checkpoint of another, ready to be accepted."""

    parent: RunRow
    checkpoint: CheckpointRow
    copies: list[tuple[CheckpointRow, bytes]]
    """The checkpoint, and before it the best one up to there if it is still stored."""
    best: Best | None
    dataset: DatasetRow
    plan: Plan
    spec: Mapping[str, Any]
    """The parent's as it was sent, with the changed parts in full."""


def plan_fork(
    database: Database, data: Path, run_id: str, *, at: str, overrides: Mapping[str, Any], limits: Limits
) -> Fork:
    """What the fork would be; without overrides it ends with the same bits as its parent."""
    with database.read() as session:
        parent = row_of(session, run_id)
        dataset = datasets.get(session, parent.dataset_id)
        checkpoint = checkpoints.find(session, parent.id, at)
        stored_rows = stored.of_run(session, parent.id)
        content = stored.content(session, checkpoint)
    preprocessing = Preprocessing.from_json(parent.preprocessing)
    rows = part_sizes(preprocessing, datasets.path_of(data, parent.dataset_id), limits)
    asked = _overridden(parent, overrides)
    check_sizes(asked, limits)
    resolved = resolve(asked, preprocessing.facts, features=asked.features or (), has_validation=rows["validation"] > 0)
    _check_loss(parent, resolved)
    _check_position(parent, checkpoint, resolved)
    network = Network.of(resolved, n_in=preprocessing.n_in)
    state = formats.load(content, network)
    changed = overrides.get("training", {})
    if {"epochs", "early_stopping"} & set(changed) and state.stale_epochs:
        state.stale_epochs = 0  # the patience that ran out before the fork is not the fork's
        content = formats.dump(state, network)
    copies, best = [(checkpoint, content)], state.best
    earlier = [row for row in stored_rows if best is not None and row.epoch == best.epoch and row.step == 0]
    if earlier and earlier[0].id != checkpoint.id:
        with database.read() as session:
            copies.insert(0, (earlier[0], stored.content(session, earlier[0])))
    plan = plan_of(resolved, preprocessing, network, rows, limits)
    return Fork(parent, checkpoint, copies, best, dataset, plan, _spec_of(parent, resolved, overrides))


def accept_fork(session: Session, fork: Fork, labels: Labels, limits: Limits) -> RunDetail:
    """Put a fork into the queue. Bytes and losses are copied, so that the parent may be deleted."""
    refuse_full_queue(session, limits)
    parent = row_of(session, fork.parent.id)
    named = replace(labels, name=labels.name or f"{parent.name} (fork)"[:200])
    row = _row(fork.dataset, fork.plan, fork.spec, named)
    row.parent_id, row.parent_checkpoint_id = parent.id, fork.checkpoint.id
    row.epoch, row.step = fork.checkpoint.epoch, fork.checkpoint.step
    store.add(session, row, labels.tags)
    twins = [_copy_checkpoint(session, fork, original, content, row) for original, content in fork.copies]
    epochs.copy(session, parent.id, row.id, up_to=fork.checkpoint.epoch)
    newest = epochs.get(session, row.id, fork.checkpoint.epoch)
    if newest is not None:
        at_its_end = twins[-1].id if fork.checkpoint.step == 0 else None
        row.last = {"epoch": newest.epoch, "values": newest.values, "checkpoint": at_its_end}
    _log_acceptance(session, row)
    events.append(session, parent.id, "forked", {"run": row.id, "checkpoint": fork.checkpoint.id})
    return get(session, row.id)


def _copy_checkpoint(
    session: Session, fork: Fork, original: CheckpointRow, content: bytes, row: RunRow
) -> CheckpointRow:
    best = fork.best
    twin = CheckpointRow(
        id=new_id("ckpt"),
        run_id=row.id,
        epoch=original.epoch,
        step=original.step,
        is_best=best is not None and original.epoch == best.epoch and original.step == 0,
        is_periodic=False,
        is_waypoint=original.id == fork.checkpoint.id,
        values=original.values,
        parameters_digest=original.parameters_digest,
        fingerprint=original.fingerprint,
        created_at=datetime.now(UTC),
    )
    stored.add(session, twin, content)
    if twin.is_best and best is not None:
        row.best = {"epoch": best.epoch, "metric": best.metric, "value": best.value, "checkpoint": twin.id}
    return twin


def _overridden(parent: RunRow, overrides: Mapping[str, Any]) -> RunSpec:
    """The parent's resolved spec with another seed or parts of its training changed."""
    merged = _merged(parent.resolved, overrides)
    before = parent.resolved["training"]["dtype"]
    if merged["training"]["dtype"] != before:
        raise Unprocessable(
            "A fork goes on with the numbers it has.",
            errors=[Fault("/training/dtype", "not_allowed", f"expected {before} as before")],
        )
    try:
        return RunSpec.model_validate(merged)
    except ValidationError as error:
        raise Unprocessable(
            "The overrides do not make a valid spec.",
            errors=[
                Fault(pointer(path_in(merged, fault["loc"])), fault["type"], fault["msg"])
                for fault in own(error.errors())
            ],
        ) from error


def _merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with the changed parts of its objects; an object of another type takes the whole place."""
    found = dict(before)
    for name, change in changes.items():
        old = found.get(name)
        if (
            isinstance(old, dict)
            and isinstance(change, dict)
            and change.get("type", old.get("type")) == old.get("type")
        ):
            found[name] = _merged(old, change)
        else:
            found[name] = change
    return found


def _spec_of(parent: RunRow, resolved: RunSpec, overrides: Mapping[str, Any]) -> dict[str, Any]:
    changed = resolved.training.model_dump(mode="json", include=set(overrides.get("training", {})))
    seed = {"seed": resolved.seed} if "seed" in overrides else {}
    return {**parent.spec, "training": {**parent.spec.get("training", {}), **changed}, **seed}


def _check_loss(parent: RunRow, resolved: RunSpec) -> None:
    """Unprocessable for a loss that wants the targets in another scale than they were fitted in."""
    before, after = parent.resolved["training"]["loss"]["type"], resolved.training.loss.type
    if before != after and not (LOSSES[before].standardises and LOSSES[after].standardises):
        raise Unprocessable(
            "A fork goes on with the targets it has, as they were fitted for its loss.",
            errors=[Fault("/training/loss", "not_allowed", f"expected {before} as before")],
        )


def _check_position(parent: RunRow, checkpoint: CheckpointRow, resolved: RunSpec) -> None:
    """Unprocessable where the fork could not go on from just there."""
    training, before = resolved.training, parent.resolved
    begun = checkpoint.epoch + (checkpoint.step > 0)
    if training.epochs < begun:
        detail = f"expected at least {begun}, the epochs begun at the checkpoint, got {training.epochs}"
        raise Unprocessable(
            "The fork would end before its checkpoint.", errors=[Fault("/training/epochs", "too_few", detail)]
        )
    if checkpoint.step == 0:
        return
    detail = (
        f"expected no change, as the checkpoint stands {checkpoint.step} batches into epoch {begun}; fork from an "
        "epoch's end"
    )
    faults = [
        Fault(pointer, "mid_epoch", detail)
        for pointer, old, new in (
            ("/training/batch_size", before["training"]["batch_size"], training.batch_size),
            ("/training/accumulate", before["training"]["accumulate"], training.accumulate),
            ("/seed", before["seed"], resolved.seed),
        )
        if old != new
    ]
    if faults:
        raise Unprocessable(
            "Batch size and seed decide an epoch's batches, so they can't change within it.", errors=faults
        )
