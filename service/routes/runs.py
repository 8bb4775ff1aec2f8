"""Start, list, look at and steer runs."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.dependencies import (
    Cursor,
    DatabaseDep,
    Limit,
    LimitsDep,
    PlanTurn,
    ReadSession,
    RunId,
    SettingsDep,
    WriteSession,
)
from service.domain import amendments, datasets, diagnoses, forks, idempotency, runs, watchpoints
from service.domain.idempotency import Answer
from service.domain.runs import Labels
from service.domain.watchpoints import Condition
from service.errors import Conflict, Fault, NotFound, Parameter
from service.problems import LOCATION, errors_of, header
from service.schemas.base import NO_NUL, PageBody
from service.schemas.runs import (
    PlanBody,
    PreprocessingBody,
    RunBody,
    RunCreate,
    RunFork,
    RunResume,
    RunSummary,
    RunUpdate,
    Status,
)
from service.store import runs as store

router = APIRouter(prefix="/v1/runs", tags=["runs"])

ROUTE = "POST /v1/runs"
"""Where a key is honoured."""

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=NO_NUL,
        description="The same key gives the same answer.",
    ),
]

CREATED = {
    "headers": {
        **LOCATION["headers"],
        **header("Idempotency-Replayed", "`true` where this was answered before.")["headers"],
    }
}

Tag = Annotated[str, Query(pattern=NO_NUL)]


async def _body_digest(request: Request) -> str:
    return sha256(await request.body()).hexdigest()


@router.post(
    "",
    status_code=201,
    response_model=RunBody,
    responses={201: CREATED, **errors_of(400, 404, 409, 413, 422, 429, 507)},
    dependencies=[PlanTurn],
)
def create_run(
    body: RunCreate,
    database: DatabaseDep,
    settings: SettingsDep,
    digest: Annotated[str, Depends(_body_digest)],
    key: Key = None,
) -> Response:
    """Start a training. Only `dataset` and `target` are required; `resolved` shows every default filled in."""
    with database.read() as session:
        known = _known(session, key, digest)
    if known is not None:
        return _given(known)
    draft = runs.validate(database, settings.data, body.dataset, body.spec(), settings.limits)
    labels = Labels(body.name, body.notes, tuple(body.tags), body.priority)
    conditions = [Condition(**each.model_dump()) for each in body.watchpoints]
    watchpoints.check(conditions, draft.plan.resolved.training.optimizer.type)
    try:
        with database.write() as session:
            if (known := _known(session, key, digest)) is not None:
                return _given(known)
            detail = runs.accept(session, draft, body.sent(), labels, settings.limits)
            watchpoints.add(session, detail.row, conditions)
            content = RunBody.of(detail).model_dump_json().encode()
            answer = Answer(201, {"Location": f"/v1/runs/{detail.row.id}"}, content)
            if key is not None:
                idempotency.record(session, key, ROUTE, digest, answer)
    except IntegrityError as error:
        with database.read() as session:
            datasets.get(session, draft.dataset.id)  # NotFound where it was deleted meanwhile
        if key is None:
            raise
        raise Conflict("A request with this Idempotency-Key is being answered.", code="in_flight") from error
    return _given(answer)


def _known(session: Session, key: str | None, digest: str) -> Answer | None:
    """What a request with this key was answered, if there was one. NotFound where its run was deleted since."""
    known = None if key is None else idempotency.replay(session, key, ROUTE, digest)
    if known is not None:
        run_id = known.headers["Location"].rpartition("/")[2]
        if store.get(session, run_id) is None:
            detail = f"this key made {run_id}, which was deleted; choose a new key to make another run"
            fault = Fault(Parameter("header", "Idempotency-Key"), "run_deleted", detail)
            raise NotFound(f"Idempotency-Key: {detail}.", code="run_deleted", errors=[fault])
    return known


def _given(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers, "application/json")


@router.post("/validate", responses=errors_of(400, 404, 413, 422), dependencies=[PlanTurn])
def validate_run(body: RunCreate, database: DatabaseDep, settings: SettingsDep) -> PlanBody:
    """What the run would be: the resolved spec, shapes, memory, an estimate of the time. Nothing is stored."""
    draft = runs.validate(database, settings.data, body.dataset, body.spec(), settings.limits)
    return PlanBody.of(draft.plan, diagnoses.before(draft.plan, datasets.path_of(settings.data, draft.dataset.id)))


@router.get("", responses=errors_of(400, 422))
def list_runs(
    session: ReadSession,
    status: Annotated[list[Status] | None, Query(description="In any of these statuses.")] = None,
    tag: Annotated[
        list[Annotated[str, Query(pattern=NO_NUL)]] | None, Query(max_length=50, description="With all of these tags.")
    ] = None,
    dataset: Annotated[str | None, Query(max_length=60, pattern=NO_NUL)] = None,
    name: Annotated[
        str | None, Query(max_length=200, pattern=NO_NUL, description="With this in its name, whatever its case.")
    ] = None,
    order_by: Annotated[
        str, Query(pattern=f"^({'|'.join(store.ORDERS)})$", description="A minus turns it.")
    ] = "-created_at",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PageBody[RunSummary]:
    """Runs, newest first, each without what only it shows: spec, resolved, preprocessing, fingerprint, notes."""
    page = runs.listed(
        session,
        statuses=status or (),
        tags=tag or (),
        dataset_id=dataset,
        name=name,
        order_by=order_by,
        limit=limit,
        cursor=cursor,
    )
    return PageBody(items=[RunSummary.of(detail) for detail in page.items], next_cursor=page.next_cursor)


@router.get("/{run_id}", responses=errors_of(404, 422))
def get_run(run_id: RunId, session: ReadSession) -> RunBody:
    """A run: where it stands, what it was resolved to, its best and newest epoch."""
    return RunBody.of(runs.get(session, run_id))


@router.get("/{run_id}/preprocessing", responses=errors_of(404, 422))
def get_preprocessing(run_id: RunId, session: ReadSession) -> PreprocessingBody:
    """What was fitted on the training rows: how each column becomes inputs, and the outputs words."""
    return PreprocessingBody.model_validate(runs.preprocessing_of(session, run_id))


@router.patch("/{run_id}", responses=errors_of(400, 404, 422, 507))
def update_run(run_id: RunId, body: RunUpdate, session: WriteSession) -> RunBody:
    """Change a run's name, notes, tags or priority."""
    return RunBody.of(runs.update(session, run_id, body.changes()))


@router.delete("/{run_id}", status_code=204, responses=errors_of(404, 409, 422, 507))
def delete_run(run_id: RunId, session: WriteSession) -> None:
    """Delete a finished run with its losses, events and checkpoints."""
    runs.delete(session, run_id)


STEERED = {200: {"model": RunBody, "description": "It was so already"}, **errors_of(404, 409, 422, 507)}


@router.post("/{run_id}/cancel", status_code=202, responses=STEERED)
def cancel_run(run_id: RunId, session: WriteSession, response: Response) -> RunBody:
    """Stop a run: a waiting one at once, a running one after its current batch."""
    return _steered(runs.cancel(session, run_id), response)


@router.post("/{run_id}/pause", status_code=202, responses=STEERED)
def pause_run(run_id: RunId, session: WriteSession, response: Response) -> RunBody:
    """Let a run wait, with its state stored; a running one after its current batch."""
    return _steered(runs.pause(session, run_id), response)


@router.post("/{run_id}/resume", status_code=202, responses=STEERED)
def resume_run(run_id: RunId, session: WriteSession, response: Response, body: RunResume | None = None) -> RunBody:
    """Let a paused run go on: to the same bits as if it had not been paused, or with parts of its training changed."""
    if body is not None and body.training:
        amendments.amend(session, run_id, body.training)
    return _steered(runs.resume(session, run_id), response)


def _steered(outcome: tuple[runs.RunDetail, bool], response: Response) -> RunBody:
    detail, has_changed = outcome
    response.status_code = 202 if has_changed else 200
    return RunBody.of(detail)


@router.post(
    "/{run_id}/fork",
    status_code=201,
    responses={201: LOCATION, **errors_of(400, 404, 413, 422, 429, 507)},
    dependencies=[PlanTurn],
)
def fork_run(
    run_id: RunId, body: RunFork, database: DatabaseDep, settings: SettingsDep, limits: LimitsDep, response: Response
) -> RunBody:
    """A new run that goes on from any moment, with parts of its training changed or, without, to the same bits."""
    fork = forks.plan_fork(database, settings, run_id, at=str(body.at), overrides=body.overrides())
    labels = Labels(body.name, body.notes, tuple(body.tags), body.priority)
    with database.write() as session:
        detail = forks.accept_fork(session, fork, labels, limits)
        answer = RunBody.of(detail)
    response.headers["Location"] = f"/v1/runs/{answer.id}"
    return answer
