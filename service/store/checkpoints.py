"""The stored moments of runs: what lists them, and their bytes with a hash of our own over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import sha256

from sqlalchemy import Select, delete, select, tuple_, update
from sqlalchemy.orm import Session

from service.store.pages import Page, page
from service.store.tables import CheckpointBytesRow, CheckpointRow

WAYPOINTS = 4096
"""At most so many of a run are kept."""

_PLACE = (CheckpointRow.epoch, CheckpointRow.step, CheckpointRow.id)
_FURTHEST = tuple(column.desc() for column in _PLACE)


class DamagedCheckpoint(Exception):  # noqa: N818 - a state of things
    """The stored bytes are not those that were written."""


def add(session: Session, row: CheckpointRow, content: bytes) -> None:
    """Store a checkpoint; a best one takes the place of the one before."""
    row.size, row.sha256 = len(content), sha256(content).hexdigest()
    if row.is_best:
        session.execute(
            update(CheckpointRow)
            .where(CheckpointRow.run_id == row.run_id, CheckpointRow.is_best)
            .values(is_best=False)
            .execution_options(synchronize_session=False)
        )
    session.add(row)
    session.flush()
    session.add(CheckpointBytesRow(checkpoint_id=row.id, content=content))
    session.flush()


def of_run(session: Session, run_id: str) -> Sequence[CheckpointRow]:
    """A run's checkpoints, the furthest in training first."""
    return session.scalars(select(CheckpointRow).where(CheckpointRow.run_id == run_id).order_by(*_FURTHEST)).all()


def listed(session: Session, run_id: str, *, limit: int, cursor: str | None) -> Page[CheckpointRow]:
    """A page of a run's checkpoints, the furthest in training first."""
    query = select(CheckpointRow).where(CheckpointRow.run_id == run_id)
    return page(session, query, keys=_PLACE, descending=True, limit=limit, cursor=cursor)


def id_of(
    session: Session, run_id: str, *, best: bool = False, epoch: int | None = None, checkpoint_id: str | None = None
) -> str | None:
    """The id of the furthest checkpoint, of an epoch's end or of this id where asked; the best one first if `best`."""
    query = select(CheckpointRow.id).where(CheckpointRow.run_id == run_id)
    if epoch is not None:
        query = query.where(CheckpointRow.epoch == epoch, CheckpointRow.step == 0)
    if checkpoint_id is not None:
        query = query.where(CheckpointRow.id == checkpoint_id)
    first = (CheckpointRow.is_best.desc(), *_FURTHEST) if best else _FURTHEST
    return session.scalar(query.order_by(*first).limit(1))


def stored_epochs(session: Session, run_id: str, *, limit: int) -> Sequence[int]:
    """The newest epochs whose ends are stored."""
    query = select(CheckpointRow.epoch).where(CheckpointRow.run_id == run_id, CheckpointRow.step == 0)
    return session.scalars(query.order_by(*_FURTHEST).limit(limit)).all()


def waypoints_until(session: Session, run_id: str, *, epoch: int, step: int) -> Sequence[CheckpointRow]:
    """The nearest waypoints at or before a moment, the furthest first."""
    query = _waypoints(run_id).where(tuple_(CheckpointRow.epoch, CheckpointRow.step) <= (epoch, step))
    return session.scalars(query.order_by(*_FURTHEST).limit(3)).all()


def first_waypoint(session: Session, run_id: str, *, epoch: int = 0, step: int = 0) -> CheckpointRow | None:
    """The first waypoint at or behind a moment."""
    query = _waypoints(run_id).where(tuple_(CheckpointRow.epoch, CheckpointRow.step) >= (epoch, step))
    return session.scalar(query.order_by(*_PLACE).limit(1))


def waypoint_places(session: Session, run_id: str) -> Sequence[tuple[int, int]]:
    """The epochs and steps of all waypoints, the first one first."""
    query = select(CheckpointRow.epoch, CheckpointRow.step).where(CheckpointRow.run_id == run_id)
    found = session.execute(query.where(CheckpointRow.is_waypoint).order_by(*_PLACE))
    return [(epoch, step) for epoch, step in found]


def _waypoints(run_id: str) -> Select[CheckpointRow]:
    return select(CheckpointRow).where(CheckpointRow.run_id == run_id, CheckpointRow.is_waypoint)


def content(session: Session, row: CheckpointRow) -> bytes:
    """The checkpoint's bytes. Raises DamagedCheckpoint unless they are those that were written."""
    stored = session.scalar(select(CheckpointBytesRow.content).where(CheckpointBytesRow.checkpoint_id == row.id))
    if stored is None or sha256(stored).hexdigest() != row.sha256:
        found = "nothing" if stored is None else f"{len(stored)} others"
        raise DamagedCheckpoint(
            f"checkpoint {row.id}: expected {row.size} bytes with SHA-256 {row.sha256}, got {found}"
        )
    return stored


@dataclass(frozen=True)
class _Listed:
    """What decides whether a checkpoint stays."""

    id: str
    epoch: int
    step: int
    size: int
    is_best: bool
    is_periodic: bool
    is_waypoint: bool


def prune(
    session: Session,
    run_id: str,
    *,
    keep_periodic: int,
    maximum_bytes: int,
    waypoint_bytes: int,
    steps_per_epoch: int,
) -> None:
    """Delete all but the best, the last, the one before, the newest periodic ones that fit, and waypoints that do.

    Where these are too many, those stay that lie evenly apart.
    """
    columns = [getattr(CheckpointRow, field.name) for field in fields(_Listed)]
    query = select(*columns).where(CheckpointRow.run_id == run_id).order_by(*_FURTHEST)
    rows = [_Listed(*row) for row in session.execute(query)]
    kept = [row for place, row in enumerate(rows) if place < 2 or row.is_best]
    room = maximum_bytes - sum(row.size for row in kept)
    periodic = [row for row in rows if row.is_periodic and row not in kept][:keep_periodic]
    for row in periodic:
        room -= row.size
        if room < 0:
            break
        kept.append(row)
    waypoints = [row for row in reversed(rows) if row.is_waypoint]
    spread = _spread(waypoints, min(waypoint_bytes, max(room, 0)), steps_per_epoch=steps_per_epoch)
    names = {row.id for row in [*kept, *spread]}
    dropped = [row.id for row in rows if row.id not in names]
    if dropped:
        session.execute(
            delete(CheckpointRow).where(CheckpointRow.id.in_(dropped)).execution_options(synchronize_session=False)
        )


def _spread(waypoints: Sequence[_Listed], room: int, *, steps_per_epoch: int) -> Sequence[_Listed]:
    """Those of the waypoints, in order, that fit: where they don't, the first and evenly apart, to leave a quarter."""
    if len(waypoints) <= WAYPOINTS and sum(row.size for row in waypoints) <= room:
        return waypoints
    moments = [row.epoch * steps_per_epoch + row.step for row in waypoints]
    count = max(1, min(3 * WAYPOINTS // 4, 3 * room // (4 * max(row.size for row in waypoints))))
    apart, kept = (moments[-1] - moments[0]) / count, [0]
    for place, moment in enumerate(moments):
        if moment >= moments[kept[-1]] + apart:
            kept.append(place)
    return [waypoints[place] for place in kept[:count]]
