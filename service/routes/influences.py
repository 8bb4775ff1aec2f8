"""Influence: which training rows lowered or raised a loss."""

from fastapi import APIRouter

from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, RunId, SettingsDep
from service.domain import influences
from service.problems import errors_of
from service.schemas.influences import InfluenceBody, InfluenceQuestion

router = APIRouter(
    prefix="/v1/runs/{run_id}/influence", tags=["inspection"], dependencies=[Deferrable, InspectTurn], responses=LATER
)


@router.post("", responses=errors_of(400, 404, 409, 413, 422))
def trace_influence(
    run_id: RunId, body: InfluenceQuestion, database: DatabaseDep, settings: SettingsDep
) -> InfluenceBody:
    """The training rows that did most to a row's loss, or to the mean loss of several.

    `ledger` goes through every step again and splits the loss's whole fall among the rows, exactly; `tracin` multiplies
    gradients at some moments, to the first order.
    """
    return InfluenceBody.model_validate(influences.trace(database, settings, run_id, body.model_dump()))
