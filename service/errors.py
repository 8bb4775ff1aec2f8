"""What the service answers when it can't do what was asked. One handler turns each into application/problem+json.

Problem
├── BadRequest            400  a request that is not even a request of ours: broken JSON, an unreadable cursor
├── Unauthorized          401
├── Forbidden             403  another Host or Origin
├── NotFound              404
├── NotAcceptable         406
├── Conflict              409  a good request at a bad moment
├── TooLarge              413  names the limit
├── UnsupportedMediaType  415
├── Unprocessable         422  input that can never be right; `errors` lists every place
├── TooManyRuns           429
├── HeadersTooLarge       431
├── Unavailable           503  the database is locked or out of reach
└── StorageFull           507  what was accepted stays
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


def pointer(path: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def own(complaints: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Pydantic's complaints, without those of a default that waits for another field, which has one of its own."""
    return [each for each in complaints if each["type"] != "default_factory_not_called"]


def path_in(body: Any, path: Sequence[str | int]) -> list[str | int]:
    """The way through a body to what pydantic complains of, without the names of its own branches.

    Where a field may be of several kinds, pydantic puts the kind into the path; no such key is in the body.
    """
    found: list[str | int] = []
    for number, part in enumerate(path):
        is_there = part in body if isinstance(body, dict) else isinstance(body, list) and part in range(len(body))
        if is_there:
            body = body[part]
            found.append(part)
        elif isinstance(body, dict) and number == len(path) - 1:
            found.append(part)  # a field that is missing
    return found


@dataclass(frozen=True)
class Parameter:
    """A part of a request that is not its body."""

    where: Literal["query", "header", "path"]
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Fault:
    """One place in a request that is wrong: a JSON pointer (RFC 6901) into its body, or a parameter."""

    place: str | Parameter
    code: str
    detail: str
    allowed: tuple[str, ...] | None = None


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """Base of all answers that are not what was asked for. `extra` becomes members of the problem's body."""

    status = 500
    code = "internal_error"
    title = "Something went wrong on our side"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra


class BadRequest(Problem):
    status, code, title = 400, "bad_request", "The request can't be read"


class Unauthorized(Problem):
    status, code, title = 401, "unauthorized", "A valid token is needed"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "This request is not allowed"


class NotFound(Problem):
    status, code, title = 404, "not_found", "There is no such thing"


class NotAcceptable(Problem):
    status, code, title = 406, "not_acceptable", "This format is not offered"


class Conflict(Problem):
    status, code, title = 409, "conflict", "Not possible as things stand"


class TooLarge(Problem):
    status, code, title = 413, "too_large", "Larger than the limit"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "This content type is not understood"


class Unprocessable(Problem):
    status, code, title = 422, "invalid", "The request can't be right"


class TooManyRuns(Problem):
    status, code, title = 429, "too_many_runs", "The queue is full"


class HeadersTooLarge(Problem):
    status, code, title = 431, "headers_too_large", "The request's headers are larger than the limit"


class Unavailable(Problem):
    status, code, title = 503, "unavailable", "The service can't answer just now"


class StorageFull(Problem):
    status, code, title = 507, "storage_full", "No room is left on the disk"
