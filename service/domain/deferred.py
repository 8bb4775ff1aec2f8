"""Deferred requests: an inspection that takes long is answered later, by a worker, and its answer fetched."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from service.errors import Conflict, NotFound, TooManyRuns
from service.ids import new_id
from service.settings import Limits
from service.store import deferred as store
from service.store.tables import DeferredRow

HEADERS = ("accept", "content-type")
"""Of a request, what its answer depends on."""


def add(
    session: Session, limits: Limits, *, method: str, address: str, headers: Mapping[str, str], body: bytes
) -> DeferredRow:
    """Put a request into the queue. TooManyRuns where no more may wait."""
    if store.waiting(session) >= limits.deferred_requests:
        raise TooManyRuns(
            f"{limits.deferred_requests} requests wait for their answers already. Try again later.",
            limit="deferred_requests",
            maximum=limits.deferred_requests,
            headers={"Retry-After": "10"},
        )
    row = DeferredRow(
        id=new_id("insp"),
        method=method,
        address=address,
        headers={name: headers[name] for name in HEADERS if name in headers},
        body=body,
        status="queued",
        attempts=0,
        created_at=datetime.now(UTC),
    )
    store.add(session, row)
    return row


def get(session: Session, deferred_id: str) -> DeferredRow:
    """The request, or NotFound."""
    row = session.get(DeferredRow, deferred_id)
    if row is None:
        raise NotFound(f"There is no inspection {deferred_id[:60]}.")
    return row


def answered(session: Session, deferred_id: str) -> DeferredRow:
    """The request with its answer. Conflict where it is not there."""
    row = get(session, deferred_id)
    if row.status == "failed":
        raise Conflict(
            f"Inspection {row.id} has no answer: the processes that worked at it ended without one.", code="no_answer"
        )
    if row.status != "answered":
        raise Conflict(f"Inspection {row.id} is {row.status}: its answer is not there yet.", code="not_answered_yet")
    return row


def remove(session: Session, deferred_id: str) -> None:
    """Forget a request and its answer."""
    if not store.remove(session, deferred_id):
        raise NotFound(f"There is no inspection {deferred_id[:60]}.")
