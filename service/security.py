"""The door: who may speak to the server, from where, and how much at once. Pure ASGI, in front of everything."""

import asyncio
import email.message
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.data import ENCODINGS, encoding_by_charset
from service.errors import (
    BadRequest,
    Fault,
    Forbidden,
    HeadersTooLarge,
    Parameter,
    Problem,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from service.problems import answer
from service.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/v1/health/live", "/v1/health/ready", "/login"})
"""Answered without a token: for load balancers, and to send it."""
STATIC_PATH = "/static/"
COOKIE = "chainrule"
"""By which a browser shows that it knows the token."""
API_PATH = b"/v1/"
UPLOAD_PATHS = frozenset({"/v1/datasets", "/v1/datasets/preview", "/datasets", "/files", "/playground/table"})
"""To which files are sent."""
PREDICT_PATH = "/predict"
"""The end of an address to which files are sent, or questions in JSON."""
JSON = "application/json"
TEXT_FILES = frozenset({"text/csv", "text/tab-separated-values"})
"""Which may be in any encoding that is known."""
CLOSE = {"Connection": "close"}


class Door:
    """Checks Host (against DNS rebinding), Origin (against other pages' scripts), token, size and encoding."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.token = settings.token.get_secret_value().encode() if settings.token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = self._path(scope)
        scope["path"], scope["root_path"] = self.settings.root_path + path, self.settings.root_path
        headers = Headers(scope=scope)
        limit = self._limit(path, headers)
        try:
            self._check(scope, path, headers)
            _check_encoding(path, headers)
            _check_length(headers, limit)
        except Problem as problem:
            if problem.status == Unauthorized.status and "text/html" in headers.get("accept", ""):
                await RedirectResponse(f"{scope.get('root_path', '')}/login", 303)(scope, receive, send)
                return
            await answer(problem, scope["path"])(scope, receive, send)
        else:
            await self._pass_on(scope, _Body(receive, limit, self.settings.read_seconds), send)

    async def _pass_on(self, scope: Scope, body: "_Body", send: Send) -> None:
        """Let the app answer, unless it did so only because the body broke off here: then say why it did.

        A server that stops cancels what takes too long; that too is an answer, and not an error of ours to be logged.
        """
        has_started = False

        async def answering(message: Message) -> None:
            nonlocal has_started
            if has_started or body.problem is None:
                has_started = True
                await send(self._rooted(message))

        try:
            await self.app(scope, body.receive, answering)
        except asyncio.CancelledError:
            if has_started:
                raise
            stopping = Unavailable("The server stops; try again once it is back.", code="stopping", headers=CLOSE)
            await answer(stopping, scope["path"])(scope, body.receive, send)
            return
        if body.problem is not None and not has_started:
            await answer(body.problem, scope["path"])(scope, body.receive, send)

    def _rooted(self, message: Message) -> Message:
        """An answer whose Location is an address under the root."""
        if not self.settings.root_path or message["type"] != "http.response.start":
            return message
        root = self.settings.root_path.encode()
        headers = [
            (name, root + value if name == b"location" and value.startswith(API_PATH) else value)
            for name, value in message["headers"]
        ]
        return {**message, "headers": headers}

    def _path(self, scope: Scope) -> str:
        """The address within the application, whether a proxy in front of it took the root off or left it."""
        root, path = self.settings.root_path, str(scope["path"])
        return path.removeprefix(root) if root and path.startswith(f"{root}/") else path

    def _check(self, scope: Scope, path: str, headers: Headers) -> None:
        self._check_headers(scope)
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
        is_open = path in OPEN_PATHS or path.startswith(STATIC_PATH)
        if self.token is not None and not is_open:
            kind, _, given = headers.get("authorization", "").partition(" ")
            is_bearer = kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token)
            cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
            if not is_bearer and not hmac.compare_digest(cookie.encode(), pass_of(self.token).encode()):
                raise Unauthorized(
                    "Authorization: expected `Bearer` and the server's token.", headers={"WWW-Authenticate": "Bearer"}
                )

    def _check_headers(self, scope: Scope) -> None:
        maximum = self.settings.limits.header_bytes
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > maximum:
            raise HeadersTooLarge(
                f"The address and the headers are larger than {maximum} bytes.", limit="header_bytes", maximum=maximum
            )

    def _limit(self, path: str, headers: Headers) -> tuple[str, int]:
        """The name and value of the limit on this request's bytes."""
        limits = self.settings.limits
        if path in UPLOAD_PATHS:
            if media_type_of(headers) == JSON:
                return "json_upload_bytes", limits.json_upload_bytes
            return "upload_bytes", limits.upload_bytes
        if path.endswith(PREDICT_PATH):
            if media_type_of(headers) == JSON:
                return "predict_bytes", limits.predict_bytes
            return "upload_bytes", limits.upload_bytes
        if path.endswith(("/inspect", "/check")):
            return "inspect_bytes", limits.inspect_bytes
        return "request_bytes", limits.request_bytes


def pass_of(token: bytes) -> str:
    """What the cookie holds of a browser that was told the token."""
    return hmac.new(token, b"chainrule page", "sha256").hexdigest()


def _check_encoding(path: str, headers: Headers) -> None:
    """A body comes as it is, in UTF-8: what is compressed would be larger than it is counted, but for files."""
    coding = headers.get("content-encoding", "").strip().lower() or "identity"
    is_file = path in UPLOAD_PATHS or (path.endswith(PREDICT_PATH) and media_type_of(headers) != JSON)
    known = ("identity", "gzip") if is_file else ("identity",)
    if coding not in known:
        raise _not_understood("Content-Encoding", known, coding)
    charset = charset_of(headers)
    charsets = tuple(ENCODINGS) if is_file and media_type_of(headers) in TEXT_FILES else ("utf-8",)
    if encoding_by_charset(charset) not in charsets:
        raise _not_understood("Content-Type", tuple(f"charset={name}" for name in charsets), f"charset={charset}")


def charset_of(headers: Headers) -> str:
    """Of a body; utf-8 where none is said."""
    content_type = email.message.Message()
    content_type["content-type"] = headers.get("content-type", "")
    return str(content_type.get_content_charset("utf-8"))


def _not_understood(header: str, expected: tuple[str, ...], got: str) -> UnsupportedMediaType:
    detail = f"expected {' or '.join(expected)}, got {got[:60]}"
    fault = Fault(Parameter("header", header), UnsupportedMediaType.code, detail, expected)
    return UnsupportedMediaType(f"{header}: {detail}.", errors=[fault])


def _check_length(headers: Headers, limit: tuple[str, int]) -> None:
    declared = headers.get("content-length")
    if declared is None:
        return
    if not declared.isdigit():
        raise BadRequest("Content-Length: expected a number of bytes.")
    if int(declared) > limit[1]:
        raise _too_large(limit)


class _Body:
    """A request's body as it comes: counted, as a declared length may lie or be absent, and with a bound on waiting.

    Where it bursts a bound it ends as if the client had gone, and `problem` says why.
    """

    def __init__(self, receive: Receive, limit: tuple[str, int], seconds: float) -> None:
        self.problem: Problem | None = None
        self._receive, self._limit, self._seconds = receive, limit, seconds
        self._received, self._is_whole = 0, False

    async def receive(self) -> Message:
        """The next message."""
        if self._is_whole:  # what comes now is that the client goes, and may take as long as the answer
            return await self._receive()
        try:
            async with asyncio.timeout(self._seconds):
                message = await self._receive()
        except TimeoutError:
            return self._broken(
                BadRequest(f"The body stood still for {self._seconds:g} seconds.", code="read_timeout", headers=CLOSE)
            )
        self._is_whole = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        return self._broken(_too_large(self._limit)) if self._received > self._limit[1] else message

    def _broken(self, problem: Problem) -> Message:
        self.problem, self._is_whole = problem, True
        return {"type": "http.disconnect"}


def _too_large(limit: tuple[str, int]) -> TooLarge:
    name, maximum = limit
    return TooLarge(f"The body is larger than {maximum} bytes.", limit=name, maximum=maximum, headers=CLOSE)


def media_type_of(headers: Headers) -> str:
    """The Content-Type without its parameters, which is the same in capitals; empty if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
