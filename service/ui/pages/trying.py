"""Pages that try a run: how good it is, and what it says of a row."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.errors import EngineError
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import checkpoints, datasets, evaluations, predictions, runs
from service.domain.evaluations import Part
from service.errors import Problem
from service.problems import problem_of
from service.store.tables import RunRow
from service.ui import charts
from service.ui.numbers import number
from service.ui.pages.common import IN_FORMS, Form
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)


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
    return render(request, "evaluation.html", here="", tab="evaluation_page", row=row, part=part, found=found)


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
        tab="try_page",
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
