"""Explanations of single numbers, gain ledgers, and the paths of a gradient, with a run and without."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from engine.inspection.explain import DIGITS, TERMS
from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, LimitsDep, RunId, SettingsDep
from service.domain import explanations
from service.domain.explanations import DOCUMENTS
from service.domain.inspections import Subject
from service.errors import Fault, Unprocessable
from service.negotiation import accepted
from service.problems import errors_of
from service.routes.inspections import Accept, stateless_subject, subject_of_run
from service.schemas.base import NO_NUL
from service.schemas.explanations import (
    ExplanationBody,
    GainsBody,
    PathsBody,
    RunExplain,
    RunGains,
    RunPaths,
    StatelessExplain,
    StatelessGains,
    StatelessPaths,
)
from service.schemas.inspections import Convention, DatasetRows, Orientation
from service.settings import Limits

router = APIRouter(prefix="/v1", tags=["inspection"], dependencies=[Deferrable, InspectTurn], responses=LATER)

MEDIA_TYPES = {
    "application/json": "json",
    "application/*": "json",
    "*/*": "json",
    "text/html": "html",
    "text/markdown": "markdown",
    "application/x-latex": "latex",
}
"""What a client may accept, and which form it gets."""
TEXT = {"schema": {"type": "string"}}
WRITTEN: dict[int | str, dict[str, Any]] = {
    200: {"content": {media_type: TEXT for media_type in DOCUMENTS.values() if media_type != "application/json"}}
}
Form = Annotated[Literal["json", "markdown", "latex", "html"] | None, Query(description="Instead of Accept.")]
Address = Annotated[
    str,
    Path(
        max_length=60,
        pattern=NO_NUL,
        examples=["dW.1[0,1]"],
        description="dW.2[0,3], Z.1[5,1], loss[0] or loss: a number of any tensor of a pass over the batch.",
    ),
]


@router.get(
    "/runs/{run_id}/explain/{address}",
    response_model=ExplanationBody,
    responses={**WRITTEN, **errors_of(404, 406, 413, 422)},
)
def get_explanation(
    request: Request,
    run_id: RunId,
    address: Address,
    database: DatabaseDep,
    settings: SettingsDep,
    at: Annotated[
        str, Query(max_length=80, pattern=NO_NUL, description="The moment: best, last, epoch:3, 96.")
    ] = "best",
    rows: Annotated[
        str | None,
        Query(pattern=r"^\d{1,12}(,\d{1,12})*$", max_length=2000, description="The batch: rows of the dataset, 17,4."),
    ] = None,
    part: Annotated[Literal["train", "validation", "test"], Query(description="Where no rows are named.")] = "train",
    limit: Annotated[int, Query(ge=1, le=10_000, description="Of the part, so many rows.")] = 8,
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    terms: Annotated[int, Query(ge=1, le=1000, description="Listed of a sum.")] = TERMS,
    digits: Annotated[int, Query(ge=1, le=17, description="Significant ones in texts.")] = DIGITS,
    format: Form = None,
    accept: Accept = "*/*",
) -> Response:
    """One number of a run's pass, line by line: the equation, its shapes, its numbers, the sum really performed.

    As HTML it is a page on which every number links to its own explanation.
    """
    numbers = None if rows is None else [int(number) for number in rows.split(",")]
    body = RunExplain(
        at=at,
        dataset_rows=DatasetRows(part=None if numbers else part, limit=limit, numbers=numbers),
        address=address,
        convention=convention,
        orientation=orientation,
        terms=terms,
        digits=digits,
    )
    subject = subject_of_run(database, settings, run_id, body, dtype="float64")
    form = format or accepted(accept, MEDIA_TYPES)
    return _written(subject, body.model_dump(), settings.limits, form, link=_links(request))


def _links(request: Request) -> Callable[[str], str]:
    """The address of another number's explanation, beside this one."""
    query = urlencode(list(request.query_params.multi_items()))
    return lambda address: f"{quote(address, safe='')}{'?' if query else ''}{query}"


@router.post(
    "/runs/{run_id}/explain",
    response_model=ExplanationBody,
    responses={**WRITTEN, **errors_of(400, 404, 406, 413, 422)},
)
def explain_run(
    run_id: RunId,
    body: RunExplain,
    database: DatabaseDep,
    settings: SettingsDep,
    format: Form = None,
    accept: Accept = "*/*",
) -> Response:
    """One number of a run's pass over a batch, line by line; without an address all of one example's way."""
    subject = subject_of_run(database, settings, run_id, body, dtype="float64")
    return _written(subject, body.model_dump(), settings.limits, format or accepted(accept, MEDIA_TYPES))


@router.post("/explain", response_model=ExplanationBody, responses={**WRITTEN, **errors_of(400, 406, 413, 422)})
def explain(body: StatelessExplain, limits: LimitsDep, format: Form = None, accept: Accept = "*/*") -> Response:
    """The same of a network that is whole in the request."""
    subject = stateless_subject(body, body.orientation, limits)
    return _written(subject, body.model_dump(), limits, format or accepted(accept, MEDIA_TYPES))


def _written(
    subject: Subject,
    questions: dict[str, Any],
    limits: Limits,
    form: str,
    link: Callable[[str], str | None] = lambda address: None,
) -> Response:
    if questions["address"] is None and questions["convention"] == "mean":
        fault = Fault("/convention", "invalid", "expected per_example with a whole derivation, whose m is 1")
        raise Unprocessable("convention: expected per_example with a whole derivation.", errors=[fault])
    content = explanations.explain(subject, questions, limits, form=form, link=link)
    return Response(content, media_type=DOCUMENTS[form])


@router.post("/runs/{run_id}/gains", responses=errors_of(400, 404, 413, 422))
def get_gains_of_run(run_id: RunId, body: RunGains, database: DatabaseDep, settings: SettingsDep) -> GainsBody:
    """From the loss down to the first layer, what each operation makes of the gradient's norm: where it vanishes."""
    subject = subject_of_run(database, settings, run_id, body, dtype="float64")
    return GainsBody.model_validate(explanations.gains(subject, body.model_dump(), settings.limits))


@router.post("/gains", responses=errors_of(400, 413, 422))
def get_gains(body: StatelessGains, limits: LimitsDep) -> GainsBody:
    """The same of a network that is whole in the request."""
    subject = stateless_subject(body, "rows", limits)
    return GainsBody.model_validate(explanations.gains(subject, body.model_dump(), limits))


@router.post("/runs/{run_id}/paths", responses=errors_of(400, 404, 413, 422))
def get_paths_of_run(run_id: RunId, body: RunPaths, database: DatabaseDep, settings: SettingsDep) -> PathsBody:
    """One weight's gradient as the sum of the ways in which a nudge of it reaches the loss: the largest of them."""
    subject = subject_of_run(database, settings, run_id, body, dtype="float64")
    return PathsBody.model_validate(explanations.paths(subject, body.model_dump(), settings.limits))


@router.post("/paths", responses=errors_of(400, 413, 422))
def get_paths(body: StatelessPaths, limits: LimitsDep) -> PathsBody:
    """The same of a network that is whole in the request."""
    subject = stateless_subject(body, body.orientation, limits)
    return PathsBody.model_validate(explanations.paths(subject, body.model_dump(), limits))
