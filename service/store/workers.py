"""The processes that claim runs, and when each was last seen."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.store.database import database_now
from service.store.tables import WorkerRow

FORGET_SECONDS = 24 * 3600.0


def register(session: Session, *, worker_id: str, host: str, pid: int, server_id: str | None) -> None:
    """Add a worker, and forget those not seen for a day."""
    now = session.scalar(select(database_now()))
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen < database_now() - FORGET_SECONDS))
    session.add(
        WorkerRow(
            id=worker_id, host=host, pid=pid, server_id=server_id, started_at=datetime.now(UTC), last_seen=now or 0.0
        )
    )
    session.flush()


def seen(session: Session, worker_id: str) -> None:
    """Note that the worker is alive."""
    session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(last_seen=database_now()))


def forget(session: Session, worker_id: str) -> None:
    """Remove a worker that ended."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def fresh(session: Session, *, within_seconds: float) -> Sequence[WorkerRow]:
    """The workers seen lately."""
    return session.scalars(select(WorkerRow).where(WorkerRow.last_seen > database_now() - within_seconds)).all()


def of_server(session: Session, server_id: str) -> Sequence[str]:
    """The ids of a server's workers, living or not."""
    return session.scalars(select(WorkerRow.id).where(WorkerRow.server_id == server_id)).all()
