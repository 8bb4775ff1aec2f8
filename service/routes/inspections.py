"""Inspection: every Z, A, dZ, dA, dW and db, under a run or with all that is needed in the request."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from engine.inspection import Orientation
from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, LimitsDep, RunId, SettingsDep
from service.domain import datasets, estimates, inspections, replays, runs, tensors
from service.domain.checkpoints import Moment
from service.domain.estimates import Estimate
from service.domain.inspections import Subject
from service.domain.tensors import FORMATS, TensorAnswer
from service.errors import Unprocessable
from service.negotiation import accepted
from service.problems import errors_of
from service.schemas.inspections import (
    CheckBody,
    EstimateBody,
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

router = APIRouter(prefix="/v1", tags=["inspection"], dependencies=[Deferrable, InspectTurn], responses=LATER)

MEDIA_TYPES = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/x-npy": "npy",
    "application/x-npz": "npz",
    "application/vnd.safetensors": "safetensors",
    "application/x-safetensors": "safetensors",
}
"""What a client may accept, and which form it gets."""
ABOUT = "Chainrule-Inspection"
BINARY = {"schema": {"type": "string", "format": "binary"}}
LOOKED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {media_type: BINARY for media_type, _ in FORMATS.values() if media_type != "application/json"},
        "headers": {
            ABOUT: {
                "description": "In a file of tensors: the loss and all else that is said beside them, as JSON.",
                "schema": {"type": "string"},
            }
        },
    }
}
Form = Annotated[Literal["json", "arrow", "npy", "npz", "safetensors"] | None, Query(description="Instead of Accept.")]
Accept = Annotated[str, Header()]
EstimateOnly = Annotated[bool, Query(description="Say what it would cost, and do nothing of it.")]


@router.post(
    "/runs/{run_id}/inspect",
    response_model=InspectionBody | EstimateBody,
    responses={**LOOKED, **errors_of(400, 404, 406, 413, 422)},
)
def inspect_run(
    run_id: RunId,
    body: RunInspect,
    database: DatabaseDep,
    settings: SettingsDep,
    limits: LimitsDep,
    format: Form = None,
    accept: Accept = "*/*",
) -> Response:
    """Run a batch forward and back through the run's network at any stored moment, with dropout off.

    The batch is `rows` with their target columns, `dataset_rows` by part or number, or that of a training `step`.
    """
    form = format or accepted(accept, MEDIA_TYPES)
    dtype, after = inspections.dtype_of(body.quantities, body.dtype), body.options.after
    if body.estimate_only:
        cost, moment = replays.moment_estimate(database, run_id, moment_of(body))
        subject = _subject(database, settings, moment, body, dtype=dtype)
        return estimate_of(estimates.of_pass(subject, body.quantities, settings.limits, cost))
    then = None if after is None else replays.moment(database, settings, run_id, str(after))
    subject = subject_of_run(database, settings, run_id, body, dtype=dtype, after=then)
    return answer_of(inspections.look(subject, body.model_dump(), limits, form=form), form, limits)


@router.post("/runs/{run_id}/check", response_model=CheckBody, responses=errors_of(400, 404, 413, 422))
def check_run(
    run_id: RunId, body: RunCheck, database: DatabaseDep, settings: SettingsDep, limits: LimitsDep
) -> Response:
    """Backpropagation's derivatives beside measured ones: nudge a number, run forward again, divide. In float64."""
    subject = subject_of_run(database, settings, run_id, body, dtype="float64")
    return json_of(inspections.nudge(subject, body.model_dump(), limits))


@router.post(
    "/inspect", response_model=InspectionBody | EstimateBody, responses={**LOOKED, **errors_of(400, 406, 413, 422)}
)
def inspect(body: StatelessInspect, limits: LimitsDep, format: Form = None, accept: Accept = "*/*") -> Response:
    """Inspect a network that is whole in the request: layers, parameters, X and Y. In float64; nothing is stored."""
    form = format or accepted(accept, MEDIA_TYPES)
    subject = stateless_subject(body, body.orientation, limits, options=body.options.model_dump())
    if body.estimate_only:
        return estimate_of(estimates.of_pass(subject, body.quantities, limits))
    return answer_of(inspections.look(subject, body.model_dump(), limits, form=form), form, limits)


@router.post("/check", response_model=CheckBody, responses=errors_of(400, 413, 422))
def check(body: StatelessCheck, limits: LimitsDep) -> Response:
    """Nudge numbers of a network that is whole in the request."""
    return json_of(inspections.nudge(stateless_subject(body, body.orientation, limits), body.model_dump(), limits))


def subject_of_run(
    database: Database,
    settings: Settings,
    run_id: str,
    body: RunBatch,
    *,
    dtype: str | None,
    after: Moment | None = None,
) -> Subject:
    """A run's network at a moment, and a batch for it."""
    moment = replays.moment(database, settings, run_id, moment_of(body))
    return _subject(database, settings, moment, body, dtype=dtype, after=after)


def moment_of(body: RunBatch) -> str:
    """The moment a batch is looked at, by its name."""
    if body.at is not None and body.checkpoint is not None and body.at != body.checkpoint:
        raise Unprocessable("at and checkpoint are two words for one thing; expected one of them.", code="two_moments")
    at = body.at if body.at is not None else body.checkpoint
    return "best" if at is None else str(at)


def _subject(
    database: Database,
    settings: Settings,
    moment: Moment,
    body: RunBatch,
    *,
    dtype: str | None,
    after: Moment | None = None,
) -> Subject:
    with database.read() as session:
        dataset_id = runs.row_of(session, moment.run_id).dataset_id
        if body.dataset_rows is not None and body.dataset_rows.dataset is not None:
            datasets.get(session, body.dataset_rows.dataset)
    return inspections.of_run(
        moment, settings.data, dataset_id, body.model_dump(), dtype=dtype, limits=settings.limits, after=after
    )


def stateless_subject(
    body: Stateless, orientation: Orientation, limits: Limits, options: Mapping[str, Any] | None = None
) -> Subject:
    """The network and the batch that a request holds."""
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
        options=options,
    )


def answer_of(answer: TensorAnswer, form: str, limits: Limits) -> Response:
    """Tensors in the form a client asked for."""
    about = {} if form in ("json", "arrow", "safetensors") else {ABOUT: tensors.header(answer)}
    return Response(tensors.write(answer, form, limits), 200, about, FORMATS[form][0])


def estimate_of(estimate: Estimate) -> Response:
    """An estimate in place of the answer."""
    return json_of(EstimateBody.of(estimate).model_dump())


def json_of(content: dict[str, Any]) -> Response:
    """An object as it is."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
