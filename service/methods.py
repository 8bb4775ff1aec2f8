"""Methods: HEAD wherever there is GET, and all that an address answers, for `Allow`. The router knows neither."""

from fastapi import Request
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Head:
    """Answers HEAD as GET without the body. Where that is a stream it stays refused, for it has no end to wait for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        if not is_head or "text/event-stream" in Headers(scope=scope).get("accept", ""):
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, without_body)


def allowed_methods(request: Request) -> str:
    """Every method of the request's address, whichever route answers it."""

    def is_answered(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    found = [method for method in METHODS if is_answered(method)]
    return ", ".join([*found, *(["HEAD"] if "GET" in found else [])])
