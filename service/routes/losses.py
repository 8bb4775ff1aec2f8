"""The loss curves of a run."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import RootModel

from service.dependencies import ReadSession, RunId
from service.domain import losses
from service.problems import errors_of

router = APIRouter(prefix="/v1/runs/{run_id}/losses", tags=["runs"])


class LossesBody(RootModel[dict[str, list[float | int | None]]]):
    """Series of equal length by name, `epoch` among them."""


@router.get("", responses=errors_of(404, 422))
def get_losses(
    run_id: RunId,
    session: ReadSession,
    keys: Annotated[
        str | None, Query(max_length=1000, description="Series, separated by commas; all if left out.")
    ] = None,
    points: Annotated[
        int | None, Query(ge=2, le=1_000_000, description="At most about so many epochs, extremes and last kept.")
    ] = None,
) -> LossesBody:
    """What was measured at each epoch's end: losses, metrics, learning rate, gradient norm, seconds."""
    chosen = [key.strip() for key in keys.split(",")] if keys is not None else None
    return LossesBody(losses.columns(session, run_id, keys=chosen, points=points))
