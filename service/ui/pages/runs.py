"""Pages of runs: all of them, and one with its losses as they fall and what the doctor says."""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.dependencies import (
    Cursor,
    DatabaseDep,
    InspectTurn,
    PlanTurn,
    ReadSession,
    RunId,
    SettingsDep,
    WriteSession,
)
from service.domain import diagnoses, losses, runs
from service.domain.overrides import merged
from service.domain.runs import RunDetail
from service.errors import Unprocessable
from service.store import runs as run_store
from service.store.database import Database
from service.store.tables import RunRow
from service.ui import charts
from service.ui.charts import Series
from service.ui.pages.beginning import started
from service.ui.pages.common import CURVE_POINTS, IN_FORMS, LISTED, Form, there
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

SPARK_POINTS = 40
LONGEST_SPARK = 5_000
"""A run of more epochs has no line in the list, which would read them all."""


@router.get("/runs")
def list_runs_page(
    request: Request,
    session: ReadSession,
    status: Annotated[str, Query(max_length=20)] = "",
    dataset: Annotated[str, Query(max_length=60)] = "",
    order_by: Annotated[str, Query(pattern=f"^({'|'.join(run_store.ORDERS)})$")] = "-created_at",
    cursor: Cursor = None,
) -> Response:
    """Every run, a page at a time."""
    page = runs.listed(
        session,
        statuses=[status] if status else (),
        tags=(),
        dataset_id=dataset or None,
        order_by=order_by,
        limit=LISTED,
        cursor=cursor,
    )
    asked = {"status": status, "dataset": dataset, "order_by": order_by, "cursor": page.next_cursor or ""}
    return render(
        request,
        "runs.html",
        here="list_runs_page",
        statuses=run_store.STATUSES,
        status=status,
        dataset=dataset,
        order_by=order_by,
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


@router.get("/runs/{run_id}")
def run_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    scale: Annotated[str, Query(pattern="^(linear|log)$")] = "linear",
) -> Response:
    """One run: its losses as they fall, what the doctor says, what it is."""
    shown = _shown(database, run_id, is_log=scale == "log")
    spec = json.dumps(shown["row"].resolved, indent=2, ensure_ascii=False)
    return render(request, "run.html", here="", spec=spec, **shown)


@router.get("/runs/{run_id}/live")
def run_live(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    scale: Annotated[str, Query(pattern="^(linear|log)$")] = "linear",
) -> Response:
    """The part of a run's page that changes."""
    return render(request, "live.html", **_shown(database, run_id, is_log=scale == "log"))


def _shown(database: Database, run_id: str, *, is_log: bool) -> dict[str, Any]:
    with database.read() as session:
        detail = runs.get(session, run_id)
        curves = losses.columns(session, run_id, keys=None, points=CURVE_POINTS)
    row = detail.row
    best = row.best["epoch"] if row.best else None
    seconds = ((row.last or {}).get("values") or {}).get("seconds")
    parts = [(part, values) for part, values in (row.metrics or {}).items() if values]
    names = list(dict.fromkeys(name for _, values in parts for name in values))
    return {
        "detail": detail,
        "row": row,
        "is_log": is_log,
        "pace": 1 / seconds if seconds else None,
        "diagnosis": None if row.diagnosis is None else row.diagnosis["findings"],
        "table": _table(curves),
        "loss_chart": _curve(curves, "loss", ("train.loss", "validation.loss"), is_log=is_log, mark=best),
        "charts": [
            (name, chart)
            for name, keys in _further(curves).items()
            if (chart := _curve(curves, name, keys, is_log=name == "learning rate" and is_log, mark=best))
        ],
        "metrics": {"names": names, "parts": parts} if parts else None,
    }


TABLE_ROWS = 60


def _table(curves: Mapping[str, Any]) -> dict[str, Any]:
    """The losses in numbers, of no more epochs than one reads."""
    names = [name for name in ("train.loss", "validation.loss") if name in curves]
    apart = max(1, -(-len(curves["epoch"]) // TABLE_ROWS))
    columns = [curves["epoch"], *(curves[name] for name in names)]
    return {"names": names, "rows": list(zip(*columns, strict=True))[::apart]}


def _further(curves: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The series beside the loss, by what they are of."""
    found = {}
    for title, name in (("accuracy", "accuracy"), ("mean absolute error", "mae"), ("R²", "r2")):
        if f"train.{name}" in curves:
            found[title] = (f"train.{name}", f"validation.{name}")
    return found | {"gradient norm": ("grad_norm",), "learning rate": ("learning_rate",)}


def _curve(curves: Mapping[str, Any], title: str, keys: tuple[str, ...], *, is_log: bool, mark: int | None) -> Markup:
    series = [Series(key, curves[key]) for key in keys if key in curves]
    return charts.lines(curves["epoch"], series, title=title, x_label="epoch", y_label=title, is_log=is_log, mark=mark)


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
        row=row,
        moment=found["moment"],
        looked=len(found["steps"]),
        findings=found["findings"],
    )


@router.post("/runs/{run_id}/steer", openapi_extra=IN_FORMS)
def steer_run(request: Request, run_id: RunId, form: Form, session: WriteSession) -> Response:
    """Pause, resume or cancel."""
    actions = {"pause": runs.pause, "resume": runs.resume, "cancel": runs.cancel}
    action = actions.get(form.get("action", ""))
    if action is None:
        raise Unprocessable(f"action: expected one of {', '.join(actions)}.")
    action(session, run_id)
    return there(request, "run_page", run_id=run_id)


@router.post("/runs/{run_id}/mended", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
def start_mended(request: Request, run_id: RunId, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Start the run again with what a finding says would mend it."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    found = diagnoses.diagnosis(database, settings, run_id)["findings"]
    place = int(form["finding"]) if form.get("finding", "").isdecimal() else len(found)
    if place >= len(found) or not (remedy := found[place]["remedy"]) or not remedy["patch"]:
        raise Unprocessable("finding: expected one that has something to try.")
    spec = merged(row.resolved, remedy["patch"])
    run = started(database, settings, {"dataset": row.dataset_id, "name": f"{row.name[:180]}, mended", **spec})
    return there(request, "run_page", run_id=run)
