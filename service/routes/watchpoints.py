"""Watchpoints: a run pauses at the step where a number of it passes a value, and can be looked at there."""

from typing import Annotated

from fastapi import APIRouter, Path

from service.dependencies import ReadSession, RunId, WriteSession
from service.domain import runs, watchpoints
from service.domain.watchpoints import Condition
from service.problems import errors_of
from service.schemas.base import NO_NUL
from service.schemas.watchpoints import WatchpointBody, WatchpointRequest, WatchpointsBody

router = APIRouter(prefix="/v1/runs/{run_id}/watchpoints", tags=["runs"])

WatchpointId = Annotated[str, Path(examples=["watch_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]


@router.post("", status_code=201, responses=errors_of(400, 404, 409, 422))
def add_watchpoint(run_id: RunId, body: WatchpointRequest, session: WriteSession) -> WatchpointBody:
    """Pause the run at the next step where a number of it passes a value, also while it trains.

    While a run is watched it takes its steps one by one, with the same bits.
    """
    run = runs.row_of(session, run_id)
    condition = Condition(**body.model_dump())
    watchpoints.check([condition], run.resolved["training"]["optimizer"]["type"])
    return WatchpointBody.model_validate(watchpoints.add(session, run, [condition])[0])


@router.get("", responses=errors_of(404, 422))
def list_watchpoints(run_id: RunId, session: ReadSession) -> WatchpointsBody:
    """All watchpoints of a run, with where they were met."""
    return WatchpointsBody(items=[WatchpointBody.model_validate(row) for row in watchpoints.listed(session, run_id)])


@router.delete("/{watchpoint_id}", status_code=204, responses=errors_of(404, 422))
def delete_watchpoint(run_id: RunId, watchpoint_id: WatchpointId, session: WriteSession) -> None:
    """Watch for this no longer."""
    watchpoints.remove(session, run_id, watchpoint_id)
