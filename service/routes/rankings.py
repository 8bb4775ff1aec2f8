"""Rankings of a part's rows by their own losses and gradients."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, RunId, SettingsDep
from service.domain import rankings
from service.domain.evaluations import Part
from service.domain.rankings import By
from service.problems import errors_of
from service.schemas.base import NO_NUL
from service.schemas.rankings import RankingBody

router = APIRouter(
    prefix="/v1/runs/{run_id}/ranking", tags=["inspection"], dependencies=[Deferrable, InspectTurn], responses=LATER
)


@router.get("", responses=errors_of(404, 409, 413, 422))
def get_ranking(
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    by: Annotated[
        By, Query(description="suspicion: wrong labels first, of a run with one target of classes.")
    ] = "loss",
    part: Annotated[Part, Query(description="Of the run's split.")] = "train",
    at: Annotated[
        str,
        Query(max_length=2000, pattern=NO_NUL, description="Moments with commas between: last, or epoch:2,epoch:4."),
    ] = "",
    moments: Annotated[
        int | None, Query(ge=1, le=1000, description="So many over the training, where none are named.")
    ] = None,
    top: Annotated[int, Query(ge=1, le=1000, description="At most so many rows.")] = 20,
) -> RankingBody:
    """The rows of a whole part with the largest losses, gradients or self-influences, or the most suspect labels first.

    Loss and gradient norm are those at the last of the moments, which is the best one unless others are named;
    self-influence and suspicion look at 8 moments over the training.
    """
    found = rankings.rank(
        database,
        settings,
        run_id,
        part=part,
        by=by,
        at=[name.strip() for name in at.split(",") if name.strip()],
        count=moments,
        top=top,
    )
    return RankingBody.model_validate(found)
