"""The page of a run with two inputs: what the network says of every place of their plane, from epoch to epoch."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.data import Preprocessing
from engine.parameters import Array
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import checkpoints, datasets, replays, runs
from service.domain.checkpoints import Moment
from service.errors import Unprocessable
from service.settings import Settings
from service.store.database import Database
from service.store.runs import FINISHED
from service.store.tables import RunRow
from service.ui import charts, pictures
from service.ui.charts import Dot
from service.ui.figures import Figure
from service.ui.numbers import number
from service.ui.pages.common import WithFigures
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

GRID, FRAME = 96, 40
"""Places along each side, of the picture and of one in the film."""
FRAMES = 24
DOTS = 400
ROOM = 0.08
TALL = 420.0


@dataclass(frozen=True)
class Plane:
    """Two columns, and the stretch of each that is shown."""

    names: tuple[str, str]
    x: tuple[float, float]
    y: tuple[float, float]
    rows: tuple[tuple[float, float, Any], ...]
    """Some rows of the dataset: where each lies, and its target."""


@router.get("/runs/{run_id}/boundary", dependencies=[InspectTurn, WithFigures])
def boundary_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    epoch: Annotated[int | None, Query(ge=0, le=10**9)] = None,
) -> Response:
    """What the network says of every place of the plane, at an epoch and over them all."""
    return render(request, "boundary.html", here="", tab="boundary_page", **_shown(database, settings, run_id, epoch))


@router.get("/runs/{run_id}/boundary/live", dependencies=[InspectTurn])
def boundary_live(request: Request, run_id: RunId, database: DatabaseDep, settings: SettingsDep) -> Response:
    """The part of that page that changes while the run trains."""
    return render(request, "boundary_live.html", **_shown(database, settings, run_id, None))


def _shown(database: Database, settings: Settings, run_id: str, epoch: int | None) -> dict[str, Any]:
    with database.read() as session:
        row = runs.row_of(session, run_id)
        detail = runs.get(session, run_id)
        is_begun = row.epoch > 0
        moment = checkpoints.moment(session, row, "last") if is_begun else None
    plane = _plane(row, settings)
    if epoch is not None and is_begun:
        moment = replays.moment(database, settings, run_id, f"epoch:{epoch}")
    is_over = row.status in FINISHED
    figures = [] if moment is None else [_figure(row, moment, plane)]
    return {
        "row": row,
        "epochs": detail.epochs,
        "epoch": None if moment is None else moment.epoch,
        "frames": _film(database, settings, row, plane) if is_over and is_begun else [],
        "figures": figures,
    }


def _film(database: Database, settings: Settings, row: RunRow, plane: Plane) -> list[tuple[int, str]]:
    """Some epochs with what is said at each, as small pictures; the first lie closer, as most happens then."""
    epochs = np.unique((np.linspace(0, 1, FRAMES) ** 2 * row.epoch).round().astype(np.int64)).tolist()
    found = replays.moments(database, settings, row.id, [epoch * row.steps_per_epoch for epoch in epochs])
    return [(epoch, _said(moment, plane, FRAME).picture) for epoch, moment in zip(epochs, found, strict=True)]


def _plane(row: RunRow, settings: Settings) -> Plane:
    """Where the rows lie. Unprocessable for a run that does not learn one target from two numbers."""
    preprocessing = Preprocessing.from_json(row.preprocessing)
    names, targets = preprocessing.feature_names, row.resolved["target"]
    is_plane = all(feature.type in ("number", "integer") for feature in preprocessing.features)
    if len(names) != 2 or len(targets) != 1 or not is_plane:
        raise Unprocessable("This page is for runs that learn one column from two columns of numbers.")
    table = datasets.table_of(settings.data, row.dataset_id)
    train = preprocessing.split(table).train
    some = train[:: max(1, len(train) // DOTS)][:DOTS]
    read = [[each[name] for name in (*names, targets[0])] for each in table.rows(some.tolist())]
    rows = [(float(x), float(y), target) for x, y, target in read if x is not None and y is not None]
    spans = [_span([each[place] for each in rows]) for place in (0, 1)]
    return Plane((names[0], names[1]), spans[0], spans[1], tuple(rows))


def _span(values: list[Any]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = (high - low) * ROOM or 1.0
    return low - room, high + room


def _figure(row: RunRow, moment: Moment, plane: Plane) -> Figure:
    said = _said(moment, plane, GRID)
    classes, learned = moment.preprocessing.targets[0].classes, row.resolved["target"][0]
    kinds = {name: f"place c{place % charts.COLOURS}" for place, name in enumerate(classes)}
    dots = [
        Dot(x, y, kinds.get(str(target), "dot") if classes else said.kind(target), f"{learned}: {target}", 3)
        for x, y, target in plane.rows
    ]
    x, y = plane.names
    chart = charts.picture(
        said.picture,
        title=f"what the network says, epoch {moment.epoch}",
        x=plane.x,
        y=plane.y,
        x_label=x,
        y_label=y,
        dots=dots,
        legend=list(kinds.items()),
        cells=said.cells,
        height=TALL,
    )
    across, up = _grid(plane, GRID)
    about = "Dots are rows trained on, in the colour of what is true. "
    about += (
        "The colour below them is the likeliest class, the paler the less sure."
        if classes
        else f"Orange is {number(said.low, 3)}, blue {number(said.high, 3)}."
    )
    columns = {x: across.tolist(), y: up.tolist(), **said.columns}
    return Figure("boundary", f"What the network says after epoch {moment.epoch}", chart, columns, about)


def _grid(plane: Plane, side: int) -> tuple[Array, Array]:
    """Where each place of the picture lies, line by line from the top."""
    x = np.linspace(*plane.x, 2 * side + 1)[1::2]
    y = np.linspace(*plane.y, 2 * side + 1)[1::2][::-1]
    across, up = np.meshgrid(x, y)
    return across.ravel(), up.ravel()


@dataclass(frozen=True)
class Said:
    """What a network says of each place."""

    picture: str
    cells: list[list[float]]
    """The numbers under the picture: a value, or the first class's probability."""
    columns: dict[str, Any]
    low: float = 0.0
    high: float = 1.0

    def kind(self, value: Any) -> str:
        """The class of a value's colour."""
        middle = (self.low + self.high) / 2
        return f"place {charts.diverging(float(value) - middle, self.high - middle)}"


def _said(moment: Moment, plane: Plane, side: int) -> Said:
    preprocessing = moment.preprocessing
    across, up = _grid(plane, side)
    columns = {plane.names[0]: across.tolist(), plane.names[1]: up.tolist()}
    X = preprocessing.encode_columns(columns, dtype=moment.parameters.dtype).X
    A = moment.network.predict(moment.parameters, X)
    outputs = preprocessing.outputs(A, scores=moment.network.loss.scores)
    classes = preprocessing.targets[0].classes
    if not classes:
        values = np.asarray(outputs[0].values, np.float64).reshape(side, side)
        finite = values[np.isfinite(values)]
        low, high = map(float, np.quantile(finite, (0.01, 0.99))) if finite.size else (0.0, 1.0)
        picture = pictures.address(values, low, high)
        return Said(picture, values.tolist(), {"value": values.ravel().tolist()}, low, high)
    shares = np.stack([np.asarray(each.values, np.float64) for each in outputs[1:]], axis=1)
    if moment.network.loss.scores:
        shares = np.exp(shares - shares.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
    picture = pictures.classes_address(np.nan_to_num(shares).reshape(side, side, -1))
    told = {f"share of {name}": shares[:, place].tolist() for place, name in enumerate(classes)}
    return Said(picture, shares[:, 0].reshape(side, side).tolist(), told)
