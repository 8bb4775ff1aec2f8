"""What happened to a run, as pages or as a stream."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.dependencies import DatabaseDep, RunId
from service.domain import runs
from service.problems import errors_of
from service.schemas.base import PageBody
from service.schemas.events import EventBody
from service.store import events as store
from service.store import runs as run_store
from service.store.database import Database

router = APIRouter(prefix="/v1/runs/{run_id}/events", tags=["runs"])

POLL_SECONDS = 0.25
COMMENT_SECONDS = 15.0
BATCH = 500
BOTH = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **errors_of(404, 422)}


@router.get("", response_model=PageBody[EventBody], responses=BOTH)
def list_events(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    after: Annotated[int, Query(ge=0, le=2**53, description="Only events behind this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=BATCH)] = 100,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,16}$", description="A page's `next_cursor`.")] = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", pattern=r"^\d{1,16}$")] = None,
    accept: Annotated[str, Header()] = "*/*",
) -> Response:
    """What happened to a run, oldest first. With `Accept: text/event-stream` a stream that goes on to the run's end.

    A stream's events carry their number as `id`; sent back as `Last-Event-ID` it goes on behind it. It ends with an
    event called `end`.
    """
    first = int(last_event_id or cursor or after)
    with database.read() as session:
        runs.row_of(session, run_id)
        if "text/event-stream" not in accept:
            found = store.after(session, run_id, first, limit=limit + 1)
            items = [EventBody.model_validate(row) for row in found[:limit]]
            more = str(items[-1].sequence) if len(found) > limit else None
            return Response(PageBody(items=items, next_cursor=more).model_dump_json(), media_type="application/json")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(request, database, run_id, first), 200, headers, "text/event-stream")


async def _stream(request: Request, database: Database, run_id: str, sequence: int) -> AsyncIterator[bytes]:
    """Events from the database as they come, until the run has ended, the server stops or the client is gone."""
    quiet_since = time.monotonic()
    while not request.app.state.stopping.is_set():
        found, is_over = await run_in_threadpool(_next, database, run_id, sequence)
        for event in found:
            yield _message(event)
            sequence, quiet_since = event.sequence, time.monotonic()
        if is_over and not found:
            yield b"event: end\ndata: {}\n\n"
            return
        if time.monotonic() - quiet_since > COMMENT_SECONDS:
            yield b": still here\n\n"
            quiet_since = time.monotonic()
        if not found:
            await asyncio.sleep(POLL_SECONDS)


def _next(database: Database, run_id: str, sequence: int) -> tuple[list[EventBody], bool]:
    """The next events, and whether the run is over. Its status is read first, so that its last event is not missed."""
    with database.read() as session:
        status = run_store.status_of(session, run_id)
        found = store.after(session, run_id, sequence, limit=BATCH)
        return [EventBody.model_validate(row) for row in found], status is None or status in run_store.FINISHED


def _message(event: EventBody) -> bytes:
    content = orjson.dumps(event.model_dump(mode="json"))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.sequence, event.kind.encode(), content)
