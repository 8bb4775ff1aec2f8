"""What routes ask for in their signatures."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Header, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy.orm import Session

from engine.data import ENCODINGS, Options, encoding_by_charset
from engine.data.schema import ColumnType
from service.domain import deferred
from service.errors import Fault, Parameter, Unprocessable, UnsupportedMediaType
from service.problems import path_in
from service.schemas.base import NO_NUL
from service.schemas.deferred import DeferredBody
from service.security import TEXT_FILES, charset_of, media_type_of
from service.settings import Limits, Settings
from service.store.database import Database
from service.store.tables import DeferredRow


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


async def _media_type(request: Request) -> str:  # not in a thread: every request asks
    return media_type_of(request.headers)


MediaType = Annotated[str, Depends(_media_type)]


async def _only_what_is_named(request: Request, kind: MediaType) -> None:
    """Refuse query parameters, and a body of another media type, that the route does not name. Not in a thread."""
    route: APIRoute = request.scope["route"]
    known = tuple(dict.fromkeys(_query_names(route.dependant)))
    if unknown := [name for name in request.query_params if name not in known]:
        detail = f"there is no such query parameter; expected {', '.join(known) or 'none'}"
        faults = [Fault(Parameter("query", name[:60]), "extra_forbidden", detail, known) for name in unknown]
        raise Unprocessable(f"{unknown[0][:60]}: {detail}.", errors=faults)
    kinds = _media_types(route)
    if kinds and kind not in kinds and (kind or _has_body(request) or not _may_be_left_out(route)):
        detail = f"expected {' or '.join(kinds)}, got {kind[:60] or 'none'}"
        fault = Fault(Parameter("header", "Content-Type"), UnsupportedMediaType.code, detail, kinds)
        raise UnsupportedMediaType(f"Content-Type: {detail}.", errors=[fault])


def _query_names(dependant: Dependant) -> Iterator[str]:
    """The query parameters of a route and of what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for each in dependant.dependencies:
        yield from _query_names(each)


def _has_body(request: Request) -> bool:
    """By its headers: RFC 9112, 6.3."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def _may_be_left_out(route: APIRoute) -> bool:
    """Whether a request without any body will do."""
    return route.body_field is not None and not route.body_field.field_info.is_required()


def _media_types(route: APIRoute) -> tuple[str, ...]:
    """What a body may be sent as; nothing where the route takes none."""
    written = (route.openapi_extra or {}).get("requestBody")
    if written is not None:
        return tuple(written["content"])
    return ("application/json",) if route.body_field is not None else ()


OnlyWhatIsNamed = Depends(_only_what_is_named)
"""Of every route: what its documentation does not name is refused, not ignored."""

# What is said of an uploaded file ------------------------------------------------------------------------------------

Text = Annotated[str, Field(max_length=500, pattern=NO_NUL)]
TYPES: TypeAdapter[Mapping[str, ColumnType]] = TypeAdapter(dict[Text, ColumnType])
NA: TypeAdapter[Iterable[str]] = TypeAdapter(Annotated[list[Text], Field(max_length=100)])
ValueT = TypeVar("ValueT")


def _row_options(
    request: Request,
    delimiter: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=1,
            pattern=r"^[\t !#-/:-@\[-`{-~]$",
            description="What separates a CSV file's cells: a tab, a space or a punctuation mark, but no quote.",
        ),
    ] = None,
    encoding: Annotated[
        str | None, Query(description="A CSV file's encoding.", json_schema_extra={"enum": [*ENCODINGS]})
    ] = None,
    header: Annotated[bool | None, Query(description="Whether a CSV file's first row names its columns.")] = None,
    decimal: Annotated[
        Literal[".", ","] | None, Query(description="What stands before the decimals in a CSV file.")
    ] = None,
    na: Annotated[
        str | None,
        Query(max_length=1_000, description="More spellings of a blank, as a JSON list.", examples=['["?", "-"]']),
    ] = None,
    na_only: Annotated[
        bool, Query(description="Whether the spellings in `na` are all there are, beside the empty cell.")
    ] = False,
) -> Options:
    if encoding is not None and encoding.lower() not in ENCODINGS:
        raise _bad_option("encoding", f"expected one of {', '.join(ENCODINGS)}, got another", tuple(ENCODINGS))
    return Options(
        delimiter=delimiter,
        encoding=encoding.lower() if encoding else _encoding_said(request),
        header=header,
        decimal=decimal,
        na=tuple(_json_option("na", na or "[]", NA, "a list of at most 100 texts")),
        na_only=na_only,
        is_compressed=request.headers.get("content-encoding", "").strip().lower() == "gzip",
    )


def _encoding_said(request: Request) -> str | None:
    """That of the charset beside a text file's type. utf-8 is said of everything, so it says nothing."""
    said = encoding_by_charset(charset_of(request.headers))
    return None if said == "utf-8" or media_type_of(request.headers) not in TEXT_FILES else said


RowOptions = Annotated[Options, Depends(_row_options)]
"""What a user says of a file whose rows are to be predicted."""


def _file_options(
    options: RowOptions,
    types: Annotated[
        str | None,
        Query(
            max_length=4_000,
            description="Columns' types, as a JSON object by name.",
            examples=['{"zip": "text", "when": "datetime"}'],
        ),
    ] = None,
) -> Options:
    return replace(options, types=_json_option("types", types or "{}", TYPES, "an object of column types by name"))


def _json_option(name: str, text: str, kind: TypeAdapter[ValueT], expected: str) -> ValueT:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{str(first['loc'][0])[:60]}: " if first["loc"] else ""
        raise _bad_option(name, f"expected {expected}, in JSON; {where}{first['msg']}") from error


def _bad_option(name: str, detail: str, allowed: tuple[str, ...] | None = None) -> Unprocessable:
    return Unprocessable(f"{name}: {detail}", errors=[Fault(Parameter("query", name), "invalid", detail, allowed)])


FileOptions = Annotated[Options, Depends(_file_options)]
"""What a user says of a file that is uploaded."""

# Answered later ------------------------------------------------------------------------------------------------------


class Deferred(Exception):  # noqa: N818 - not an error: the request is answered later
    """A request that was put into the queue: its place there, as JSON."""

    def __init__(self, row: DeferredRow) -> None:
        super().__init__(row.id)
        self.id, self.content = row.id, DeferredBody.of(row).model_dump_json()


async def _deferrable(
    request: Request,
    database: DatabaseDep,
    limits: LimitsDep,
    prefer: Annotated[
        str | None, Header(max_length=200, description="`respond-async`: 202 at once, and the answer later.")
    ] = None,
) -> None:
    """Put a request that prefers so into the queue, and end it. Its body was read before."""
    if prefer is None or "respond-async" not in {part.strip().lower() for part in prefer.split(",")}:
        return
    query = f"?{request.url.query}" if request.url.query else ""
    asked = {
        "method": request.method,
        "address": path_in(request) + query,
        "headers": dict(request.headers),
        "body": await request.body(),
    }
    raise Deferred(await run_in_threadpool(_defer, database, limits, asked))


def _defer(database: Database, limits: Limits, asked: dict[str, Any]) -> DeferredRow:
    with database.write() as session:
        return deferred.add(session, limits, **asked)


Deferrable = Depends(_deferrable)
"""Of routes whose answers may take long."""
LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": DeferredBody, "description": "It is answered later, as `Prefer: respond-async` asked."}
}
"""For the `responses=` of these."""

# Names in addresses --------------------------------------------------------------------------------------------------

DatasetId = Annotated[str, Path(examples=["ds_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
RunId = Annotated[str, Path(examples=["run_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
CheckpointId = Annotated[str, Path(examples=["ckpt_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=500, description="Where the last page ended: its `next_cursor`.")]
