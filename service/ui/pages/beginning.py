"""Pages that begin a run: what to learn, what will be done, start."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.orm import Session
from starlette.responses import Response

from engine.errors import EngineError
from engine.layers import ACTIVATIONS
from engine.optimizers import OPTIMIZERS
from service.dependencies import DatabaseDep, PlanTurn, ReadSession, SettingsDep
from service.domain import datasets, diagnoses, runs
from service.domain.overrides import merged
from service.domain.runs import Labels
from service.errors import Problem, Unprocessable
from service.problems import problem_of
from service.schemas.runs import RunCreate
from service.settings import Settings
from service.store.database import Database
from service.store.tables import RunRow
from service.ui.pages.common import IN_FORMS, Form, checked, there
from service.ui.rendering import render
from service.ui.specs import encodings

router = APIRouter(include_in_schema=False)


@router.get("/new")
def new_run_page(
    request: Request,
    session: ReadSession,
    dataset: Annotated[str, Query(max_length=60)] = "",
    like: Annotated[str, Query(max_length=60)] = "",
    target: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Choose what to learn, and start."""
    values = {**_values_like(runs.row_of(session, like)), "like": like} if like else {}
    values |= {"target": target} if target else {}
    return _new(request, session, dataset, values)


@router.post("/new", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
def start_run_page(request: Request, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Show what a run would be, or start it."""
    plan = None
    try:
        with database.read() as session:
            like = runs.row_of(session, form["like"]) if form.get("like") else None
        body = _body(form, like)
        if form.get("step") == "start":
            return there(request, "run_page", run_id=started(database, settings, body))
        plan = _plan(database, settings, body)
        problem = None
    except (Problem, EngineError, RequestValidationError) as error:
        problem = problem_of(error)
    with database.read() as session:
        return _new(request, session, form.get("dataset", ""), form, problem=problem, plan=plan)


def _new(
    request: Request,
    session: Session,
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
    open_ = ("hidden", "epochs", "batch_size", "learning_rate", "l2", "validation", "patience", "like")
    empty = dict.fromkeys(open_, "")
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
        "l2": training["l2"],
        "validation": row.resolved["split"]["validation"],
        "patience": (training["early_stopping"] or {}).get("patience", ""),
        "seed": row.resolved["seed"],
    }


def _body(form: Mapping[str, str], like: RunRow | None) -> dict[str, Any]:
    """A run's body as the form says it; what is left empty is left open, or as it was in a run that this is to be like.

    Where its layers were not changed they are that run's own, also those a form has no place for.
    """
    asked = _asked(form)
    if like is None or (asked["dataset"], [asked["target"]]) != (like.dataset_id, like.resolved["target"]):
        return asked
    before = _values_like(like)
    if all(form.get(name) == before[name] for name in ("hidden", "activation")):
        asked.pop("network", None)
    return merged(like.resolved, asked)


def _asked(form: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {"dataset": form.get("dataset", ""), "target": form.get("target", "")}
    training: dict[str, Any] = {}
    if form.get("hidden", "").strip():
        units = [number_in("hidden", part) for part in form["hidden"].split(",") if part.strip()]
        body["network"] = {
            "layers": [{"type": "dense", "units": each, "activation": form.get("activation", "relu")} for each in units]
        }
    for name in ("epochs", "batch_size", "l2"):
        if form.get(name):
            training[name] = number_in(name, form[name])
    if form.get("patience"):
        training["early_stopping"] = {"patience": number_in("patience", form["patience"])}
    if form.get("validation"):
        body["split"] = {"validation": number_in("validation", form["validation"])}
    rate, kind = form.get("learning_rate", "").strip(), form.get("optimizer", "adam")
    if rate or kind != "adam":
        training["optimizer"] = {"type": kind} | ({"learning_rate": number_in("learning_rate", rate)} if rate else {})
    body |= {"training": training} if training else {}
    body |= {"seed": number_in("seed", form["seed"])} if form.get("seed") else {}
    return body | ({"name": form["name"]} if form.get("name") else {})


def number_in(name: str, text: str) -> float | int:
    try:
        return int(text) if text.strip().lstrip("-").isdecimal() else float(text)
    except ValueError as error:
        raise Unprocessable(f"{name}: expected a number, got {text[:40]!r}.") from error


def _plan(database: Database, settings: Settings, body: Mapping[str, Any]) -> dict[str, Any]:
    asked = checked(RunCreate, body)
    draft = runs.validate(database, settings.data, asked.dataset, asked.spec(), settings.limits)
    plan, path = draft.plan, datasets.path_of(settings.data, draft.dataset.id)
    return {
        "parameter_count": plan.network.parameter_count,
        "rows": plan.rows,
        "memory_bytes": plan.memory_bytes,
        "estimated_seconds": plan.estimated_seconds,
        "inputs": plan.preprocessing.input_names,
        "encodings": encodings(plan.preprocessing),
        "dropped": plan.preprocessing.dropped,
        "warnings": plan.warnings,
        "findings": diagnoses.before(plan, path),
        "resolved": plan.resolved.model_dump(mode="json"),
    }


def started(database: Database, settings: Settings, body: Mapping[str, Any]) -> str:
    asked = checked(RunCreate, body)
    draft = runs.validate(database, settings.data, asked.dataset, asked.spec(), settings.limits)
    labels = Labels(asked.name, asked.notes, tuple(asked.tags), asked.priority)
    with database.write() as session:
        return runs.accept(session, draft, asked.sent(), labels, settings.limits).row.id
