"""Pages of several runs: what their specs say differently, and their curves over each other."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.dependencies import DatabaseDep, InspectTurn, SettingsDep
from service.domain import losses, runs
from service.settings import Settings
from service.store.database import Database
from service.store.tables import RunRow
from service.ui import charts, specs
from service.ui.charts import Cell, Series
from service.ui.figures import Figure
from service.ui.pages.common import CURVE_POINTS, WithFigures
from service.ui.pages.flow import KINDS, UNITS, lines_of
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

MOST_COMPARED = 10


@router.get("/compare", dependencies=[InspectTurn, WithFigures])
def compare_page(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    run: Annotated[list[Annotated[str, Query(max_length=60)]], Query(min_length=2, max_length=MOST_COMPARED)],
    flow: Annotated[str | None, Query(pattern=f"^({'|'.join(KINDS)})$")] = None,
) -> Response:
    """Some runs side by side: what their specs say differently, their curves, and how gradients flow."""
    with database.read() as session:
        rows = [runs.row_of(session, run_id) for run_id in dict.fromkeys(run)]
        curves = [losses.columns(session, row.id, keys=None, points=CURVE_POINTS) for row in rows]
    names = dict.fromkeys(name for row in rows for name in (row.metrics or {}).get("test") or {})
    titles = {"train.loss": "Training loss", "validation.loss": "Validation loss", "grad_norm": "Gradient norm"}
    together = [_together(curves, rows, key, title) for key, title in titles.items() if any(key in c for c in curves)]
    return render(
        request,
        "compare.html",
        here="",
        rows=rows,
        metrics=list(names),
        differences=specs.differences([row.resolved for row in rows]),
        figures=[*together, *([] if flow is None else _flows(database, settings, rows, flow))],
        curves=[figure.name for figure in together],
        flow=flow,
        kinds=KINDS,
    )


def _flows(database: Database, settings: Settings, rows: Sequence[RunRow], show: str) -> Iterator[Figure]:
    """The gradient flow of each run, all on one scale. A run without a step has none."""
    found = [(row, *lines_of(database, settings, row, show)) for row in rows if row.epoch or row.step]
    values = [value for _, _, lines in found for _, line in lines.values() for value in line if value is not None]
    known = [value for value in values if isfinite(value)]
    is_signed = show in ("gains", "cosine")
    most = max(map(abs, known), default=1.0)
    span = (-most, most) if is_signed else (min(known, default=0.0), max(known, default=1.0))
    for place, (row, timeline, lines) in enumerate(found, 1):
        chart = charts.heat_map(
            [*lines],
            [str(step) for step in timeline.steps],
            [[Cell(value) for value in line] for _, line in lines.values()],
            title=f"{KINDS[show]} of {row.name}",
            x_label="step",
            unit=UNITS[show],
            span=span,
            is_signed=is_signed,
        )
        columns = {"step": timeline.steps, **{name: line for name, (_, line) in lines.items()}}
        yield Figure(f"flow.{place}", row.name, chart, columns)


def _together(curves: Sequence[Mapping[str, Any]], rows: Sequence[RunRow], key: str, title: str) -> Figure:
    """One series of several runs over all their epochs; the table of the runs is its legend."""
    epochs = sorted({epoch for each in curves for epoch in each["epoch"]})
    series = []
    for each, row in zip(curves, rows, strict=True):
        known = dict(zip(each["epoch"], each.get(key, ()), strict=False))
        series.append(Series(row.name[:30], [known.get(epoch) for epoch in epochs], is_joined=True))
    chart = charts.lines(epochs, series, title=title, x_label="epoch", y_label=key, has_legend=False)
    columns = {f"{place}: {each.name}": each.values for place, each in enumerate(series, 1)}
    return Figure(key, title, chart, {"epoch": epochs, **columns})
