"""The page of the gradient flow: a number of every layer over the training, or of every operation between them."""

from collections.abc import Mapping, Sequence
from math import isfinite, log10
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.data import Preprocessing
from engine.inspection.gains import operation_at
from engine.inspection.names import derivative_of
from engine.layers import Activation
from engine.network import Network
from engine.spec import RunSpec
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import runs, timelines
from service.domain.timelines import Timeline
from service.settings import Settings
from service.store.database import Database
from service.store.tables import RunRow
from service.ui import charts
from service.ui.charts import Cell
from service.ui.figures import Figure
from service.ui.pages.common import WithFigures
from service.ui.rendering import address, render

router = APIRouter(include_in_schema=False)

KINDS = {
    "gradient": "gradient norm",
    "ratio": "update beside weight",
    "zeros": "share of zeros",
    "gains": "gain of each operation",
    "cosine": "cosine with the step before",
}
MEASURES = {"gradient": "dW.{}.norm", "ratio": "update_ratio.W.{}", "zeros": "dW.{}.zero_share"}
TOLD = {
    "gradient": "log₁₀ ‖dW‖: a column that gets lighter towards layer 1 is a gradient that vanishes.",
    "ratio": "log₁₀ ‖update‖/‖W‖: about −3 is usual.",
    "zeros": "The share of the numbers of dW that are 0.",
    "gains": "log₁₀ of what each operation makes of the gradient's norm on its way back, the loss at the top: orange "
    "loses, blue gains, and their sum is what reaches layer 1.",
    "cosine": "Of dW with that of the step before: near 1 steps go on in one direction, below 0 they go back.",
}
UNITS = {"gradient": "(log₁₀)", "ratio": "(log₁₀)", "zeros": "", "gains": "(log₁₀)", "cosine": ""}
FLOW_POINTS = 24

Lines = Mapping[str, tuple[str, Sequence[float | None]]]
"""By what a line is called: the number of the layer it leads to, empty for none, and its values."""


@router.get("/runs/{run_id}/flow", dependencies=[InspectTurn, WithFigures])
def flow_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    show: Annotated[str, Query(pattern=f"^({'|'.join(KINDS)})$")] = "gradient",
) -> Response:
    """A number of each layer over the training: where the gradient gets lost."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    found, lines = lines_of(database, settings, row, show)
    cells = [
        [Cell(value, _place(request, row, layer, step)) for value, step in zip(values, found.steps, strict=True)]
        for layer, values in lines.values()
    ]
    chart = charts.heat_map(
        [*lines],
        [str(step) for step in found.steps],
        cells,
        title=KINDS[show],
        x_label="step",
        unit=UNITS[show],
        span=(-1.0, 1.0) if show == "cosine" else None,
        is_signed=show in ("gains", "cosine"),
    )
    columns = {"step": found.steps, **{name: values for name, (_, values) in lines.items()}}
    figure = Figure("flow", KINDS[show].capitalize(), chart, columns, f"{TOLD[show]} Choose a square to see it.")
    return render(request, "flow.html", here="", tab="flow_page", row=row, kind=show, kinds=KINDS, figures=[figure])


def _place(request: Request, row: RunRow, layer: str, step: int) -> str | None:
    return f"{address(request, 'layer_page', run_id=row.id, layer=layer)}?step={step}" if layer else None


def lines_of(database: Database, settings: Settings, row: RunRow, show: str) -> tuple[Timeline, Lines]:
    """Some steps of a run, and what is shown of each layer or operation at them."""
    if show == "cosine":
        found = timelines.cosines(database, settings, row.id, first=None, last=None, points=FLOW_POINTS)
        return found, {f"layer {_layer(name)}": (_layer(name), values) for name, values in found.columns.items()}
    if show == "gains":
        return _gains(database, settings, row)
    asked = [MEASURES[show].format("*")]
    found = timelines.timeline(database, settings, row.id, quantities=asked, first=None, last=None, points=FLOW_POINTS)
    return found, {
        f"layer {_layer(name)}": (_layer(name), values if show == "zeros" else [_log(value) for value in values])
        for name, values in found.columns.items()
    }


def _gains(database: Database, settings: Settings, row: RunRow) -> tuple[Timeline, Lines]:
    """What each operation does to the gradient's norm from dZ[L] on, that next to the loss first."""
    network = Network.of(RunSpec.model_validate(row.resolved), n_in=Preprocessing.from_json(row.preprocessing).n_in)
    names = [f"{derivative_of(name)}.norm" for name in network.boundary_names]
    found = timelines.timeline(
        database, settings, row.id, quantities=names[1:], first=None, last=None, points=FLOW_POINTS
    )
    norms = found.columns
    first = len(network.layers) - 1 if isinstance(network.layers[-1], Activation) else len(network.layers)
    lines = {}
    for place in reversed(range(1, first)):
        before, after = norms[names[place + 1]], norms[names[place]]
        number = network.numbers[place]
        gains = [_gain(a, b) for a, b in zip(before, after, strict=True)]
        lines[operation_at(network, place)] = (str(number or ""), gains)
    return found, lines


def _gain(before: float | None, after: float | None) -> float | None:
    known = _log(before), _log(after)
    return None if known[0] is None or known[1] is None else known[1] - known[0]


def _layer(name: str) -> str:
    return next(part for part in name.split(".") if part.isdecimal())


def _log(value: float | None) -> float | None:
    return log10(value) if value is not None and isfinite(value) and value > 0 else None
