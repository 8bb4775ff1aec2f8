"""What the buttons on a run's page do: pause, go on, fork, mend, name, delete."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.dependencies import DatabaseDep, PlanTurn, RunId, SettingsDep, WriteSession
from service.domain import diagnoses, forks, runs
from service.domain.overrides import merged
from service.domain.runs import Labels
from service.errors import Unprocessable
from service.schemas.runs import RunFork, RunUpdate
from service.ui.pages.beginning import number_in, started
from service.ui.pages.common import IN_FORMS, Form, checked, there
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)


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


@router.post("/runs/{run_id}/forked", openapi_extra=IN_FORMS, dependencies=[PlanTurn])
def start_fork(request: Request, run_id: RunId, form: Form, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Go on from a moment of the run in a new one, longer or at another learning rate."""
    with database.read() as session:
        row = runs.row_of(session, run_id)
    training: dict[str, Any] = {}
    if form.get("epochs"):
        training["epochs"] = number_in("epochs", form["epochs"])
    if form.get("learning_rate"):
        training["optimizer"] = {"learning_rate": number_in("learning_rate", form["learning_rate"])}
    asked = checked(
        RunFork, {"at": form.get("at") or "last", "training": training, "name": f"{row.name[:180]}, forked"}
    )
    fork = forks.plan_fork(database, settings, run_id, at=str(asked.at), overrides=asked.overrides())
    with database.write() as session:
        found = forks.accept_fork(session, fork, Labels(asked.name, "", (), 0), settings.limits)
    return there(request, "run_page", run_id=found.row.id)


@router.post("/runs/{run_id}/named", openapi_extra=IN_FORMS)
def name_run(request: Request, run_id: RunId, form: Form, session: WriteSession) -> Response:
    """Change its name, its notes and its tags."""
    tags = [part.strip() for part in form.get("tags", "").split(",") if part.strip()]
    asked = checked(RunUpdate, {"name": form.get("name", ""), "notes": form.get("notes", ""), "tags": tags})
    runs.update(session, run_id, asked.model_dump(exclude_unset=True))
    return there(request, "run_page", run_id=run_id)


@router.post("/runs/{run_id}/deleted", openapi_extra=IN_FORMS)
def delete_run_page(request: Request, run_id: RunId, form: Form, session: WriteSession) -> Response:
    """Ask once what is lost with it, then delete it."""
    if form.get("sure") != "yes":
        return render(request, "delete.html", here="", row=runs.row_of(session, run_id))
    runs.delete(session, run_id)
    return there(request, "list_runs_page")
