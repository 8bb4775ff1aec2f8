"""The log of a run: what happened to it, numbered from 1 without gaps."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from service.store.pages import MAXIMUM_INTEGER
from service.store.tables import EventRow, RunRow

KINDS = {
    "created": "the run was accepted",
    "queued": "it waits for a worker",
    "claimed": "a worker took it",
    "epoch": "an epoch ended",
    "checkpoint": "its state was stored",
    "warning": "something a user should know",
    "cancel_requested": "a user wants it to end",
    "pause_requested": "a user wants it to wait",
    "paused": "it waits for a user",
    "resumed": "a user lets it go on",
    "requeued": "its worker gave it back",
    "rescued": "its worker was lost, and another may take it",
    "forked": "another run was made from one of its checkpoints",
    "succeeded": "it ended well",
    "failed": "it ended without a result",
    "cancelled": "a user ended it",
}


def append(session: Session, run_id: str, kind: str, data: dict[str, Any] | None = None) -> int:
    """Add an event, and give its number."""
    return append_all(session, run_id, [(kind, data or {})])


def append_all(session: Session, run_id: str, happened: Sequence[tuple[str, dict[str, Any]]]) -> int:
    """Add events in order, and give the last one's number. The run's row hands the numbers out, so none is shared."""
    last = session.scalar(
        update(RunRow)
        .where(RunRow.id == run_id)
        .values(last_event=RunRow.last_event + len(happened))
        .returning(RunRow.last_event)
        .execution_options(synchronize_session=False)
    )
    if last is None:
        raise LookupError(f"there is no run {run_id}")
    now, first = datetime.now(UTC), last - len(happened) + 1
    rows = [
        {"run_id": run_id, "sequence": first + place, "kind": kind, "at": now, "data": data}
        for place, (kind, data) in enumerate(happened)
    ]
    if rows:
        session.connection().execute(insert(EventRow), rows)  # without the ORM, which would double the cost
    return last


def newest_at(session: Session, run_id: str) -> datetime | None:
    """When anything was last heard of a run."""
    query = select(EventRow.at).where(EventRow.run_id == run_id)
    return session.scalar(query.order_by(EventRow.sequence.desc()).limit(1))


def after(session: Session, run_id: str, sequence: int, *, limit: int) -> Sequence[EventRow]:
    """The next events behind a number, oldest first."""
    return session.scalars(
        select(EventRow)
        .where(EventRow.run_id == run_id, EventRow.sequence > min(sequence, MAXIMUM_INTEGER))
        .order_by(EventRow.sequence)
        .limit(limit)
    ).all()
