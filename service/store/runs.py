"""Runs: the queue, and the few ways in which a run's status moves.

    queued ──claim──▶ running ──▶ succeeded | failed | cancelled
      ▲  ▲                │
      │  └── give_back ───┤
    resume                ▼
      └───────────────  paused          queued and paused runs can be paused or cancelled at once

Every write of a worker is fenced: it holds only while the run is running under the attempt the worker claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, literal, null, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased, defer

from service.store import events
from service.store.database import database_now
from service.store.pages import Page, page
from service.store.tables import Json, RunRow, RunTagRow

STATUSES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
FINISHED = ("succeeded", "failed", "cancelled")
MAXIMUM_DEATHS = 5

ORDERS: dict[str, tuple[InstrumentedAttribute[Any], bool]] = {
    "-created_at": (RunRow.created_at, True),
    "created_at": (RunRow.created_at, False),
    "-priority": (RunRow.priority, True),
    "priority": (RunRow.priority, False),
    "name": (RunRow.name, False),
    "-name": (RunRow.name, True),
    "best": (RunRow.best_rising, False),
    "-best": (RunRow.best_falling, True),
}
"""What a list can be ordered by, and whether it falls; runs without a best come last."""


@dataclass(frozen=True)
class Claim:
    """A run that is now a worker's."""

    run_id: str
    attempt: int


@dataclass(frozen=True)
class Wishes:
    """What a user wants of a running run."""

    cancel: bool
    pause: bool


# Reading -----------------------------------------------------------------------------------------------------------


def add(session: Session, row: RunRow, tags: Sequence[str]) -> None:
    """Add a run with its tags."""
    session.add(row)
    session.flush()
    set_tags(session, row.id, tags)


def get(session: Session, run_id: str) -> RunRow | None:
    """The run as the database has it now."""
    return session.get(RunRow, run_id, populate_existing=True)


def status_of(session: Session, run_id: str) -> str | None:
    """The run's status, None if it is gone."""
    return session.scalar(select(RunRow.status).where(RunRow.id == run_id))


def listed(
    session: Session,
    *,
    statuses: Sequence[str] = (),
    tags: Sequence[str] = (),
    dataset_id: str | None = None,
    name: str | None = None,
    order_by: str = "-created_at",
    limit: int,
    cursor: str | None,
) -> Page[RunRow]:
    """Runs in any of these statuses that carry all these tags and have `name` in theirs, whatever its case.

    They come without the columns that only one run shows.
    """
    query = select(RunRow).options(defer(RunRow.spec), defer(RunRow.preprocessing), defer(RunRow.notes))
    if statuses:
        query = query.where(RunRow.status.in_(statuses))
    if dataset_id is not None:
        query = query.where(RunRow.dataset_id == dataset_id)
    if name is not None:
        query = query.where(RunRow.name.icontains(name, autoescape=True))
    for tag in tags:
        query = query.where(exists().where(RunTagRow.run_id == RunRow.id, RunTagRow.tag == tag))
    key, descending = ORDERS[order_by]
    return page(session, query, keys=(key, RunRow.id), descending=descending, limit=limit, cursor=cursor)


def tags_of(session: Session, run_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of some runs, sorted."""
    found: dict[str, list[str]] = {run_id: [] for run_id in run_ids}
    query = select(RunTagRow.run_id, RunTagRow.tag).where(RunTagRow.run_id.in_(run_ids)).order_by(RunTagRow.tag)
    for run_id, tag in session.execute(query):
        found[run_id].append(tag)
    return found


def set_tags(session: Session, run_id: str, tags: Sequence[str]) -> None:
    """Replace a run's tags."""
    session.execute(delete(RunTagRow).where(RunTagRow.run_id == run_id))
    session.add_all(RunTagRow(run_id=run_id, tag=tag) for tag in dict.fromkeys(tags))
    session.flush()


def queue_positions(session: Session, run_ids: Sequence[str]) -> dict[str, int]:
    """For each queued run of these how many will be claimed up to and including it."""
    if not run_ids:
        return {}
    ahead = aliased(RunRow)
    is_ahead = or_(
        ahead.priority > RunRow.priority,
        and_(ahead.priority == RunRow.priority, ahead.created_at < RunRow.created_at),
        and_(ahead.priority == RunRow.priority, ahead.created_at == RunRow.created_at, ahead.id <= RunRow.id),
    )
    count = select(func.count()).where(ahead.status == "queued", is_ahead).correlate(RunRow).scalar_subquery()
    query = select(RunRow.id, count).where(RunRow.id.in_(run_ids), RunRow.status == "queued")
    return {row[0]: row[1] for row in session.execute(query)}


def counts(session: Session) -> dict[str, int]:
    """How many runs there are in each status."""
    found = dict.fromkeys(STATUSES, 0)
    query = select(RunRow.status, func.count()).group_by(RunRow.status)
    return found | {row[0]: row[1] for row in session.execute(query)}


def delete_finished(session: Session, run_id: str) -> bool:
    """Delete a finished run and all its rows; False if it is not finished, or gone."""
    gone = session.execute(delete(RunRow).where(RunRow.id == run_id, RunRow.status.in_(FINISHED)))
    return _changed(gone)


# Moving ------------------------------------------------------------------------------------------------------------


def move(session: Session, run_id: str, old: str | Sequence[str], new: str, **values: Any) -> bool:
    """Change a run's status if it is still `old`."""
    olds = [old] if isinstance(old, str) else list(old)
    change = (
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.status.in_(olds))
        .values(status=new, **_clean(new), **values)
        .execution_options(synchronize_session=False)
    )
    return _changed(session.execute(change))


def wish(session: Session, run_id: str, column: str) -> bool:
    """Set `cancel_requested_at` or `pause_requested_at` of a running run; False unless it runs without that wish."""
    wished = getattr(RunRow, column)
    change = (
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.status == "running", wished.is_(None))
        .values({column: datetime.now(UTC)})
        .execution_options(synchronize_session=False)
    )
    return _changed(session.execute(change))


def take_back_pause(session: Session, run_id: str) -> bool:
    """Drop the wish to pause of a run that still runs; False unless there was one."""
    change = (
        update(RunRow)
        .where(RunRow.id == run_id, RunRow.status == "running", RunRow.pause_requested_at.is_not(None))
        .values(pause_requested_at=None)
        .execution_options(synchronize_session=False)
    )
    return _changed(session.execute(change))


def _clean(status: str) -> dict[str, Any]:
    """What a status says about the columns beside it."""
    values: dict[str, Any] = {"lease_until": None, "cancel_requested_at": None, "pause_requested_at": None}
    if status in FINISHED:
        values["finished_at"] = datetime.now(UTC)
    if status == "queued":
        values["queued_at"] = datetime.now(UTC)
    return values


def _changed(result: Any) -> bool:
    return bool(result.rowcount == 1)


# Workers -----------------------------------------------------------------------------------------------------------

_EXPIRED = and_(RunRow.status == "running", RunRow.lease_until < database_now())
_UNWISHED = and_(RunRow.cancel_requested_at.is_(None), RunRow.pause_requested_at.is_(None))
_WISHED = ((RunRow.cancel_requested_at, "cancelled"), (RunRow.pause_requested_at, "paused"))
"""What a user can want of a running run, the stronger first, and where it leads."""
_CLAIMABLE: ColumnElement[bool] = or_(RunRow.status == "queued", and_(_EXPIRED, _UNWISHED))


def has_claimable(session: Session) -> bool:
    """Whether a claim would find something; cheap, and takes no lock."""
    return session.scalar(select(RunRow.id).where(or_(RunRow.status == "queued", _EXPIRED)).limit(1)) is not None


def claim(session: Session, worker_id: str, *, lease_seconds: float) -> Claim | None:
    """Take the next queued run, or one whose worker's lease ran out, in one statement. None if there is none."""
    settle_expired(session)
    candidate = aliased(RunRow)
    first = (
        select(candidate.id)
        .where(
            or_(
                candidate.status == "queued",
                and_(candidate.status == "running", candidate.lease_until < database_now()),
            )
        )
        .order_by(candidate.priority.desc(), candidate.created_at, candidate.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rescued: Json = {"code": "rescued", "detail": "its worker's lease ran out"}
    row = session.execute(
        update(RunRow)
        .where(RunRow.id == first, _CLAIMABLE)
        .values(
            status="running",
            worker_id=worker_id,
            attempt=RunRow.attempt + 1,
            lease_until=database_now() + lease_seconds,
            started_at=func.coalesce(RunRow.started_at, literal(datetime.now(UTC), RunRow.started_at.type)),
            reason=case((RunRow.status == "running", literal(rescued, RunRow.reason.type)), else_=null()),
        )
        .returning(RunRow.id, RunRow.attempt, RunRow.reason)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        return None
    if row.reason is not None:
        events.append(session, row.id, "rescued", row.reason)
    events.append(session, row.id, "claimed", {"worker": worker_id, "attempt": row.attempt})
    return Claim(row.id, row.attempt)


def settle_expired(session: Session) -> None:
    """End or pause the runs that lost their worker while a user wanted just that."""
    for wished, status in _WISHED:
        found = session.scalars(
            update(RunRow)
            .where(_EXPIRED, wished.is_not(None))
            .values(status=status, reason=as_asked(status), **_clean(status))
            .returning(RunRow.id)
            .execution_options(synchronize_session=False)
        ).all()
        for run_id in found:
            events.append(session, run_id, status, as_asked(status))


def beat(session: Session, run_id: str, attempt: int, *, lease_seconds: float, epoch: int, step: int) -> Wishes | None:
    """Renew the lease, note the progress, and bring back what the user wants; None if the run is no longer ours."""
    row = session.execute(
        update(RunRow)
        .where(_mine(run_id, attempt))
        .values(lease_until=database_now() + lease_seconds, epoch=epoch, step=step)
        .returning(RunRow.cancel_requested_at, RunRow.pause_requested_at)
        .execution_options(synchronize_session=False)
    ).first()
    return None if row is None else Wishes(cancel=row[0] is not None, pause=row[1] is not None)


def holds(session: Session, run_id: str, attempt: int) -> bool:
    """Whether a run is still ours, and stays so to the end of this transaction."""
    return session.scalar(select(RunRow.id).where(_mine(run_id, attempt)).with_for_update()) is not None


def fenced(session: Session, run_id: str, attempt: int, **values: Any) -> bool:
    """Write to a run if it is still ours."""
    change = update(RunRow).where(_mine(run_id, attempt)).values(**values)
    return _changed(session.execute(change.execution_options(synchronize_session=False)))


def end(session: Session, run_id: str, attempt: int, status: str, reason: Json) -> bool:
    """Move a run that is still ours from running to its end, with its event."""
    return _end(session, _mine(run_id, attempt), run_id, status, reason)


def end_as_asked(session: Session, run_id: str, attempt: int) -> str | None:
    """Cancel or pause a run that is still ours if a user wants it now; gives its status, None if no one does.

    A wish that was seen earlier does not count: it may have been taken back, or another may stand beside it.
    """
    for wished, status in _WISHED:
        if _end(session, and_(_mine(run_id, attempt), wished.is_not(None)), run_id, status, as_asked(status)):
            return status
    return None


def pause_at(session: Session, run_id: str, attempt: int, reason: Json) -> bool:
    """Pause a run that is still ours at a watchpoint; False if it no longer is."""
    return _end(session, _mine(run_id, attempt), run_id, "paused", reason)


def _end(session: Session, where: ColumnElement[bool], run_id: str, status: str, reason: Json) -> bool:
    change = update(RunRow).where(where).values(status=status, reason=reason, **_clean(status))
    if not _changed(session.execute(change.execution_options(synchronize_session=False))):
        return False
    events.append(session, run_id, status, reason)
    return True


def as_asked(status: str) -> Json:
    """Why a run is in a status that a user wanted."""
    return {"code": f"{status}_by_user", "detail": "as asked"}


def give_back(session: Session, run_id: str, attempt: int, *, event: str, reason: Json) -> str | None:
    """Put a run that is still ours back into the queue, or where a user wanted it. Gives its status, None if fenced."""
    if not holds(session, run_id, attempt):
        return None
    if (status := end_as_asked(session, run_id, attempt)) is not None:
        return status
    events.append(session, run_id, event, reason)
    change = update(RunRow).where(_mine(run_id, attempt)).values(status="queued", reason=reason, **_clean("queued"))
    session.execute(change.execution_options(synchronize_session=False))
    return "queued"


def note_death(session: Session, run_id: str, attempt: int, *, how: str) -> str | None:
    """A worker process died over the run: back into the queue, or failed after too many deaths without progress."""
    deaths = session.scalar(
        update(RunRow)
        .where(_mine(run_id, attempt))
        .values(deaths=RunRow.deaths + 1)
        .returning(RunRow.deaths)
        .execution_options(synchronize_session=False)
    )
    if deaths is None:
        return None
    if deaths >= MAXIMUM_DEATHS:
        detail = f"{deaths} worker processes in a row died over this run without a new checkpoint; the last {how}"
        end(session, run_id, attempt, "failed", {"code": "worker_lost", "detail": detail, "deaths": deaths})
        return "failed"
    reason = {"code": "worker_died", "detail": f"its worker process {how}", "deaths": deaths}
    return give_back(session, run_id, attempt, event="rescued", reason=reason)


def held_by(session: Session, worker_ids: Sequence[str]) -> list[Claim]:
    """The running runs of these workers."""
    query = select(RunRow.id, RunRow.attempt).where(RunRow.status == "running", RunRow.worker_id.in_(worker_ids))
    return [Claim(run_id, attempt) for run_id, attempt in session.execute(query)]


def _mine(run_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(RunRow.id == run_id, RunRow.attempt == attempt, RunRow.status == "running")
