"""Forks: new runs that go on from any moment of another, with parts of its training changed, or without some rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.data import Preprocessing
from engine.losses import LOSSES
from engine.network import Network
from engine.parameters import digest
from engine.spec import RunSpec, resolve
from engine.training import Best
from service.domain import checkpoints, courses, datasets, replays, runs
from service.domain.runs import Labels, RunDetail
from service.domain.training import Plan, check_sizes, part_sizes, plan_of
from service.errors import Fault, Unprocessable, own, path_in, pointer
from service.ids import new_id
from service.settings import Limits, Settings
from service.store import checkpoints as stored
from service.store import epochs, events
from service.store import runs as store
from service.store.database import Database
from service.store.tables import CheckpointRow, DatasetRow, RunRow


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


def plan_fork(database: Database, settings: Settings, run_id: str, *, at: str, overrides: Mapping[str, Any]) -> Fork:
    """What the fork would be; without overrides it ends with the same bits as its parent."""
    limits = settings.limits
    with database.read() as session:
        parent = runs.row_of(session, run_id)
        dataset = datasets.get(session, parent.dataset_id)
        stored_rows = stored.of_run(session, parent.id)
    checkpoint, content = _stored_or_replayed(database, settings, parent, at)
    preprocessing = Preprocessing.from_json(parent.preprocessing)
    asked = _overridden(parent, overrides)
    preprocessing = replace(
        preprocessing,
        split_spec=preprocessing.split_spec.model_copy(update={"without": asked.split.without}),
    )
    rows = part_sizes(preprocessing, datasets.path_of(settings.data, parent.dataset_id), limits)
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


def _stored_or_replayed(database: Database, settings: Settings, parent: RunRow, at: str) -> tuple[CheckpointRow, bytes]:
    """The checkpoint that `at` names; of a moment that was not stored, what it would have been."""
    with database.read() as session:
        row = checkpoints.stored_row(session, parent, at)
        if row is not None:
            return row, stored.content(session, row)
        moment = courses.moment_at(session, parent, at)
    epoch, step = divmod(moment, parent.steps_per_epoch)
    content = replays.state(settings, parent, moment)
    network = Network.of(
        RunSpec.model_validate(parent.resolved), n_in=Preprocessing.from_json(parent.preprocessing).n_in
    )
    row = CheckpointRow(
        id=f"step:{moment}",
        run_id=parent.id,
        epoch=epoch,
        step=step,
        values=None,
        parameters_digest=digest(formats.load(content, network).parameters),
        fingerprint=parent.fingerprint or {},
    )
    return row, content


def accept_fork(session: Session, fork: Fork, labels: Labels, limits: Limits) -> RunDetail:
    """Put a fork into the queue. Bytes and losses are copied, so that the parent may be deleted."""
    runs.refuse_full_queue(session, limits)
    parent = runs.row_of(session, fork.parent.id)
    named = replace(labels, name=labels.name or f"{parent.name} (fork)"[:200])
    row = runs.new_row(fork.dataset, fork.plan, fork.spec, named)
    row.parent_id, row.parent_checkpoint_id = parent.id, fork.checkpoint.id
    row.epoch, row.step = fork.checkpoint.epoch, fork.checkpoint.step
    store.add(session, row, labels.tags)
    twins = [_copy_checkpoint(session, fork, original, content, row) for original, content in fork.copies]
    epochs.copy(session, parent.id, row.id, up_to=fork.checkpoint.epoch)
    newest = epochs.get(session, row.id, fork.checkpoint.epoch)
    if newest is not None:
        at_its_end = twins[-1].id if fork.checkpoint.step == 0 else None
        row.last = {"epoch": newest.epoch, "values": newest.values, "checkpoint": at_its_end}
    runs.log_acceptance(session, row)
    events.append(session, parent.id, "forked", {"run": row.id, "checkpoint": fork.checkpoint.id})
    return runs.get(session, row.id)


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
    split = parent.spec.get("split", {})
    if "split" in overrides:
        split = {**split, "without": list(resolved.split.without)}
    training = {**parent.spec.get("training", {}), **changed}
    return {**parent.spec, "training": training, **({"split": split} if split else {}), **seed}


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
            ("/without_rows", before["split"].get("without", []), list(resolved.split.without)),
        )
        if old != new
    ]
    if faults:
        raise Unprocessable(
            "Rows, batch size and seed decide an epoch's batches, so they can't change within it.", errors=faults
        )
