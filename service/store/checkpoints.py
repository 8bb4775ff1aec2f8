"""The stored moments of runs: what lists them, and their bytes with a hash of our own over all of them."""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.store.pages import Page, page
from service.store.tables import CheckpointBytesRow, CheckpointRow

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


def content(session: Session, row: CheckpointRow) -> bytes:
    """The checkpoint's bytes. Raises DamagedCheckpoint unless they are those that were written."""
    stored = session.scalar(select(CheckpointBytesRow.content).where(CheckpointBytesRow.checkpoint_id == row.id))
    if stored is None or sha256(stored).hexdigest() != row.sha256:
        found = "nothing" if stored is None else f"{len(stored)} others"
        raise DamagedCheckpoint(
            f"checkpoint {row.id}: expected {row.size} bytes with SHA-256 {row.sha256}, got {found}"
        )
    return stored


def prune(session: Session, run_id: str, *, keep_periodic: int, maximum_bytes: int) -> None:
    """Delete all but the best, the last, the one before, and the newest periodic ones that fit."""
    rows = of_run(session, run_id)
    kept = [row for place, row in enumerate(rows) if place < 2 or row.is_best]
    room = maximum_bytes - sum(row.size for row in kept)
    periodic = [row for row in rows if row.is_periodic and row not in kept][:keep_periodic]
    for row in periodic:
        room -= row.size
        if room < 0:
            break
        kept.append(row)
    names = {row.id for row in kept}
    dropped = [row.id for row in rows if row.id not in names]
    if dropped:
        session.execute(
            delete(CheckpointRow).where(CheckpointRow.id.in_(dropped)).execution_options(synchronize_session=False)
        )
