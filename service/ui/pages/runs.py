"""Pages of runs: all of them, and one with its losses as they fall and what the doctor says."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.dependencies import (
    Cursor,
    DatabaseDep,
    InspectTurn,
    ReadSession,
    RunId,
    SettingsDep,
)
from service.domain import diagnoses, losses, runs
from service.domain.runs import RunDetail
from service.schemas.base import NO_NUL
from service.store import datasets as dataset_store
from service.store import runs as run_store
from service.store.database import Database
from service.store.tables import RunRow
from service.ui import charts
from service.ui.charts import Series
from service.ui.figures import Figure
from service.ui.pages.common import CURVE_POINTS, LISTED, WithFigures
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

ORDERS = {
    "-created_at": "newest first",
    "created_at": "oldest first",
    "best": "least best value first",
    "-best": "largest best value first",
    "name": "by name",
    "-priority": "by priority",
}
SPARK_POINTS = 40
LONGEST_SPARK = 5_000
"""A run of more epochs has no line in the list, which would read them all."""


@router.get("/runs")
def list_runs_page(
    request: Request,
    session: ReadSession,
    status: Annotated[str, Query(max_length=20)] = "",
    dataset: Annotated[str, Query(max_length=60)] = "",
    name: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
    order_by: Annotated[str, Query(pattern=f"^({'|'.join(run_store.ORDERS)})$")] = "-created_at",
    cursor: Cursor = None,
) -> Response:
    """Every run, a page at a time."""
    page = runs.listed(
        session,
        statuses=[status] if status else (),
        tags=(),
        dataset_id=dataset or None,
        name=name or None,
        order_by=order_by,
        limit=LISTED,
        cursor=cursor,
    )
    named = dataset_store.names_of(session, [*{detail.row.dataset_id for detail in page.items}, dataset])
    asked = {"status": status, "dataset": dataset, "name": name, "order_by": order_by, "cursor": page.next_cursor or ""}
    return render(
        request,
        "runs.html",
        here="list_runs_page",
        statuses=run_store.STATUSES,
        status=status,
        dataset=dataset,
        name=name,
        named=named,
        order_by=order_by,
        orders=ORDERS,
        runs=[_listed(session, detail) for detail in page.items],
        next_cursor=page.next_cursor,
        next_query=urlencode({name: value for name, value in asked.items() if value}),
    )


def _listed(session: Session, detail: RunDetail) -> dict[str, Any]:
    row = detail.row
    metric = row.best["metric"] if row.best else "train.loss"
    spark = ""
    if 1 < row.epoch <= LONGEST_SPARK:
        found = losses.columns(session, row.id, keys=None, points=SPARK_POINTS)
        series = found.get("validation.loss") or found.get("train.loss") or []
        spark = charts.sparkline(series, title=f"loss of {row.name}")
    return {
        "detail": detail,
        "spark": spark,
        "last": (row.last or {}).get("values", {}).get(metric),
        "seconds": (row.finished_at - row.started_at).total_seconds() if row.finished_at and row.started_at else None,
        "doctor": _badge(row),
    }


def _badge(row: RunRow) -> str:
    """What the doctor found worst."""
    if row.diagnosis is None:
        return "–"
    found = row.diagnosis["findings"]
    return f"{found[0]['severity']}: {found[0]['rule'].replace('_', ' ')}" if found else "nothing"


@dataclass(frozen=True)
class View:
    """How the curves of a run are shown; all of it is in the page's address."""

    scale: Annotated[Literal["linear", "log"], Query()] = "linear"
    smooth: Annotated[float, Query(ge=0, le=0.99)] = 0.0
    """How much of the curve before goes into each point, as in an exponential moving average."""
    first: Annotated[int | None, Query(alias="from", ge=0)] = None
    last: Annotated[int | None, Query(alias="to", ge=0)] = None
    """Epochs."""

    @property
    def is_log(self) -> bool:
        return self.scale == "log"


Shown = Annotated[View, Depends(View)]


@router.get("/runs/{run_id}", dependencies=[WithFigures])
def run_page(request: Request, run_id: RunId, database: DatabaseDep, view: Shown) -> Response:
    """One run: its losses as they fall, what the doctor says, what it is."""
    shown = _shown(database, run_id, view)
    spec = json.dumps(shown["row"].resolved, indent=2, ensure_ascii=False)
    return render(request, "run.html", here="", tab="run_page", spec=spec, **shown)


@router.get("/runs/{run_id}/live")
def run_live(request: Request, run_id: RunId, database: DatabaseDep, view: Shown) -> Response:
    """The part of a run's page that changes."""
    return render(request, "live.html", **_shown(database, run_id, view))


def _shown(database: Database, run_id: str, view: View) -> dict[str, Any]:
    with database.read() as session:
        detail = runs.get(session, run_id)
        curves = losses.columns(session, run_id, keys=None, points=CURVE_POINTS, first=view.first, last=view.last)
    row = detail.row
    seconds = ((row.last or {}).get("values") or {}).get("seconds")
    parts = [(part, values) for part, values in (row.metrics or {}).items() if values]
    names = list(dict.fromkeys(name for _, values in parts for name in values))
    return {
        "detail": detail,
        "row": row,
        "view": view,
        "pace": 1 / seconds if seconds else None,
        "took": (row.finished_at - row.started_at).total_seconds() if row.finished_at and row.started_at else None,
        "last": {name: value for name, value in ((row.last or {}).get("values") or {}).items() if name in TOLD},
        "diagnosis": None if row.diagnosis is None else row.diagnosis["findings"],
        "figures": list(_figures(curves, view, row.best["epoch"] if row.best else None)),
        "metrics": {"names": names, "parts": parts} if parts else None,
    }


TOLD = ("train.loss", "validation.loss", "validation.accuracy")
"""What is told of the last epoch at the top of the page."""
CURVES = (
    ("loss", "Loss", ("train.loss", "validation.loss"), "Of the rows trained on and of those held back."),
    ("accuracy", "Accuracy", ("train.accuracy", "validation.accuracy"), "The share of rows whose class is right."),
    ("mae", "Mean absolute error", ("train.mae", "validation.mae"), "In the target's own unit."),
    ("r2", "R²", ("train.r2", "validation.r2"), "The share of the target's variance that is explained."),
    ("gradient", "Gradient norm", ("grad_norm",), "Of all parameters together."),
    ("rate", "Learning rate", ("learning_rate",), "At the end of each epoch."),
)


def _figures(curves: Mapping[str, Any], view: View, best: int | None) -> Iterator[Figure]:
    """A figure for each kind of series that the run has."""
    epochs = curves["epoch"]
    mark = best if best is not None and epochs and epochs[0] <= best <= epochs[-1] else None
    for name, title, keys, note in CURVES:
        known = {key: curves[key] for key in keys if key in curves}
        if not known:
            continue
        series = [
            Series(key.removesuffix(f".{name}"), values, colour=place)
            for place, (key, values) in enumerate(known.items())
        ]
        if view.smooth and name != "rate":
            raw = [replace(each, is_faint=True) for each in series]
            series = [*raw, *(replace(each, values=smoothed(each.values, view.smooth)) for each in series)]
        chart = charts.lines(
            epochs,
            series,
            title=title,
            x_label="epoch",
            y_label=title.lower() if title != "R²" else title,
            is_log=view.is_log and name in ("loss", "gradient", "rate", "mae"),
            mark=mark,
        )
        yield Figure(name, title, chart, {"epoch": epochs, **known}, note, zooms=True)


def smoothed(values: charts.Values, weight: float) -> list[float | None]:
    """An exponential moving average of what is finite, without the bias of its start (Kingma & Ba 2015, §3)."""
    total, share, found = 0.0, 0.0, list[float | None]()
    for value in values:
        if value is None or not isfinite(value):
            found.append(value)
            continue
        total, share = weight * total + (1 - weight) * value, weight * share + (1 - weight)
        found.append(total / share)
    return found


@router.get("/runs/{run_id}/doctor", dependencies=[InspectTurn])
def doctor_page(request: Request, run_id: RunId, database: DatabaseDep, settings: SettingsDep) -> Response:
    """What the doctor says of a run as it stands now."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    found = diagnoses.diagnosis(database, settings, run_id)
    return render(
        request,
        "doctor.html",
        here="",
        tab="doctor_page",
        row=row,
        moment=found["moment"],
        looked=len(found["steps"]),
        findings=found["findings"],
    )
