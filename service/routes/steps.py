"""The time machine: any step of any run, as it was, with every number of it."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from engine.inspection import REDUCTIONS
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import inspections, steps
from service.problems import errors_of
from service.schemas.base import NO_NUL
from service.schemas.inspections import Convention, Orientation, Reduction
from service.schemas.steps import StepBody

router = APIRouter(prefix="/v1/runs/{run_id}/steps/{step}", tags=["inspection"], dependencies=[InspectTurn])

StepName = Annotated[
    str,
    Path(
        max_length=80,
        pattern=NO_NUL,
        examples=["96", "last"],
        description="Its number, counted from 1 over the whole training; first, last; or the one that led to epoch:3, "
        "best or checkpoint:ckpt_…",
    ),
]
ERRORS = errors_of(404, 409, 413, 422)


@router.get("", response_model=StepBody, responses=ERRORS)
def get_step(
    run_id: RunId,
    step: StepName,
    database: DatabaseDep,
    settings: SettingsDep,
    tensors: Annotated[
        str, Query(max_length=2000, description="Names with commas between: dW.1, or dW, update, opt for all of them.")
    ] = "",
    reduce: Reduction = "stats",
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
) -> Response:
    """A step of the training: its batch, loss, learning rate, gradients and update, computed again and proved.

    It is replayed from the nearest stored state, with dropout and all else as it was; `replay.status` is `exact` where
    the parameters behind it have the digest that was stored while the run trained.
    """
    asked = [name.strip() for name in tensors.split(",") if name.strip()]
    view = steps.view(database, settings, run_id, step, tensors=asked, orientation=orientation)
    arrays = view.tensors(convention, orientation)
    if reduce == "full":
        inspections.check_numbers(sum(array.size for array in arrays.values()), settings.limits)
    body = StepBody.of(view, convention=convention, orientation=orientation, units=view.units, tensors={})
    content: dict[str, Any] = body.model_dump(mode="json")
    content["tensors"] = {name: REDUCTIONS[reduce](array) for name, array in arrays.items()}
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
