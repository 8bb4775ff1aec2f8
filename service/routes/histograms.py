"""How the numbers of tensors are spread, over a run's steps."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, RunId, SettingsDep
from service.domain import histograms
from service.problems import errors_of
from service.routes.timelines import StepNumber
from service.schemas.histograms import HistogramsBody

router = APIRouter(prefix="/v1", tags=["inspection"], dependencies=[Deferrable, InspectTurn], responses=LATER)


@router.get("/runs/{run_id}/histograms", responses=errors_of(404, 409, 413, 422))
def get_histograms(
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    tensors: Annotated[
        str,
        Query(max_length=2000, description="With commas between: W.1, dW.1, A.2, dZ.2, update.W.1, …"),
    ] = "W.1,dW.1",
    first: StepNumber = None,
    last: StepNumber = None,
    points: Annotated[int, Query(ge=1, le=200, description="At most so many steps, evenly apart.")] = 12,
    bins: Annotated[int, Query(ge=2, le=400)] = 40,
) -> HistogramsBody:
    """How tensors of a run's steps are spread, all steps of each in the same bins, computed again."""
    asked = [text.strip() for text in tensors.split(",") if text.strip()]
    found = histograms.histograms(
        database, settings, run_id, tensors=asked, first=first, last=last, points=points, bins=bins
    )
    return HistogramsBody.of(found)
