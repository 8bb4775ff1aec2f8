"""What routes ask for in their signatures."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session

from service.errors import Fault, Parameter, Unprocessable, UnsupportedMediaType
from service.schemas.base import NO_NUL
from service.security import media_type_of
from service.settings import Limits, Settings
from service.store.database import Database


def _settings(request: Request) -> Settings:
    return request.app.state.settings  # type: ignore[no-any-return]


def _limits(request: Request) -> Limits:
    return request.app.state.settings.limits  # type: ignore[no-any-return]


def _database(request: Request) -> Database:
    return request.app.state.database  # type: ignore[no-any-return]


DatabaseDep = Annotated[Database, Depends(_database)]
SettingsDep = Annotated[Settings, Depends(_settings)]
LimitsDep = Annotated[Limits, Depends(_limits)]


def _reading(database: DatabaseDep) -> Iterator[Session]:
    with database.read() as session:
        yield session


def _turn(name: str) -> Any:
    async def wait(request: Request) -> AsyncIterator[None]:
        async with request.app.state.turns[name]:
            yield

    return Depends(wait, scope="function")


WriteTurn, PlanTurn, InspectTurn = _turn("write"), _turn("plan"), _turn("inspect")
"""A few requests of a kind at once: the others wait on the event loop, where they take no thread from readers."""


def _writing(database: DatabaseDep, _turn: Annotated[None, WriteTurn]) -> Iterator[Session]:
    with database.write() as session:
        yield session


ReadSession = Annotated[Session, Depends(_reading, scope="function")]
"""A transaction that only reads."""
WriteSession = Annotated[Session, Depends(_writing, scope="function")]
"""A transaction that writes, committed before the answer leaves."""


def _media_type(request: Request) -> str:
    return media_type_of(request.headers)


MediaType = Annotated[str, Depends(_media_type)]


async def _only_what_is_named(request: Request, kind: MediaType) -> None:
    """Refuse query parameters, and a body of another media type, that the route does not name. Not in a thread."""
    route: APIRoute = request.scope["route"]
    known = tuple(field.alias for field in route.dependant.query_params)
    if unknown := [name for name in request.query_params if name not in known]:
        detail = f"there is no such query parameter; expected {', '.join(known) or 'none'}"
        faults = [Fault(Parameter("query", name[:60]), "extra_forbidden", detail, known) for name in unknown]
        raise Unprocessable(f"{unknown[0][:60]}: {detail}.", errors=faults)
    kinds = _media_types(route)
    if kinds and kind not in kinds:
        detail = f"expected {' or '.join(kinds)}, got {kind[:60] or 'none'}"
        fault = Fault(Parameter("header", "Content-Type"), UnsupportedMediaType.code, detail, kinds)
        raise UnsupportedMediaType(f"Content-Type: {detail}.", errors=[fault])


def _media_types(route: APIRoute) -> tuple[str, ...]:
    """What a body may be sent as; nothing where the route takes none."""
    written = (route.openapi_extra or {}).get("requestBody")
    if written is not None:
        return tuple(written["content"])
    return ("application/json",) if route.body_field is not None else ()


OnlyWhatIsNamed = Depends(_only_what_is_named)
"""Of every route: what its documentation does not name is refused, not ignored."""

DatasetId = Annotated[str, Path(examples=["ds_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
RunId = Annotated[str, Path(examples=["run_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
CheckpointId = Annotated[str, Path(examples=["ckpt_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=500, description="Where the last page ended: its `next_cursor`.")]
