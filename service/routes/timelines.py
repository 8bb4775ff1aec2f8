"""Timelines of any number of a run, searches for the step where something begins, and comparisons of moments."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from engine.inspection.measures import Measure, Predicate
from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, RunId, SettingsDep
from service.domain import timelines
from service.domain.timelines import Place
from service.negotiation import accepted
from service.problems import errors_of
from service.routes.inspections import BINARY, Accept, EstimateOnly
from service.schemas.inspections import EstimateBody
from service.schemas.timelines import BisectRequest, CrossingBody, DifferenceBody, DiffRequest, TimelineBody

router = APIRouter(prefix="/v1", tags=["inspection"], dependencies=[Deferrable, InspectTurn], responses=LATER)

StepNumber = Annotated[int | None, Query(ge=1, le=10**12)]


ARROW = "application/vnd.apache.arrow.stream"
MEDIA_TYPES = {"application/json": "json", "application/*": "json", "*/*": "json", ARROW: "arrow"}


@router.get(
    "/runs/{run_id}/timeline",
    response_model=TimelineBody | EstimateBody,
    responses={200: {"content": {ARROW: BINARY}}, **errors_of(404, 406, 409, 413, 422)},
)
def get_timeline(
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    quantities: Annotated[
        str,
        Query(
            max_length=2000,
            description="With semicolons between: loss, learning_rate, gradient_norm, dW.1.norm, dW.*.norm, "
            "A.1[:,7].zero_share, W.2[0,3], update_ratio.W.1; or what epochs report, such as train.loss.",
        ),
    ] = "loss;learning_rate;gradient_norm",
    first: StepNumber = None,
    last: StepNumber = None,
    points: Annotated[int, Query(ge=1, le=10_000, description="At most so many steps, evenly apart.")] = 100,
    format: Annotated[Literal["json", "arrow"] | None, Query(description="Instead of Accept.")] = None,
    accept: Accept = "*/*",
    estimate_only: EstimateOnly = False,
) -> TimelineBody | EstimateBody | Response:
    """Any numbers of a run over its steps: those that were logged at once, all others by computing the steps again."""
    form = format or accepted(accept, MEDIA_TYPES)
    asked = [text.strip() for text in quantities.split(";") if text.strip()]
    if estimate_only:
        cost = timelines.timeline_estimate(database, run_id, quantities=asked, first=first, last=last, points=points)
        return EstimateBody.of(cost)
    found = timelines.timeline(database, settings, run_id, quantities=asked, first=first, last=last, points=points)
    return Response(timelines.as_arrow(found), media_type=ARROW) if form == "arrow" else TimelineBody.of(found)


@router.post("/runs/{run_id}/bisect", responses=errors_of(400, 404, 409, 413, 422))
def bisect_run(
    run_id: RunId, body: BisectRequest, database: DatabaseDep, settings: SettingsDep
) -> CrossingBody | EstimateBody:
    """The first step at which a number of the training passes a value: when a unit died, when a gradient vanished."""
    predicate = Predicate(Measure.parse(body.quantity), body.comparison, body.value)
    if body.estimate_only:
        cost = timelines.bisect_estimate(database, run_id, first=body.first, last=body.last, search=body.search)
        return EstimateBody.of(cost)
    found, replay = timelines.bisect(
        database, settings, run_id, predicate, first=body.first, last=body.last, search=body.search
    )
    return CrossingBody.of(run_id, found, replay)


@router.post("/diff", responses=errors_of(400, 404, 409, 413, 422))
def compare_moments(body: DiffRequest, database: DatabaseDep, settings: SettingsDep) -> DifferenceBody:
    """Two moments of one run or of two: how far each parameter moved, and the first step at which two runs differ."""
    a, b = (Place(place.run, str(place.at)) for place in (body.a, body.b))
    return DifferenceBody.of(timelines.difference(database, settings, a, b))
