"""The page of a layer at any step: its tensors as images and spreads, its units; or over the whole training."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.data import Preprocessing
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import datasets, histograms, replays, runs, steps
from service.domain.steps import StepView
from service.errors import Unprocessable
from service.settings import Settings
from service.store.database import Database
from service.ui import charts, pictures
from service.ui.figures import Figure
from service.ui.numbers import number
from service.ui.pages.common import WithFigures
from service.ui.pages.network import answering
from service.ui.pictures import Pixels
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

BINS = 40
TIMES = 12
TOLD_OF_TENSORS = ("norm", "mean", "std", "least", "most", "zeros")
TOLD_CELLS = 20_000
"""The numbers of a matrix are told under the pointer if they are no more."""
SHEET_FILTERS = 64


@router.get("/runs/{run_id}/layers/{layer}", dependencies=[InspectTurn, WithFigures])
def layer_page(
    request: Request,
    run_id: RunId,
    layer: str,
    database: DatabaseDep,
    settings: SettingsDep,
    step: Annotated[str, Query(max_length=80)] = "last",
    over: Literal["step", "time"] = "step",
    scale: Literal["linear", "log"] = "linear",
    sheet: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """A layer at any step: its weights, gradients and what went through it, and each of its units."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
        columns = [column["name"] for column in datasets.get(session, row.dataset_id).columns]
    preprocessing = Preprocessing.from_json(row.preprocessing)
    network = Network.of(RunSpec.model_validate(row.resolved), n_in=preprocessing.n_in)
    known = {*network.shapes, *network.boundary_names}
    asked = [name for name in (f"W.{layer}", f"b.{layer}", f"Z.{layer}", f"A.{layer}") if name in known]
    if not asked:
        raise Unprocessable(f"layer: this network has no layer {layer[:20]}.", code="no_such_layer")
    names = [name for each in asked for name in (each, f"d{each}")]
    names += [f"update.W.{layer}"] if f"W.{layer}" in known else []
    view = steps.view(database, settings, run_id, step, tensors=names)
    arrays = view.tensors("per_example", "rows")
    told = [_tensor(name, arrays[name], is_log=scale == "log") for name in names if name in arrays]
    figures = [figure for _, figure in told]
    sheets, units = 0, None
    if over == "time":
        figures = list(_over_time(database, settings, run_id, names))
    else:
        weights = arrays.get(f"W.{layer}")
        if weights is not None and weights.ndim == 2:
            figures.insert(0, _matrix(f"W.{layer}", weights))
            pixels = Pixels.among(columns)
            inputs = preprocessing.input_names
            if pixels and layer == "1" and len(inputs) == len(weights) and set(inputs) <= set(pixels.names):
                sheets = -(-weights.shape[1] // SHEET_FILTERS)
                images = pixels.images(weights.T, inputs)
                figures.insert(0, _filters(images, _scale(weights), min(sheet, sheets)))
        units = _units(database, settings, view, layer, arrays)
        figures += [] if units is None else [units]
    return render(
        request,
        "layer.html",
        here="",
        tab="network_page",
        row=row,
        layer=layer,
        layers=[name[2:] for name in network.shapes if name.startswith("W.")],
        step=view.seen.step,
        first=view.course.begun + 1,
        last=view.course.furthest_step,
        replay=view.replay["status"],
        tensors=[each for each, _ in told],
        over=over,
        scale=scale,
        sheet=sheet,
        sheets=sheets,
        units=units,
        figures=figures,
    )


def _over_time(database: Database, settings: Settings, run_id: str, names: list[str]) -> Iterator[Figure]:
    """How each tensor is spread, at steps evenly apart."""
    found = histograms.histograms(
        database, settings, run_id, tensors=names, first=None, last=None, points=TIMES, bins=BINS
    )
    for name, spread in found.spreads.items():
        counts, edges = spread.counts.tolist(), spread.edges.tolist()
        chart = charts.ridges(
            [str(step) for step in found.steps],
            counts,
            (edges[0], edges[-1]),
            title=f"how {name} is spread over the steps",
            x_label=name,
        )
        columns = {"from": edges[:-1], "to": edges[1:]}
        columns |= {f"step {step}": row for step, row in zip(found.steps, counts, strict=True)}
        cut = int(spread.outside.sum())
        note = "A line for each of some steps, the first at the top."
        yield Figure(name, name, chart, columns, f"{note} {number(cut)} numbers outside the middle 98 % are left out.")


def _tensor(name: str, array: Array, *, is_log: bool) -> tuple[dict[str, Any], Figure]:
    """A tensor in a line of a table, and how it is spread."""
    flat = array.astype(np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    about = {"name": name, "shape": array.shape}
    if not finite.size:
        nothing = charts.histogram([], [], title=name, x_label=name)
        return {**about, **dict.fromkeys(TOLD_OF_TENSORS)}, Figure(name, name, nothing, {})
    spread = histograms.spread_of([flat], BINS)
    edges, counts, cut = spread.edges.tolist(), spread.counts[0].tolist(), int(spread.outside[0])
    numbers = {
        **about,
        "norm": float(np.linalg.norm(finite)),
        "mean": float(finite.mean()),
        "std": float(finite.std()),
        "least": float(finite.min()),
        "most": float(finite.max()),
        "zeros": float((flat == 0).mean()),
    }
    chart = charts.histogram(edges, counts, title=f"how {name} is spread", x_label=name, is_log=is_log)
    columns = {"from": edges[:-1], "to": edges[1:], "how many": counts}
    note = f"{cut} of {flat.size} numbers lie outside the middle 98 %, and are not drawn." if cut else ""
    return numbers, Figure(name, name, chart, columns, note)


def _matrix(name: str, weights: Array) -> Figure:
    """A weight matrix: a row for each input, a column for each unit."""
    rows, columns = weights.shape
    scale = _scale(weights)
    chart = charts.picture(
        pictures.address(weights, -scale, scale),
        title=f"{name} as an image",
        x=(0, columns),
        y=(0, rows),
        x_label="to unit",
        y_label="from input",
        is_down=True,
        cells=weights.tolist() if weights.size <= TOLD_CELLS else (),
    )
    told = {"from": list(range(rows)), **{str(column): weights[:, column].tolist() for column in range(columns)}}
    note = f"Blue is above 0, orange below; the darkest is {number(scale, 3)} from 0 or more (99 % are nearer)."
    return Figure(f"{name}.matrix", f"{name} as an image", chart, told, note)


def _filters(images: Array, scale: float, sheet: int) -> Figure:
    """What each unit of the first layer looks for in an image (units, side, side)."""
    first = (sheet - 1) * SHEET_FILTERS
    shown = images[first : first + SHEET_FILTERS]
    across = min(8, len(shown))
    drawn = pictures.sheet(shown, columns=across, between=np.nan)
    title = "The weights to each unit, as images"
    chart = charts.image(pictures.address(drawn, -scale, scale), title=title, shape=drawn.shape)
    flat = shown.reshape(len(shown), -1)
    told = {"pixel": list(range(flat.shape[1]))}
    told |= {f"unit {first + place}": each.tolist() for place, each in enumerate(flat)}
    there = f"Units {first} to {first + len(shown) - 1}, {across} in a line"
    note = f"{there}: blue is where a bright pixel speaks for the unit, orange where it speaks against it."
    return Figure("filters", title, chart, told, note)


def _scale(array: Array) -> float:
    """Most numbers are nearer to 0; a few far off do not set the colours."""
    finite = np.abs(array[np.isfinite(array)])
    return float(np.quantile(finite, 0.99)) or float(finite.max(initial=0)) or 1.0 if finite.size else 1.0


def _units(
    database: Database, settings: Settings, view: StepView, layer: str, arrays: Mapping[str, Array]
) -> Figure | None:
    """Each unit of a layer: its weights, what they learn from, and whether anything gets through it."""
    moment = replays.moment(database, settings, view.course.run_id, str(view.seen.step.number - 1))
    with database.read() as session:
        dataset_id = runs.row_of(session, view.course.run_id).dataset_id
    found = answering(moment, dataset_id, settings)
    name = f"A.{layer}"
    if name not in found.tensors:
        return None
    given = found.tensors[name].reshape(-1, found.tensors[name].shape[-1])
    n = given.shape[1]
    with np.errstate(all="ignore"):
        columns: dict[str, list[Any]] = {
            "unit": list(range(n)),
            "mean of A": given.mean(axis=0).tolist(),
            "deviation": given.std(axis=0).tolist(),
            "share of zeros": (given == 0).mean(axis=0).tolist(),
        }
    for key, text in ((f"W.{layer}", "‖W‖"), (f"dW.{layer}", "‖dW‖"), (f"b.{layer}", "b")):
        array = arrays.get(key)
        if array is not None and array.shape[-1] == n:
            flat = array.reshape(-1, n).astype(np.float64)
            columns[text] = (flat[0] if text == "b" else np.linalg.norm(flat, axis=0)).tolist()
    dead = found.tensors.get(f"dead_units.{name}")
    if dead is not None:
        flat_units = found.tensors[f"saturated_units.{name}"]
        columns["state"] = [
            "dead" if is_dead else "saturated" if is_flat else "answers"
            for is_dead, is_flat in zip(dead.tolist(), flat_units.tolist(), strict=True)
        ]
    norms = columns.get("‖dW‖") or columns["deviation"]
    chart = charts.histogram(*_counts(norms), title="how the units' gradients are spread", x_label="‖dW‖ of a unit")
    note = f"What the units give for {found.rows} rows of the training part; ‖dW‖ is this step's."
    return Figure("units", "Units", chart, columns, note)


def _counts(values: list[float]) -> tuple[list[float], list[int]]:
    spread = histograms.spread_of([np.array(values)], min(BINS, max(4, len(values) // 2)))
    return spread.edges.tolist(), spread.counts[0].tolist()
