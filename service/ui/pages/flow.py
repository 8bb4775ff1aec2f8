"""The page of the gradient flow: a number of every layer over the training."""

from math import isfinite, log10
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import runs, timelines
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
