"""The page that walks through backpropagation: one row's numbers, each with the lines it came about by."""

import re
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from engine.errors import EngineError
from engine.inspection.explain import DIGITS, html_body
from engine.network import Network
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import explanations, inspections, replays, runs
from service.domain.inspections import Subject
from service.schemas.base import NO_NUL
from service.settings import Limits
from service.ui.rendering import address as place_of
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

PARAMETER = re.compile(r"d([Wb]\.\d+\[[\d,]+\])")
QUESTIONS = {"convention": "per_example", "orientation": "rows", "head": "auto", "terms": 8, "digits": DIGITS}


@router.get("/runs/{run_id}/walk", dependencies=[InspectTurn])
def walk_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    row: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    address: Annotated[str, Query(max_length=60, pattern=NO_NUL)] = "loss[0]",
) -> Response:
    """One row forward, its loss, and back: any number of it, with its equation, its shapes and its own numbers."""
    moment = replays.moment(database, settings, run_id, "best")
    with database.read() as session:
        shown = runs.row_of(session, run_id)
    named: dict[str, Any] = {"part": None, "numbers": [row]} if row is not None else {"part": "train", "numbers": None}
    batch = {"dataset_rows": {"limit": 1, **named}}
    subject = inspections.of_run(
        moment, settings.data, shown.dataset_id, batch, dtype="float64", limits=settings.limits
    )
    [number] = subject.about["row_numbers"]
    place = place_of(request, "walk_page", run_id=run_id)
    found = explanations.explained(subject, {**QUESTIONS, "address": address}, settings.limits)
    body = html_body(found, link=lambda other: f"{place}?row={number}&address={quote(other, safe='')}")
    return render(
        request,
        "walk.html",
        here="",
        tab="walk_page",
        row=shown,
        number=number,
        address=address,
        place=place,
        steps=_steps(moment.network),
        body=Markup(body),  # noqa: S704 - the engine escapes what it writes
        nudge=_nudge(subject, address, settings.limits),
    )


def _steps(network: Network) -> list[str]:
    """The first unit of each layer on the way to the loss and back, and the first weight of each."""
    layers = [name[2:] for name in network.shapes if name.startswith("W.")]
    known = set(network.boundary_names)
    forward = [f"{kind}.{layer}[0,0]" for layer in layers for kind in ("Z", "A") if f"{kind}.{layer}" in known]
    backward = [
        f"{kind}.{layer}[0,0]"
        for layer in reversed(layers)
        for kind in ("dA", "dZ", "dW")
        if kind == "dW" or f"{kind[1:]}.{layer}" in known
    ]
    return [*forward, "loss[0]", *backward]


def _nudge(subject: Subject, address: str, limits: Limits) -> dict[str, Any] | None:
    """A parameter's derivative beside the measured one."""
    match = PARAMETER.fullmatch(address)
    if match is None:
        return None
    asked = {
        "targets": [match[1]],
        "samples": 1,
        "seed": 0,
        "method": "auto",
        "convention": "per_example",
        "orientation": "rows",
    }
    try:
        [found] = inspections.nudge(subject, asked, limits)["nudges"]
    except EngineError:
        return None
    return dict(found)
