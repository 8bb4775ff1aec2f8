"""The time machine: any step of any run, as it was, with every number of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from engine.inspection.reductions import MAXIMUM_TOP
from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, RunId, SettingsDep
from service.domain import evidence, steps
from service.domain.tensors import TensorAnswer
from service.errors import Fault, Parameter, Unprocessable
from service.negotiation import accepted
from service.problems import errors_of
from service.routes.inspections import LOOKED, MEDIA_TYPES, Accept, EstimateOnly, Form, answer_of, estimate_of
from service.schemas.base import NO_NUL
from service.schemas.inspections import Convention, EstimateBody, Orientation, ReductionName
from service.schemas.steps import StepBody

router = APIRouter(
    prefix="/v1/runs/{run_id}/steps/{step}",
    tags=["inspection"],
    dependencies=[Deferrable, InspectTurn],
    responses=LATER,
)

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
Cut = Annotated[
    str | None,
    Query(
        pattern=r"^\d{1,12}:\d{1,12}$",
        description="With reduce=slice: from the first, counted from 0, to the one behind the last, such as 0:3.",
    ),
]


def _reduction(
    reduce: Annotated[
        ReductionName | None, Query(description="How much of each tensor; stats if left out, in files all of it.")
    ] = None,
    k: Annotated[int | None, Query(ge=1, le=MAXIMUM_TOP, description="With reduce=topk: how many, 10.")] = None,
    bins: Annotated[
        str | None,
        Query(
            pattern=r"^(half_decades|linear:([1-9]\d{0,2}|1000))$",
            description="With reduce=hist: half_decades, whose edges are fixed; or so many of one width: linear:64.",
        ),
    ] = None,
    rows: Cut = None,
    cols: Cut = None,
) -> dict[str, Any] | None:
    ranges = {"rows": _range(rows), "cols": _range(cols)}
    options = {name: value for name, value in {"k": k, "bins": bins, **ranges}.items() if value is not None}
    for name in options:
        if OPTIONS_OF[name] != reduce:
            raise _wrong(name, f"expected with reduce={OPTIONS_OF[name]} alone, got it with {reduce or 'no reduce'}")
    for name, cut in ranges.items():
        if cut is not None and cut[0] >= cut[1]:
            raise _wrong(name, f"expected a first number below the second, got {cut[0]}:{cut[1]}")
    return None if reduce is None else {"type": reduce, **options}


def _range(cut: str | None) -> tuple[int, int] | None:
    if cut is None:
        return None
    start, _, stop = cut.partition(":")
    return int(start), int(stop)


def _wrong(name: str, detail: str) -> Unprocessable:
    return Unprocessable(f"{name}: {detail}.", errors=[Fault(Parameter("query", name), "invalid", detail)])


OPTIONS_OF = {"k": "topk", "bins": "hist", "rows": "slice", "cols": "slice"}
ReductionDep = Annotated[dict[str, Any] | None, Depends(_reduction)]


@router.get("", response_model=StepBody | EstimateBody, responses={**LOOKED, **errors_of(404, 406, 409, 413, 422)})
def get_step(
    run_id: RunId,
    step: StepName,
    database: DatabaseDep,
    settings: SettingsDep,
    reduction: ReductionDep,
    tensors: Annotated[
        str, Query(max_length=2000, description="Names with commas between: dW.1, or dW, update, opt for all of them.")
    ] = "",
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    format: Form = None,
    accept: Accept = "*/*",
    estimate_only: EstimateOnly = False,
) -> Response:
    """A step of the training: its batch, loss, learning rate, gradients and update, computed again and proved.

    It is replayed from the nearest stored state, with dropout and all else as it was; `replay.status` is `exact` where
    the parameters behind it have the digest that was stored while the run trained.
    """
    if estimate_only:
        return estimate_of(steps.estimate(database, run_id, step))
    form = format or accepted(accept, MEDIA_TYPES)
    asked = [name.strip() for name in tensors.split(",") if name.strip()]
    view = steps.view(database, settings, run_id, step, tensors=asked, orientation=orientation)
    body = StepBody.of(view, convention=convention, orientation=orientation, units=view.units, tensors={})
    answer = TensorAnswer(
        body.model_dump(mode="json"),
        view.tensors(convention, orientation),
        reduction,
        reduction_place=Parameter("query", "reduce"),
        names_place=Parameter("query", "tensors"),
    )
    return answer_of(answer, form, settings.limits)


ZIPPED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {"Chainrule-Replay": {"description": "How the step came about.", "schema": {"type": "string"}}},
        "description": "step.npz, manifest.json, verify_step.py and a README.",
    }
}


@router.get("/evidence", response_class=Response, responses={**ZIPPED, **errors_of(404, 409, 413, 422)})
def get_evidence(run_id: RunId, step: StepName, database: DatabaseDep, settings: SettingsDep) -> Response:
    """A step as a zip of arrays, with a script of NumPy alone that recomputes and compares every one of them."""
    packed, replay = evidence.pack(database, settings, run_id, step)
    headers = {
        "Content-Disposition": f'attachment; filename="{packed.name}"',
        "Chainrule-Replay": replay["status"],
    }
    return Response(packed.content, 200, headers, "application/zip")
