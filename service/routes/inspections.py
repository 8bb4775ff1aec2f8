"""Inspection: every Z, A, dZ, dA, dW and db, under a run or with all that is needed in the request."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from engine.inspection import Orientation
from service.dependencies import DatabaseDep, InspectTurn, LimitsDep, RunId, SettingsDep
from service.domain import inspections, replays, runs
from service.domain.inspections import Subject
from service.errors import Unprocessable
from service.problems import errors_of
from service.schemas.inspections import (
    CheckBody,
    InspectionBody,
    RunBatch,
    RunCheck,
    RunInspect,
    Stateless,
    StatelessCheck,
    StatelessInspect,
)
from service.settings import Limits, Settings
from service.store.database import Database

router = APIRouter(prefix="/v1", tags=["inspection"], dependencies=[InspectTurn])


@router.post("/runs/{run_id}/inspect", response_model=InspectionBody, responses=errors_of(400, 404, 413, 422))
def inspect_run(
    run_id: RunId, body: RunInspect, database: DatabaseDep, settings: SettingsDep, limits: LimitsDep
) -> Response:
    """Run a batch forward and back through the run's network at any stored moment, with dropout off.

    The batch is `rows` with their target columns, `dataset_rows` by part or number, or that of a training `step`.
    """
    subject = _subject_of_run(database, settings, run_id, body, dtype=body.dtype)
    return _json(inspections.look(subject, body.model_dump(), limits))


@router.post("/runs/{run_id}/check", response_model=CheckBody, responses=errors_of(400, 404, 413, 422))
def check_run(
    run_id: RunId, body: RunCheck, database: DatabaseDep, settings: SettingsDep, limits: LimitsDep
) -> Response:
    """Backpropagation's derivatives beside measured ones: nudge a number, run forward again, divide. In float64."""
    subject = _subject_of_run(database, settings, run_id, body, dtype="float64")
    return _json(inspections.nudge(subject, body.model_dump(), limits))


@router.post("/inspect", response_model=InspectionBody, responses=errors_of(400, 413, 422))
def inspect(body: StatelessInspect, limits: LimitsDep) -> Response:
    """Inspect a network that is whole in the request: layers, parameters, X and Y. In float64; nothing is stored."""
    return _json(inspections.look(_stateless(body, body.orientation, limits), body.model_dump(), limits))


@router.post("/check", response_model=CheckBody, responses=errors_of(400, 413, 422))
def check(body: StatelessCheck, limits: LimitsDep) -> Response:
    """Nudge numbers of a network that is whole in the request."""
    return _json(inspections.nudge(_stateless(body, body.orientation, limits), body.model_dump(), limits))


def _subject_of_run(
    database: Database, settings: Settings, run_id: str, body: RunBatch, *, dtype: str | None
) -> Subject:
    if body.at is not None and body.checkpoint is not None and body.at != body.checkpoint:
        raise Unprocessable("at and checkpoint are two words for one thing; expected one of them.", code="two_moments")
    at = body.at if body.at is not None else body.checkpoint
    moment = replays.moment(database, settings, run_id, "best" if at is None else str(at))
    with database.read() as session:
        dataset_id = runs.row_of(session, run_id).dataset_id
    return inspections.of_run(moment, settings.data, dataset_id, body.model_dump(), dtype=dtype, limits=settings.limits)


def _stateless(body: Stateless, orientation: Orientation, limits: Limits) -> Subject:
    network = body.network
    return inspections.stateless(
        network.layers,
        network.input,
        body.loss,
        body.parameters,
        body.X,
        body.Y,
        weights=body.weights,
        orientation=orientation,
        limits=limits,
    )


def _json(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
