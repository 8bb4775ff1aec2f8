"""The page that walks through backpropagation: one row's numbers, each with the lines it came about by."""

import re
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from engine.errors import EngineError
from engine.inspection import addresses
from engine.inspection.explain import DIGITS, html_body
from engine.inspection.explain.sheet import MOST_NUMBERS
from engine.parameters import Array
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import explanations, inspections, replays, runs
from service.domain.inspections import Subject
from service.schemas.base import NO_NUL
from service.settings import Limits
from service.store.tables import RunRow
from service.ui.rendering import address as place_of
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

PARAMETER = re.compile(r"d([Wb]\.\d+\[[\d,]+\])")
SHEET = "all"
"""In place of an address: the whole way of the row through a small network, its update included."""
FORMS = {"convention": "per_example", "orientation": "rows", "head": "auto"}
QUESTIONS = {**FORMS, "example": 0, "terms": 8, "digits": DIGITS}


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
    asked = {**QUESTIONS, "address": None if address == SHEET else address, "learning_rate": _rate(shown)}
    found = explanations.explained(subject, asked, settings.limits)
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
        steps=_steps(subject, settings.limits),
        body=Markup(body),  # noqa: S704 - the engine escapes what it writes
        nudge=(nudge := _nudge(subject, address, settings.limits)),
        update=None if nudge is None else _update(subject, address, nudge["analytic"], _rate(shown)),
    )


def _steps(subject: Subject, limits: Limits) -> list[str]:
    """On the way to the loss and back, the unit of each layer that the loss depends on most, and such a weight."""
    network = subject.network
    layers = [name[2:] for name in network.shapes if name.startswith("W.")]
    boundaries = {layer: [f"{kind}.{layer}" for kind in ("Z", "A")] for layer in layers}
    known = {layer: [name for name in names if name in network.boundary_names] for layer, names in boundaries.items()}
    derivatives = [f"d{name}" for names in known.values() for name in names]
    asked = [*derivatives, *(f"dW.{layer}" for layer in layers)]
    found = inspections.look(subject, {**FORMS, "quantities": asked, "reduce": {"type": "stats"}}, limits).arrays
    units = {layer: _largest(found[f"d{known[layer][0]}"]) for layer in layers}
    weights = {layer: addresses.join(f"dW.{layer}", _largest(found[f"dW.{layer}"])) for layer in layers}
    forward = [addresses.join(name, units[layer]) for layer in layers for name in known[layer]]
    backward = [
        step
        for layer in reversed(layers)
        for step in [*(addresses.join(f"d{name}", units[layer]) for name in reversed(known[layer])), weights[layer]]
    ]
    is_small = 2 * (sum(network.widths) + network.layout.size) <= MOST_NUMBERS
    return [*forward, "loss[0]", *backward, *([SHEET] if is_small else [])]


def _largest(array: Array) -> tuple[int, ...]:
    """Where the largest number lies; one that is not finite counts as none."""
    sizes = np.nan_to_num(np.abs(array), nan=0.0, posinf=0.0)
    return tuple(int(place) for place in np.unravel_index(int(sizes.argmax()), sizes.shape))


def _rate(row: RunRow) -> float:
    """The run's learning rate, of plain gradient descent where its optimizer has none."""
    return float(row.resolved["training"]["optimizer"].get("learning_rate") or 0.1)


def _update(subject: Subject, address: str, derivative: float | None, rate: float) -> dict[str, Any] | None:
    """What one step of plain gradient descent on this row alone would make of a parameter."""
    name, index = addresses.split(address.removeprefix("d"))
    if index is None or derivative is None:
        return None
    before = float(subject.network.views(subject.parameters)[name][index])
    return {"name": address.removeprefix("d"), "before": before, "rate": rate, "after": before - rate * derivative}


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
        "convention": FORMS["convention"],
        "orientation": FORMS["orientation"],
    }
    try:
        [found] = inspections.nudge(subject, asked, limits)["nudges"]
    except EngineError:
        return None
    return dict(found)
