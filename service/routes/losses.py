"""The loss curves of a run."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.dependencies import ReadSession, RunId
from service.domain import losses
from service.problems import errors_of
from service.schemas.losses import LossesBody

router = APIRouter(prefix="/v1/runs/{run_id}/losses", tags=["runs"])

POINTS = (
    "At most so many epochs: the first, the last, and, in equal stretches, those where a series of `keys` (else "
    "`train.loss` or `validation.loss`) is lowest and highest. Where there is no room for each such series' lowest and "
    "highest of all, they come all the same."
)


@router.get("", responses=errors_of(404, 422))
def get_losses(
    run_id: RunId,
    session: ReadSession,
    keys: Annotated[
        str | None, Query(max_length=1000, description="Series, separated by commas; all if left out.")
    ] = None,
    points: Annotated[int | None, Query(ge=2, le=1_000_000, description=POINTS)] = None,
) -> LossesBody:
    """What was measured at each epoch's end: losses, metrics, learning rate, gradient norm, seconds."""
    chosen = [key.strip() for key in keys.split(",")] if keys is not None else None
    return LossesBody(losses.columns(session, run_id, keys=chosen, points=points))
