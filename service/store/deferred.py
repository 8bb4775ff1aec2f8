"""Requests that are answered later."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from service.store.database import database_now
from service.store.tables import DeferredRow, Json

ATTEMPTS = 3
"""So often a request is tried whose process ends without an answer."""
KEPT = timedelta(days=1)
"""So long an answer is kept."""


def add(session: Session, row: DeferredRow) -> None:
    """Put a request into the queue, and drop what was answered long ago."""
    session.execute(delete(DeferredRow).where(DeferredRow.finished_at < datetime.now(UTC) - KEPT))
    session.add(row)
    session.flush()


def waiting(session: Session) -> int:
    """How many wait or are worked at."""
    query = select(func.count()).select_from(DeferredRow).where(DeferredRow.finished_at.is_(None))
    return session.scalar(query) or 0


def _claimable() -> object:
    is_lost = and_(DeferredRow.status == "running", DeferredRow.lease_until < database_now())
    return or_(DeferredRow.status == "queued", is_lost)


def has_claimable(session: Session) -> bool:
    """Whether a request waits for someone."""
    return session.scalar(select(DeferredRow.id).where(_claimable()).limit(1)) is not None  # type: ignore[arg-type]


def claim(session: Session, *, lease_seconds: float) -> str | None:
    """Take the oldest request that waits; one that was tried too often ends as failed."""
    query = select(DeferredRow).where(_claimable()).order_by(DeferredRow.created_at, DeferredRow.id)  # type: ignore[arg-type]
    row = session.scalars(query.limit(1).with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    if row.attempts >= ATTEMPTS:
        row.status, row.finished_at, row.lease_until = "failed", datetime.now(UTC), None
        session.flush()
        return None
    row.status, row.attempts = "running", row.attempts + 1
    row.lease_until = (session.scalar(select(database_now())) or 0.0) + lease_seconds
    session.flush()
    return row.id


def hold(session: Session, deferred_id: str, *, lease_seconds: float) -> None:
    """Keep a request that is worked at."""
    ours = (DeferredRow.id == deferred_id, DeferredRow.status == "running")
    session.execute(update(DeferredRow).where(*ours).values(lease_until=database_now() + lease_seconds))


def give_back(session: Session, deferred_id: str) -> None:
    """Put a request back whose process ended without an answer."""
    ours = (DeferredRow.id == deferred_id, DeferredRow.status == "running")
    session.execute(update(DeferredRow).where(*ours).values(status="queued", lease_until=None))


def finish(session: Session, deferred_id: str, *, status: int, headers: Json, content: bytes) -> None:
    """Store the answer."""
    change = update(DeferredRow).where(DeferredRow.id == deferred_id)
    session.execute(
        change.values(
            status="answered",
            lease_until=None,
            finished_at=datetime.now(UTC),
            answer_status=status,
            answer_headers=headers,
            answer=content,
        )
    )


def remove(session: Session, deferred_id: str) -> bool:
    """Delete a request with its answer; False if there is none."""
    row = session.get(DeferredRow, deferred_id)
    if row is not None:
        session.delete(row)
        session.flush()
    return row is not None
