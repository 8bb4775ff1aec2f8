"""The door: who may speak to the server, from where, and how much at once. Pure ASGI, in front of everything."""

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BadRequest, Forbidden, Problem, TooLarge, Unauthorized
from service.problems import answer
from service.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/v1/health/live", "/v1/health/ready"})
"""Answered without a token, for load balancers."""


class Door:
    """Checks Host (against DNS rebinding), Origin (against other pages' scripts), token and size of each request."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.token = settings.token.get_secret_value().encode() if settings.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(scope["path"], scope["method"], headers)
        try:
            self._check(scope, headers)
            _check_length(headers, limit)
            await self.app(scope, _counted(receive, limit), send)
        except Problem as problem:
            await answer(problem, scope["path"])(scope, receive, send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = _name_of(headers.get("host", ""))
        if not self.settings.allow_any_host and host not in self.settings.allowed_hosts and self.token is None:
            raise Forbidden(
                f"Host: expected one of {', '.join(self.settings.allowed_hosts)}, got {host[:100]!r}; "
                "CHAINRULE_ALLOWED_HOSTS lists them.",
                code="host_not_allowed",
            )
        origin = headers.get("origin")
        if (
            origin is not None
            and scope["method"] not in SAFE_METHODS
            and urlsplit(origin).netloc != headers.get("host")
        ):
            raise Forbidden("Origin: a page of another site may not write here.", code="origin_not_allowed")
        if self.token is not None and scope["path"] not in OPEN_PATHS:
            kind, _, given = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.token):
                raise Unauthorized(
                    "Authorization: expected `Bearer` and the server's token.", headers={"WWW-Authenticate": "Bearer"}
                )

    def _limit(self, path: str, method: str, headers: Headers) -> tuple[str, int]:
        """The name and value of the limit on this request's bytes."""
        limits = self.settings.limits
        if path in ("/v1/datasets", "/v1/datasets/preview"):
            if headers.get("content-type", "").startswith("application/json"):
                return "json_upload_bytes", limits.json_upload_bytes
            return "upload_bytes", limits.upload_bytes
        if path.endswith("/predict"):
            return "predict_bytes", limits.predict_bytes
        if path.endswith(("/inspect", "/check")):
            return "inspect_bytes", limits.inspect_bytes
        return "request_bytes", limits.request_bytes


def _check_length(headers: Headers, limit: tuple[str, int]) -> None:
    declared = headers.get("content-length")
    if declared is None:
        return
    if not declared.isdigit():
        raise BadRequest("Content-Length: expected a number of bytes.")
    if int(declared) > limit[1]:
        raise _too_large(limit)


def _counted(receive: Receive, limit: tuple[str, int]) -> Receive:
    """Receive that counts: a chunked body has no declared length, and a declared one may lie."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit[1]:
            raise _too_large(limit)
        return message

    return counting


def _too_large(limit: tuple[str, int]) -> TooLarge:
    name, maximum = limit
    return TooLarge(
        f"The body is larger than {maximum} bytes.", limit=name, maximum=maximum, headers={"Connection": "close"}
    )


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
