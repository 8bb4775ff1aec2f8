"""Pages that look into a run: a number of every layer over the training, and a layer at any step."""

from math import isfinite, log10
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.data import Preprocessing
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import runs, steps, timelines
from service.errors import Unprocessable
from service.ui import charts
from service.ui.charts import Cell
from service.ui.figures import Figure
from service.ui.pages.common import WithFigures
from service.ui.rendering import address, render

router = APIRouter(include_in_schema=False)

KINDS = {"gradient": "gradient norm", "ratio": "update beside weight", "zeros": "share of zeros"}
MEASURES = {"gradient": "dW.{}.norm", "ratio": "update_ratio.W.{}", "zeros": "dW.{}.zero_share"}
TOLD = {
    "gradient": "log₁₀ ‖dW‖: a column that gets lighter towards layer 1 is a gradient that vanishes.",
    "ratio": "log₁₀ ‖update‖/‖W‖: about −3 is usual.",
    "zeros": "The share of the numbers of dW that are 0.",
}
FLOW_POINTS = 24


@router.get("/runs/{run_id}/flow", dependencies=[InspectTurn, WithFigures])
def flow_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    show: Annotated[str, Query(pattern="^(gradient|ratio|zeros)$")] = "gradient",
) -> Response:
    """A number of each layer over the training: where the gradient gets lost."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    found = timelines.timeline(
        database, settings, run_id, quantities=[MEASURES[show].format("*")], first=None, last=None, points=FLOW_POINTS
    )
    table, cells = [], []
    for name, values in found.columns.items():
        layer = next(part for part in name.split(".") if part.isdecimal())
        shown = [value if show == "zeros" else _log(value) for value in values]
        table.append((f"layer {layer}", shown))
        places = [f"{address(request, 'layer_page', run_id=run_id, layer=layer)}?step={step}" for step in found.steps]
        cells.append([Cell(value, place) for value, place in zip(shown, places, strict=True)])
    chart = charts.heat_map(
        [name for name, _ in table],
        [str(step) for step in found.steps],
        cells,
        title=KINDS[show],
        x_label="step",
        unit="" if show == "zeros" else "(log₁₀)",
    )
    columns = {"step": found.steps, **dict(table)}
    return render(
        request,
        "flow.html",
        here="",
        tab="flow_page",
        row=row,
        kind=show,
        kinds=KINDS,
        figures=[Figure("flow", KINDS[show].capitalize(), chart, columns, f"{TOLD[show]} Choose a square to see it.")],
    )


def _log(value: float | None) -> float | None:
    return log10(value) if value is not None and isfinite(value) and value > 0 else None


BINS = 40
TOLD_OF_TENSORS = ("norm", "mean", "std", "least", "most", "zeros")


@router.get("/runs/{run_id}/layers/{layer}", dependencies=[InspectTurn, WithFigures])
def layer_page(
    request: Request,
    run_id: RunId,
    layer: str,
    database: DatabaseDep,
    settings: SettingsDep,
    step: Annotated[str, Query(max_length=80)] = "last",
) -> Response:
    """A layer at any step: its weights, gradients and what went through it, spread out."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    network = Network.of(RunSpec.model_validate(row.resolved), n_in=Preprocessing.from_json(row.preprocessing).n_in)
    known = {*network.shapes, *network.boundary_names}
    asked = [name for name in (f"W.{layer}", f"b.{layer}", f"Z.{layer}", f"A.{layer}") if name in known]
    if not asked:
        raise Unprocessable(f"layer: this network has no layer {layer[:20]}.", code="no_such_layer")
    more = [name for each in asked for name in (each, f"d{each}")]
    updates = [f"update.W.{layer}"] if f"W.{layer}" in known else []
    view = steps.view(database, settings, run_id, step, tensors=[*more, *updates])
    arrays = view.tensors("per_example", "rows")
    told = [_tensor(name, arrays[name]) for name in (*more, *updates) if name in arrays]
    return render(
        request,
        "layer.html",
        here="",
        tab="flow_page",
        row=row,
        layer=layer,
        layers=[name[2:] for name in network.shapes if name.startswith("W.")],
        step=view.seen.step,
        first=view.course.begun + 1,
        last=view.course.furthest_step,
        replay=view.replay["status"],
        tensors=[each for each, _ in told],
        figures=[figure for _, figure in told],
    )


def _tensor(name: str, array: Array) -> tuple[dict[str, Any], Figure]:
    """A tensor in a line of a table, and how it is spread."""
    flat = array.astype(np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    about = {"name": name, "shape": array.shape}
    if not finite.size:
        nothing = charts.histogram([], [], title=name, x_label=name)
        return {**about, **dict.fromkeys(TOLD_OF_TENSORS)}, Figure(name, name, nothing, {})
    low, high = (float(each) for each in np.quantile(finite, (0.01, 0.99)))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    inside = finite[(finite >= low) & (finite <= high)]
    counts, edges = np.histogram(inside, bins=BINS, range=(low, high if high > low else low + 1))
    cut = flat.size - inside.size
    numbers = {
        **about,
        "norm": float(np.linalg.norm(finite)),
        "mean": float(finite.mean()),
        "std": float(finite.std()),
        "least": float(finite.min()),
        "most": float(finite.max()),
        "zeros": float((flat == 0).mean()),
    }
    chart = charts.histogram(edges.tolist(), counts.tolist(), title=f"how {name} is spread", x_label=name)
    columns = {"from": edges[:-1].tolist(), "to": edges[1:].tolist(), "how many": counts.tolist()}
    note = f"{cut} of {flat.size} numbers lie outside the middle 98 %, and are not drawn." if cut else ""
    return numbers, Figure(name, name, chart, columns, note)
