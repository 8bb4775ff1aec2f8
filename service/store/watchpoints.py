"""Watchpoints of runs."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.store.tables import WatchpointRow


def of_run(session: Session, run_id: str) -> Sequence[WatchpointRow]:
    """All of a run, the oldest first."""
    query = select(WatchpointRow).where(WatchpointRow.run_id == run_id)
    return session.scalars(query.order_by(WatchpointRow.created_at, WatchpointRow.id)).all()


def awaited(session: Session, run_id: str) -> Sequence[WatchpointRow]:
    """Those of a run that were not met yet."""
    return [row for row in of_run(session, run_id) if row.hit_step is None]


def hit(session: Session, watchpoint_id: str, *, step: int, value: float | None) -> None:
    """Note where one was met."""
    change = update(WatchpointRow).where(WatchpointRow.id == watchpoint_id)
    session.execute(change.values(hit_step=step, hit_value=value).execution_options(synchronize_session=False))


def remove(session: Session, run_id: str, watchpoint_id: str) -> bool:
    """Take one away; False if there is none."""
    ours = (WatchpointRow.run_id == run_id, WatchpointRow.id == watchpoint_id)
    found = session.scalar(select(WatchpointRow.id).where(*ours))
    session.execute(delete(WatchpointRow).where(*ours).execution_options(synchronize_session=False))
    return found is not None
