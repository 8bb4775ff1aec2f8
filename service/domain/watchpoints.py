"""Watchpoints: a run is paused at the step where a number of it passes a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from engine.inspection.measures import Measure
from engine.optimizers import OPTIMIZERS
from service.domain import runs
from service.errors import Conflict, NotFound, Unprocessable
from service.ids import new_id
from service.store import events
from service.store import runs as store
from service.store import watchpoints as stored
from service.store.tables import RunRow, WatchpointRow

MOST = 20
"""Of a run: each is looked at in every step."""


@dataclass(frozen=True)
class Condition:
    """A number of a step compared with a value."""

    quantity: str
    comparison: str
    value: float


def check(conditions: Sequence[Condition], optimizer: str) -> None:
    """Raise SpecError for words that name no number of a step, Unprocessable where nothing can be watched."""
    for place, condition in enumerate(conditions):
        Measure.parse(condition.quantity, f"watchpoints[{place}].quantity")
    if conditions and OPTIMIZERS[optimizer].full_batch:
        raise Unprocessable(
            f"{optimizer} takes one step an epoch, of all rows: look at its epochs.", code="no_watchpoints"
        )


def add(session: Session, run: RunRow, conditions: Sequence[Condition]) -> list[WatchpointRow]:
    """Watch for these from now on, or from where the run begins. Conflict for a finished run, or for too many."""
    if run.status in store.FINISHED:
        raise Conflict(f"Run {run.id} is {run.status}: it takes no step any more.", code="not_allowed_now")
    if len(stored.of_run(session, run.id)) + len(conditions) > MOST:
        raise Conflict(f"Run {run.id} can have {MOST} watchpoints; delete one.", code="too_many_watchpoints")
    now = datetime.now(UTC)
    rows = [WatchpointRow(id=new_id("watch"), run_id=run.id, created_at=now, **vars(each)) for each in conditions]
    session.add_all(rows)
    session.flush()
    for row in rows:
        events.append(session, run.id, "watching", {"watchpoint": row.id, "quantity": row.quantity})
    return rows


def listed(session: Session, run_id: str) -> Sequence[WatchpointRow]:
    """All of a run."""
    return stored.of_run(session, runs.row_of(session, run_id).id)


def remove(session: Session, run_id: str, watchpoint_id: str) -> None:
    """Watch for this one no longer."""
    runs.row_of(session, run_id)
    if not stored.remove(session, run_id, watchpoint_id):
        raise NotFound(f"Run {run_id} has no watchpoint {watchpoint_id[:60]}.")
