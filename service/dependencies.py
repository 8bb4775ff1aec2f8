"""What routes ask for in their signatures."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from sqlalchemy.orm import Session

from service.schemas.base import NO_NUL
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

DatasetId = Annotated[str, Path(examples=["ds_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
RunId = Annotated[str, Path(examples=["run_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
CheckpointId = Annotated[str, Path(examples=["ckpt_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=500, description="Where the last page ended: its `next_cursor`.")]
