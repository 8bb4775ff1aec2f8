"""Evaluation of a run's network on a part of its dataset."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import checkpoints, evaluations, runs
from service.domain.evaluations import Part
from service.problems import errors_of
from service.schemas.evaluations import EvaluationBody

router = APIRouter(prefix="/v1/runs/{run_id}/evaluation", tags=["runs"], dependencies=[InspectTurn])


@router.get("", responses=errors_of(404, 409, 413, 422))
def get_evaluation(
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    part: Annotated[Part, Query(description="Of the run's split.")] = "test",
    checkpoint: Annotated[str, Query(max_length=80, description="best, last, epoch:3 or checkpoint:ckpt_…")] = "best",
    worst: Annotated[int, Query(ge=0, le=1000, description="So many rows with the largest losses.")] = 20,
) -> EvaluationBody:
    """All metrics of a part, with each target's confusion matrix, calibration or residuals, and its worst rows.

    It is computed again from the dataset's file, the run's preprocessing and the checkpoint, also while the run trains.
    """
    with database.read() as session:
        run = runs.row_of(session, run_id)
        moment = checkpoints.moment(session, run, checkpoint)
    found = evaluations.evaluate(
        moment, settings.data, run.dataset_id, part=part, worst_count=worst, limits=settings.limits
    )
    return EvaluationBody.model_validate(found)
