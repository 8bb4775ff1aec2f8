"""Forks: new runs that go on from any moment of another, with parts of its training changed, or without some rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.data import Preprocessing
from engine.network import Network
from engine.parameters import digest
from engine.spec import RunSpec, resolve
from engine.training import Best
from service.domain import checkpoints, courses, datasets, replays, runs
from service.domain.overrides import check_loss, check_position, overridden
from service.domain.runs import Labels, RunDetail
from service.domain.training import Plan, check_sizes, part_sizes, plan_of
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
    before = courses.resolved_at(parent, checkpoint.epoch * parent.steps_per_epoch + checkpoint.step)
    asked = overridden(before, overrides)
    preprocessing = replace(
        preprocessing,
        split_spec=preprocessing.split_spec.model_copy(update={"without": asked.split.without}),
    )
    rows = part_sizes(preprocessing, datasets.path_of(settings.data, parent.dataset_id), limits)
    check_sizes(asked, limits)
    resolved = resolve(asked, preprocessing.facts, features=asked.features or (), has_validation=rows["validation"] > 0)
    check_loss(before, resolved)
    check_position(before, resolved, epoch=checkpoint.epoch, step=checkpoint.step)
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


def _spec_of(parent: RunRow, resolved: RunSpec, overrides: Mapping[str, Any]) -> dict[str, Any]:
    changed = resolved.training.model_dump(mode="json", include=set(overrides.get("training", {})))
    seed = {"seed": resolved.seed} if "seed" in overrides else {}
    split = parent.spec.get("split", {})
    if "split" in overrides:
        split = {**split, "without": list(resolved.split.without)}
    training = {**parent.spec.get("training", {}), **changed}
    return {**parent.spec, "training": training, **({"split": split} if split else {}), **seed}
