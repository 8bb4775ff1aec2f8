"""Problems: every answer that is not what was asked for, as application/problem+json (RFC 9457)."""

import errno
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError, SQLAlchemyError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from engine.errors import CheckpointError, DataError, SpecError
from service import errors
from service.errors import Fault, Parameter, Problem, StorageFull, Unavailable, Unprocessable
from service.methods import allowed_methods
from service.schemas.problems import ProblemBody
from service.store.checkpoints import DamagedCheckpoint
from service.store.pages import BadCursor
from service.ui.rendering import render

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAXIMUM_FAULTS = 100
ANYWHERE = (401, 403, 413, 415, 431, 500, 503)
"""What every route can answer."""

PROBLEMS: dict[int, type[Problem]] = {
    problem.status: problem
    for problem in (
        errors.Problem,
        errors.BadRequest,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.NotAcceptable,
        errors.Conflict,
        errors.TooLarge,
        errors.UnsupportedMediaType,
        errors.Unprocessable,
        errors.TooManyRuns,
        errors.HeadersTooLarge,
        errors.Unavailable,
        errors.StorageFull,
    )
}


def body_of(problem: Problem, instance: str) -> bytes:
    """The problem's JSON."""
    content: dict[str, Any] = {
        "type": f"urn:chainrule:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "code": problem.code,
        "errors": [_fault(fault) for fault in problem.errors[:MAXIMUM_FAULTS]],
    }
    return orjson.dumps({**problem.extra, **content}, default=str)


def _fault(fault: Fault) -> dict[str, Any]:
    place, allowed = fault.place, fault.allowed
    found: dict[str, Any] = (
        {"pointer": place} if isinstance(place, str) else {"parameter": {"in": place.where, "name": place.name}}
    )
    found |= {"code": fault.code, "detail": fault.detail}
    return found if allowed is None else {**found, "allowed": list(allowed)}


def answer(problem: Problem, instance: str) -> Response:
    """The problem as a response."""
    return Response(body_of(problem, instance), problem.status, problem.headers, MEDIA_TYPE)


def errors_of(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: the problems it can answer with, beside those that every route can."""
    return {status: _documented(status) for status in sorted({*statuses, *ANYWHERE})}


def header(name: str, description: str) -> dict[str, Any]:
    """For a route's `responses=`: a header that an answer carries."""
    return {"headers": {name: {"description": description, "schema": {"type": "string"}}}}


LOCATION = header("Location", "The address of what was made.")
_HEADERS = {
    401: header("WWW-Authenticate", "Bearer."),
    429: header("Retry-After", "Seconds after which to try again."),
    503: header("Retry-After", "Seconds after which to try again, where that is known."),
}


def _documented(status: int) -> dict[str, Any]:
    problem = PROBLEMS[status]
    example = {
        "type": f"urn:chainrule:problem:{problem.code}",
        "title": problem.title,
        "status": status,
        "detail": "What was expected, and what was found.",
        "instance": "/v1/…",
        "code": problem.code,
        "errors": [],
    }
    return {
        "description": problem.title,
        "model": ProblemBody,
        **_HEADERS.get(status, {}),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}, "example": example}},
    }


def install(app: FastAPI) -> None:
    """Let every failure of the app end here."""
    kinds: tuple[type[Exception], ...] = (
        Problem,
        RequestValidationError,
        SpecError,
        DataError,
        HTTPException,
        ClientDisconnect,
        BadCursor,
        DamagedCheckpoint,
        CheckpointError,
        SQLAlchemyError,
        OSError,
        Exception,
    )
    for kind in kinds:
        app.add_exception_handler(kind, _handle)


def path_in(request: Request) -> str:
    """The address within the application, without the root that a proxy shows it under."""
    return request.url.path.removeprefix(str(request.scope.get("root_path", "")))


async def _handle(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        problem.headers["Allow"] = allowed_methods(request)
    if not path_in(request).startswith("/v1/") and "text/html" in request.headers.get("accept", ""):
        return render(request, "error.html", code=problem.status, here="", problem=problem)
    return answer(problem, request.url.path)


def problem_of(error: Exception) -> Problem:
    """What an exception means to the client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors(), error.body)
    if isinstance(error, SpecError):
        fault = Fault(pointer_of(error.place), error.code, error.message, error.allowed or None)
        return Unprocessable(str(error), code=error.code, errors=[fault])
    if isinstance(error, DataError):
        found = error.problems or [error]
        faults = [Fault(pointer_of(each.place), each.code, each.message) for each in found]
        return Unprocessable(str(error), code=error.code, errors=faults)
    if isinstance(error, HTTPException):
        return _http(error)
    if isinstance(error, BadCursor):
        detail = "expected one that this list gave in this order"
        fault = Fault(Parameter("query", "cursor"), "bad_cursor", detail)
        return errors.BadRequest(f"cursor: {detail}.", code="bad_cursor", errors=[fault])
    if isinstance(error, (DamagedCheckpoint, CheckpointError)):
        log.error("%s", error)
        return Problem("The stored bytes of this checkpoint are damaged; try another.", code="damaged_checkpoint")
    if isinstance(error, ClientDisconnect):
        return errors.BadRequest("The client was gone before its request was whole.", code="client_gone")
    if _is_full(error):
        return StorageFull("The disk is full: nothing of this request was kept, and what was accepted before stays.")
    if isinstance(error, (OperationalError, TimeoutError)):
        log.warning("the database could not be used: %s", error)
        return Unavailable("The database is busy or out of reach; try again.", headers={"Retry-After": "1"})
    log.error("unexpected", exc_info=error)
    return Problem("Something unexpected happened; the server's log has the details.")


def _invalid(found: Sequence[Mapping[str, Any]], body: Any) -> Problem:
    """FastAPI's own complaints, one for each place; never the value that was sent."""
    faults: dict[str | Parameter, Fault] = {}
    for item in errors.own(found):
        where, *path = item["loc"]
        if item["type"] == "json_invalid":
            return errors.BadRequest(f"The body is not JSON: {item['ctx']['error']}.", code="not_json")
        place = errors.pointer(errors.path_in(body, path)) if where == "body" else Parameter(where, str(path[0]))
        other = faults.get(place)
        allowed = (*((other and other.allowed) or ()), *(_allowed(item) or ())) or None
        faults[place] = (
            Fault(place, str(item["type"]), str(item["msg"]), allowed)
            if other is None
            else replace(other, allowed=allowed)
        )
    listed = [f"{fault.place or 'body'}: {fault.detail}" for fault in faults.values()]
    more = f"; and {len(listed) - 3} more" if len(listed) > 3 else ""
    return Unprocessable(f"{'; '.join(listed[:3])}{more}", errors=list(faults.values()))


def _allowed(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    expected = item.get("ctx", {}).get("expected_tags") or item.get("ctx", {}).get("expected")
    return tuple(re.findall(r"'([^']*)'", str(expected))) or None if expected else None


def _http(error: HTTPException) -> Problem:
    kind = PROBLEMS.get(error.status_code)
    headers = dict(error.headers or {})
    if kind is not None:
        detail = "There is no such address." if error.status_code == 404 else str(error.detail)
        return kind(detail, headers=headers)
    phrase = HTTPStatus(error.status_code).phrase
    problem = Problem(str(error.detail), code=phrase.lower().replace(" ", "_"), headers=headers)
    problem.status, problem.title = error.status_code, phrase
    return problem


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, SQLAlchemyError) and "disk is full" in str(error)


def pointer_of(place: str) -> str:
    """A JSON pointer (RFC 6901) of an engine's place: /network/layers/2/units of network.layers[2].units.

    It is empty for a whole file, and what users name may have dots and brackets of its own: /columns/size.cm.
    """
    if place == "file":
        return ""
    named = _NAMED.fullmatch(place)
    path, name = named.groups() if named else (place, None)
    return errors.pointer([*re.findall(r"[^.\[\]]+", path), *([] if name is None else [name])])


_NAMED = re.compile(r"(parameters|options\.vector|columns|rows\[\d+\])\.(.*)", re.DOTALL)
"""Places that end with the name of a parameter or column."""
