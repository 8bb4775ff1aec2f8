"""The page that tries a run: what it says of a row, of a drawing, or of rows that are pasted."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from engine.errors import EngineError
from service.dependencies import DatabaseDep, RunId, SettingsDep
from service.domain import datasets, predictions, runs
from service.errors import Problem, Unprocessable
from service.problems import problem_of
from service.settings import Settings
from service.store.database import Database
from service.store.tables import DatasetRow, RunRow
from service.ui import charts, pictures
from service.ui.numbers import number
from service.ui.pages.common import IN_FORMS, Form
from service.ui.pictures import GREY, Pixels
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

LEVELS = 60
"""A column of more levels is written, not chosen."""
PASTED_ROWS = 200
"""Rows that are pasted and shown at once, at most."""
PICTURE = 160


@router.get("/runs/{run_id}/try")
def try_page(
    request: Request,
    run_id: RunId,
    database: DatabaseDep,
    settings: SettingsDep,
    row: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:
    """A form for one row, filled in with one of the dataset, and what the network says of it."""
    run, dataset = _of(database, run_id)
    found = datasets.rows_of(settings.data, dataset, offset=row, limit=1)
    if not found:
        raise Unprocessable(f"row: expected one from 0 to {dataset.rows - 1}, got {row}.")
    values = {name: "" if value is None else str(value) for name, value in found[0].items()}
    return _answered(request, database, run, dataset, values, number_of=row)


@router.post("/runs/{run_id}/try", openapi_extra=IN_FORMS)
def try_row(request: Request, run_id: RunId, form: Form, database: DatabaseDep) -> Response:
    """The same form with what the network says."""
    run, dataset = _of(database, run_id)
    return _answered(request, database, run, dataset, form)


@router.post("/runs/{run_id}/try/rows", openapi_extra=IN_FORMS)
def try_rows(request: Request, run_id: RunId, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """What the network says of rows that were pasted as CSV or JSON."""
    run, dataset = _of(database, run_id)
    text, rows, found, problem = form.get("rows", ""), list[dict[str, Any]](), None, None
    try:
        rows = _pasted(run, text, settings)
        found = predictions.answer(request.app.state.predictors.at(database, run_id, "best"), rows)
    except (Problem, EngineError) as error:
        problem = problem_of(error)
    values = {name: "" if value is None else str(value) for name, value in (rows[0] if rows else {}).items()}
    said = [] if found is None else found["predictions"]
    return _try(request, run, dataset, values, problem=problem, pasted=text, table=list(zip(rows, said, strict=False)))


def _of(database: Database, run_id: str) -> tuple[RunRow, DatasetRow]:
    with database.read() as session:
        run = runs.row_of(session, run_id)
        return run, datasets.get(session, run.dataset_id)


def _answered(
    request: Request,
    database: Database,
    run: RunRow,
    dataset: DatasetRow,
    values: Mapping[str, str],
    *,
    number_of: int | None = None,
) -> Response:
    try:
        predictor = request.app.state.predictors.at(database, run.id, "best")
        found = predictions.answer(predictor, [_typed(run, values)])
    except (Problem, EngineError) as error:
        problem = problem_of(error)
        is_early = number_of is not None and problem.code == "no_checkpoint"
        return _try(request, run, dataset, values, number_of=number_of, problem=None if is_early else problem)
    return _try(request, run, dataset, values, number_of=number_of, found=found)


def _try(
    request: Request,
    run: RunRow,
    dataset: DatasetRow,
    values: Mapping[str, str],
    *,
    number_of: int | None = None,
    found: Mapping[str, Any] | None = None,
    problem: Problem | None = None,
    pasted: str = "",
    table: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = (),
) -> Response:
    features = run.preprocessing["features"]
    fields = [
        {"name": each["name"], "levels": _levels(each), "value": values.get(each["name"], "")} for each in features
    ]
    sent = json.dumps({"rows": [_typed(run, values)]}, ensure_ascii=False)
    quoted = sent.replace("'", "'\\''")
    server = str(request.base_url).rstrip("/")
    return render(
        request,
        "try.html",
        code=200 if problem is None else problem.status,
        here="",
        tab="try_page",
        row=run,
        number_of=number_of,
        last_row=dataset.rows - 1,
        truth=[
            f"{name}: {values[name]}" for name in run.resolved["target"] if number_of is not None and name in values
        ],
        fields=fields,
        pad=_pad(run, dataset, values),
        problem=problem,
        warnings=[] if found is None else found["warnings"],
        answers=[] if found is None else _answers(run, found["predictions"][0]),
        pasted=pasted or _example(fields),
        names=[field["name"] for field in fields],
        table=table,
        curl=f"curl {server}/v1/runs/{run.id}/predict --json '{quoted}'",
        python=f"from service.client import Client\n\nrow = {_typed(run, values)!r}\n"
        f"print(Client({server!r}).predict({run.id!r}, [row]).predictions)",
    )


def _levels(feature: Mapping[str, Any]) -> Sequence[str]:
    levels = feature.get("levels") or ()
    return levels if len(levels) <= LEVELS else ()


def _example(fields: Sequence[Mapping[str, Any]]) -> str:
    """The row of the form as CSV."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([field["name"] for field in fields])
    writer.writerow([field["value"] for field in fields])
    return sink.getvalue()


def _pad(run: RunRow, dataset: DatasetRow, values: Mapping[str, str]) -> dict[str, Any] | None:
    """What to draw on where columns make an image: its side, its pixels' names, the brightest, and the row's own."""
    pixels = Pixels.among([column["name"] for column in dataset.columns])
    if pixels is None or not {each["name"] for each in run.preprocessing["features"]} <= set(pixels.names):
        return None
    profile = datasets.profile_of(dataset)["columns"]
    most = max((profile[name].get("maximum") or 0 for name in pixels.names if name in profile), default=0) or 1
    image = np.array([_brightness(values.get(name, "")) for name in pixels.names]).reshape(pixels.side, pixels.side)
    return {
        "side": pixels.side,
        "names": "|".join(pixels.names),
        "most": most,
        "picture": pictures.address(image, 0, most, GREY),
        "size": PICTURE,
    }


def _brightness(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _pasted(run: RunRow, text: str, settings: Settings) -> list[dict[str, Any]]:
    """The rows of a text: JSON of a list, or an object with `rows`; else CSV with a header."""
    rows: Any
    if text.lstrip().startswith(("[", "{")):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise Unprocessable(f"rows: expected JSON or CSV with a header; {error}.") from error
        rows = rows.get("rows", [rows]) if isinstance(rows, dict) else rows
    else:
        read = csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True)
        rows = [
            _typed(run, {name: value or "" for name, value in row.items() if isinstance(name, str)}) for row in read
        ]
    if not rows:
        raise Unprocessable("rows: expected at least one row below a header, found none.")
    if len(rows) > min(PASTED_ROWS, settings.limits.predict_rows):
        raise Unprocessable(
            f"rows: at most {PASTED_ROWS} are shown here, got {len(rows)}; POST /v1/runs/{run.id}/predict takes a file."
        )
    return list(rows)


def _typed(run: RunRow, values: Mapping[str, str]) -> dict[str, Any]:
    """A row as JSON says it: texts stay texts, numbers become numbers where they are some, what is empty a blank."""
    found: dict[str, Any] = {}
    for each in run.preprocessing["features"]:
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


def _answers(run: RunRow, prediction: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """For each target its name, what is said in words, and bars of its probabilities."""
    several = prediction.get("targets") or {run.resolved["target"][0]: prediction}
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
