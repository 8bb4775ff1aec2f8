"""Pages: what a browser sees. They call what the REST routes call, and work without scripts."""

import hmac
import json
from collections.abc import Mapping
from math import isfinite, log10
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from markupsafe import Markup
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from engine.data import Options, Preprocessing
from engine.errors import EngineError
from engine.layers import ACTIVATIONS
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array
from engine.spec import RunSpec
from service.dependencies import (
    Cursor,
    DatabaseDep,
    DatasetId,
    InspectTurn,
    MediaType,
    PlanTurn,
    ReadSession,
    RunId,
    SettingsDep,
    WriteSession,
)
from service.domain import checkpoints, datasets, diagnoses, evaluations, losses, predictions, runs, steps, timelines
from service.domain.evaluations import Part
from service.domain.overrides import merged
from service.domain.runs import Labels, RunDetail
from service.errors import Problem, Unprocessable
from service.problems import problem_of
from service.routes.datasets import received
from service.schemas.runs import RunCreate
from service.security import COOKIE, pass_of
from service.settings import Settings
from service.store import datasets as dataset_store
from service.store import runs as run_store
from service.store.database import Database
from service.store.tables import RunRow
from service.ui import charts
from service.ui.charts import Cell, Series
from service.ui.numbers import number
from service.ui.rendering import address, render

router = APIRouter(include_in_schema=False)

LISTED = 25
SPARK_POINTS, CURVE_POINTS = 40, 600
LONGEST_SPARK = 5_000
"""A run of more epochs has no line in the list, which would read them all."""
FORM_TYPE = "application/x-www-form-urlencoded"
IN_FORMS = {"requestBody": {"content": {FORM_TYPE: {"schema": {"type": "object"}}}}}
FILE_TYPE = "multipart/form-data"
IN_FILES = {"requestBody": {"content": {FILE_TYPE: {"schema": {"type": "object"}}}}}


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Form = Annotated[dict[str, str], Depends(_form)]


def _there(request: Request, route: str, **names: Any) -> Response:
    """Go on to another page."""
    return RedirectResponse(address(request, route, **names), status_code=303)


# Runs --------------------------------------------------------------------------------------------------------------


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
        next_query="&".join(f"{name}={value}" for name, value in asked.items() if value),
    )


def _listed(session: Any, detail: RunDetail) -> dict[str, Any]:
    row = detail.row
    metric = row.best["metric"] if row.best else "train.loss"
    spark = ""
    if 1 < row.epoch <= LONGEST_SPARK:
        found = losses.columns(session, row.id, keys=None, points=SPARK_POINTS)
        series = found.get("validation.loss") or found.get("train.loss") or []
        spark = charts.sparkline(series, title=f"loss of {row.name}")
    ended = row.finished_at or (row.last and None)
    return {
        "detail": detail,
        "spark": spark,
        "last": (row.last or {}).get("values", {}).get(metric),
        "seconds": (ended - row.started_at).total_seconds() if ended and row.started_at else None,
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
        "loss_chart": _curve(curves, "loss", ("train.loss", "validation.loss"), is_log=is_log, mark=best),
        "charts": [
            (name, chart)
            for name, keys in _further(curves).items()
            if (chart := _curve(curves, name, keys, is_log=name == "learning rate" and is_log, mark=best))
        ],
        "metrics": {"names": names, "parts": parts} if parts else None,
    }


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


@router.post("/runs/{run_id}/steer", openapi_extra=IN_FORMS)
def steer_run(request: Request, run_id: RunId, form: Form, session: WriteSession) -> Response:
    """Pause, resume or cancel."""
    actions = {"pause": runs.pause, "resume": runs.resume, "cancel": runs.cancel}
    action = actions.get(form.get("action", ""))
    if action is None:
        raise Unprocessable(f"action: expected one of {', '.join(actions)}.")
    action(session, run_id)
    return _there(request, "run_page", run_id=run_id)


@router.post("/runs/{run_id}/mended", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
def start_mended(request: Request, run_id: RunId, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Start the run again with what a finding says would mend it."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    found = (row.diagnosis or {"findings": []})["findings"]
    place = int(form["finding"]) if form.get("finding", "").isdecimal() else len(found)
    if place >= len(found) or not (remedy := found[place]["remedy"]) or not remedy["patch"]:
        raise Unprocessable("finding: expected one that has something to try.")
    spec = merged(row.resolved, remedy["patch"])
    run = _started(database, settings, {"dataset": row.dataset_id, "name": f"{row.name[:180]}, mended", **spec})
    return _there(request, "run_page", run_id=run)


# Datasets ----------------------------------------------------------------------------------------------------------


@router.get("/datasets")
def list_datasets_page(request: Request, session: ReadSession, cursor: Cursor = None) -> Response:
    """Every dataset, and a place to bring one."""
    page = datasets.listed(session, limit=LISTED, cursor=cursor)
    return render(
        request, "datasets.html", here="list_datasets_page", datasets=page.items, next_cursor=page.next_cursor
    )


@router.post("/datasets", openapi_extra=IN_FILES)
async def upload_page(
    request: Request, media_type: MediaType, settings: SettingsDep, database: DatabaseDep
) -> Response:
    """Take a file, and show what is in it."""
    parsed, _, name = await received(request, media_type, Options(), settings, is_page=True)
    async with request.app.state.turns["write"]:
        row, _ = await run_in_threadpool(datasets.add, database, settings.data, parsed, name=name)
    return _there(request, "dataset_page", dataset_id=row.id)


SHOWN_COLUMNS, SHOWN_ROWS = 24, 12


@router.get("/datasets/{dataset_id}")
def dataset_page(request: Request, dataset_id: DatasetId, session: ReadSession, settings: SettingsDep) -> Response:
    """What a dataset holds."""
    row = datasets.get(session, dataset_id)
    profile = datasets.profile_of(row)
    columns = [{"name": name, **_column(name, each)} for name, each in profile["columns"].items()]
    names = [column["name"] for column in columns]
    told = [*row.warnings, *profile["warnings"], *(text for column in columns for text in column["warnings"])]
    return render(
        request,
        "dataset.html",
        here="",
        row=row,
        run_count=dataset_store.run_count(session, dataset_id),
        warnings=told[:100],
        columns=columns,
        shown=names[:SHOWN_COLUMNS],
        hidden_columns=len(names[SHOWN_COLUMNS:]),
        first_rows=datasets.rows_of(settings.data, row, offset=0, limit=SHOWN_ROWS),
    )


def _column(name: str, profile: Mapping[str, Any]) -> dict[str, Any]:
    found = profile.get("histogram")
    chart = charts.small_histogram(found["counts"], title=f"how {name} is spread") if found else None
    quartiles = profile.get("quartiles") or (None, None, None)
    return {
        **profile,
        "chart": chart,
        "median": quartiles[1],
        "top": profile.get("top", []),
        "minimum": profile.get("minimum"),
        "maximum": profile.get("maximum"),
    }


# A new run ---------------------------------------------------------------------------------------------------------


@router.get("/new")
def new_run_page(
    request: Request,
    session: ReadSession,
    dataset: Annotated[str, Query(max_length=60)] = "",
    like: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Choose what to learn, and start."""
    values = _values_like(runs.row_of(session, like)) if like else {}
    return _new(request, session, dataset, values)


@router.post("/new", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
def start_run_page(request: Request, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Show what a run would be, or start it."""
    plan = None
    try:
        body = _body(form)
        if form.get("step") == "start":
            return _there(request, "run_page", run_id=_started(database, settings, body))
        plan = _plan(database, settings, body)
        problem = None
    except (Problem, EngineError, RequestValidationError) as error:
        problem = problem_of(error)
    with database.read() as session:
        return _new(request, session, form.get("dataset", ""), form, problem=problem, plan=plan)


def _new(
    request: Request,
    session: Any,
    dataset_id: str,
    values: Mapping[str, Any],
    *,
    problem: Problem | None = None,
    plan: Mapping[str, Any] | None = None,
) -> Response:
    known = datasets.listed(session, limit=200, cursor=None).items
    dataset = datasets.get(session, dataset_id) if dataset_id else (known[0] if known else None)
    target = dataset.columns[-1]["name"] if dataset is not None else ""
    defaults = {"target": target, "activation": "relu", "optimizer": "adam", "seed": "0", "name": ""}
    empty = dict.fromkeys(("hidden", "epochs", "batch_size", "learning_rate"), "")
    return render(
        request,
        "new.html",
        code=200 if problem is None else problem.status,
        here="new_run_page",
        datasets=known,
        dataset=dataset,
        values={**defaults, **empty, **values},
        activations=[*ACTIVATIONS],
        optimizers=[*OPTIMIZERS],
        problem=problem,
        plan=plan,
        spec=None if plan is None else json.dumps(plan["resolved"], indent=2, ensure_ascii=False),
    )


def _values_like(row: RunRow) -> dict[str, Any]:
    training = row.resolved["training"]
    dense = [layer for layer in row.resolved["network"]["layers"] if layer["type"] == "dense"]
    return {
        "target": row.resolved["target"][0],
        "hidden": ",".join(str(layer["units"]) for layer in dense),
        "activation": dense[0]["activation"]["type"] if dense else "relu",
        "epochs": training["epochs"],
        "batch_size": training["batch_size"],
        "optimizer": training["optimizer"]["type"],
        "learning_rate": training["optimizer"].get("learning_rate", ""),
        "seed": row.resolved["seed"],
    }


def _body(form: Mapping[str, str]) -> dict[str, Any]:
    """A run's body as the form says it; what is left empty is left open."""
    body: dict[str, Any] = {"dataset": form.get("dataset", ""), "target": form.get("target", "")}
    training: dict[str, Any] = {}
    if form.get("hidden", "").strip():
        units = [_number("hidden", part) for part in form["hidden"].split(",") if part.strip()]
        body["network"] = {
            "layers": [{"type": "dense", "units": each, "activation": form.get("activation", "relu")} for each in units]
        }
    for name in ("epochs", "batch_size"):
        if form.get(name):
            training[name] = _number(name, form[name])
    rate, kind = form.get("learning_rate", "").strip(), form.get("optimizer", "adam")
    if rate or kind != "adam":
        training["optimizer"] = {"type": kind} | ({"learning_rate": _number("learning_rate", rate)} if rate else {})
    body |= {"training": training} if training else {}
    body |= {"seed": _number("seed", form["seed"])} if form.get("seed") else {}
    return body | ({"name": form["name"]} if form.get("name") else {})


def _number(name: str, text: str) -> float | int:
    try:
        return int(text) if text.strip().lstrip("-").isdecimal() else float(text)
    except ValueError as error:
        raise Unprocessable(f"{name}: expected a number, got {text[:40]!r}.") from error


def _create(body: Mapping[str, Any]) -> RunCreate:
    try:
        return RunCreate.model_validate(body)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found, body=body) from error


def _plan(database: Database, settings: Settings, body: Mapping[str, Any]) -> dict[str, Any]:
    asked = _create(body)
    draft = runs.validate(database, settings.data, asked.dataset, asked.spec(), settings.limits)
    plan, path = draft.plan, datasets.path_of(settings.data, draft.dataset.id)
    return {
        "parameter_count": plan.network.parameter_count,
        "rows": plan.rows,
        "memory_bytes": plan.memory_bytes,
        "estimated_seconds": plan.estimated_seconds,
        "inputs": plan.preprocessing.input_names,
        "warnings": plan.warnings,
        "findings": diagnoses.before(plan, path),
        "resolved": plan.resolved.model_dump(mode="json"),
    }


def _started(database: Database, settings: Settings, body: Mapping[str, Any]) -> str:
    asked = _create(body)
    draft = runs.validate(database, settings.data, asked.dataset, asked.spec(), settings.limits)
    labels = Labels(asked.name, asked.notes, tuple(asked.tags), asked.priority)
    with database.write() as session:
        return runs.accept(session, draft, asked.sent(), labels, settings.limits).row.id


# Looking into it ---------------------------------------------------------------------------------------------------

KINDS = {"gradient": "gradient norm", "ratio": "update beside weight", "zeros": "share of zeros"}
MEASURES = {"gradient": "dW.{}.norm", "ratio": "update_ratio.W.{}", "zeros": "dW.{}.zero_share"}
TOLD = {
    "gradient": "log₁₀ ‖dW‖: a column that gets lighter towards layer 1 is a gradient that vanishes.",
    "ratio": "log₁₀ ‖update‖/‖W‖: about −3 is usual.",
    "zeros": "The share of the numbers of dW that are 0.",
}
FLOW_POINTS = 24


@router.get("/runs/{run_id}/flow", dependencies=[InspectTurn])
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
    return render(
        request,
        "flow.html",
        here="",
        row=row,
        kind=show,
        kinds=KINDS,
        told=TOLD[show],
        chart=chart,
        steps=found.steps,
        table=table,
    )


def _log(value: float | None) -> float | None:
    return log10(value) if value is not None and isfinite(value) and value > 0 else None


BINS = 40


@router.get("/runs/{run_id}/layers/{layer}", dependencies=[InspectTurn])
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
    return render(
        request,
        "layer.html",
        here="",
        row=row,
        layer=layer,
        layers=[name[2:] for name in network.shapes if name.startswith("W.")],
        step=view.seen.step,
        first=view.course.begun + 1,
        last=view.course.furthest_step,
        replay=view.replay["status"],
        tensors=[_tensor(name, arrays[name]) for name in (*more, *updates) if name in arrays],
    )


def _tensor(name: str, array: Array) -> dict[str, Any]:
    flat = array.astype(np.float64).ravel()
    finite = flat[np.isfinite(flat)]
    about = {"name": name, "shape": array.shape, "count": flat.size}
    if not finite.size:
        return {**about, **dict.fromkeys(("norm", "mean", "std", "least", "most", "zeros")), "chart": "", "cut": 0}
    low, high = (float(each) for each in np.quantile(finite, (0.01, 0.99)))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    inside = finite[(finite >= low) & (finite <= high)]
    counts, edges = np.histogram(inside, bins=BINS, range=(low, high if high > low else low + 1))
    return {
        **about,
        "norm": float(np.linalg.norm(finite)),
        "mean": float(finite.mean()),
        "std": float(finite.std()),
        "least": float(finite.min()),
        "most": float(finite.max()),
        "zeros": float((flat == 0).mean()),
        "chart": charts.histogram(edges.tolist(), counts.tolist(), title=f"how {name} is spread", x_label=name),
        "cut": flat.size - inside.size,
    }


# Trying it ---------------------------------------------------------------------------------------------------------


@router.get("/runs/{run_id}/evaluation", dependencies=[InspectTurn])
def evaluation_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    part: Part = "test",
) -> Response:
    """How good it is on a part of its dataset."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
        moment = checkpoints.moment(session, row, "best")
    found = evaluations.evaluate(
        moment,
        settings.data,
        row.dataset_id,
        part=part,
        worst_count=20,
        limits=settings.limits,
    )
    return render(request, "evaluation.html", here="", row=row, part=part, found=found)


@router.get("/runs/{run_id}/try")
def try_page(request: Request, run_id: RunId, database: DatabaseDep, settings: SettingsDep) -> Response:
    """A form for one row, filled in with one of the dataset."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
        dataset = datasets.get(session, row.dataset_id)
    [first] = datasets.rows_of(settings.data, dataset, offset=0, limit=1)
    values = {name: "" if value is None else str(value) for name, value in first.items()}
    return _try(request, row, values)


@router.post("/runs/{run_id}/try", openapi_extra=IN_FORMS)
def try_row(request: Request, run_id: RunId, form: Form, database: DatabaseDep) -> Response:
    """The same form with what the network says."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    try:
        predictor = request.app.state.predictors.at(database, run_id, "best")
        found = predictions.answer(predictor, [_typed(row, form)])
    except (Problem, EngineError) as error:
        return _try(request, row, form, problem=problem_of(error))
    return _try(request, row, form, found=found)


def _try(
    request: Request,
    row: RunRow,
    values: Mapping[str, str],
    *,
    found: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
) -> Response:
    fields = [
        {"name": each["name"], "levels": (each.get("levels") or ())[:60], "value": values.get(each["name"], "")}
        for each in row.preprocessing["features"]
    ]
    sent = json.dumps({"rows": [_typed(row, values)]}, ensure_ascii=False)
    quoted = sent.replace("'", "'\\''")
    return render(
        request,
        "try.html",
        code=200 if problem is None else problem.status,
        here="",
        row=row,
        fields=fields,
        problem=problem,
        warnings=[] if found is None else found["warnings"],
        answers=[] if found is None else _answers(row, found["predictions"][0]),
        curl=f"curl {request.base_url}v1/runs/{row.id}/predict --json '{quoted}'",
    )


def _typed(row: RunRow, values: Mapping[str, str]) -> dict[str, Any]:
    """A row as JSON says it: texts stay texts, numbers become numbers where they are some, what is empty a blank."""
    found: dict[str, Any] = {}
    for each in row.preprocessing["features"]:
        text = values.get(each["name"], "").strip()
        found[each["name"]] = text or None
        if text and each["type"] in ("number", "integer"):
            try:
                found[each["name"]] = int(text) if text.lstrip("-").isdecimal() else float(text)
            except ValueError:
                continue
        if text and each["type"] == "boolean":
            found[each["name"]] = {"True": True, "False": False}.get(text, text)
    return found


def _answers(row: RunRow, prediction: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """For each target its name, what is said in words, and bars of its probabilities."""
    several = prediction.get("targets") or {row.resolved["target"][0]: prediction}
    found = []
    for name, each in several.items():
        if each.get("label") is None:
            found.append((name, number(each.get("value")), ""))
            continue
        shown = sorted((each.get("probabilities") or {}).items(), key=lambda pair: -pair[1])[:20]
        names, values = [level for level, _ in shown], [value for _, value in shown]
        chart = charts.bars(names, values, title=f"probabilities of {name}") if shown else ""
        found.append((name, str(each["label"]), chart))
    return found


# The API's own -----------------------------------------------------------------------------------------------------


@router.get("/docs")
def docs_page(request: Request) -> Response:
    """Every route, to be tried in the browser, without anything from another host."""
    return render(request, "docs.html", here="docs_page")


# The door ----------------------------------------------------------------------------------------------------------


@router.get("/login")
def login_page(request: Request) -> Response:
    """Where a browser says the token."""
    return render(request, "login.html", here="", is_wrong=False)


@router.post("/login", openapi_extra=IN_FORMS)
def login(request: Request, form: Form, settings: SettingsDep) -> Response:
    """Remember in a cookie, which no script can read, that the token was said."""
    token = settings.token.get_secret_value().encode() if settings.token else b""
    if not hmac.compare_digest(form.get("token", "").encode(), token):
        return render(request, "login.html", code=401, here="", is_wrong=True)
    found = _there(request, "list_runs_page")
    secure = request.url.scheme == "https"
    found.set_cookie(COOKIE, pass_of(token), httponly=True, samesite="lax", secure=secure, max_age=30 * 24 * 3600)
    return found


STATIC = Path(__file__).parent / "static"
