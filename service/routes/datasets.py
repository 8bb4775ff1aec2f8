"""Upload, list, look into and delete datasets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from engine.data import Options
from service.dependencies import (
    Cursor,
    DatabaseDep,
    DatasetId,
    FileOptions,
    Limit,
    MediaType,
    ReadSession,
    SettingsDep,
    WriteTurn,
)
from service.domain import datasets
from service.domain.ingestion import Parsed, parse
from service.errors import Unavailable
from service.forms import MEDIA_TYPE as FORM
from service.forms import FileForm
from service.ids import new_id
from service.problems import LOCATION, errors_of
from service.schemas.base import NO_NUL, PageBody
from service.schemas.datasets import DatasetBody, DatasetDetail, PreviewBody, ProfileBody, RowsBody, UsingRunBody
from service.settings import Settings
from service.store import datasets as store
from service.uploads import FILES, receive

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

LISTED_RUNS = 20
"""Of those that use a dataset, shown with it."""
UPLOAD = {"requestBody": {"required": True, "content": FILES}}


@router.post(
    "",
    status_code=201,
    responses={
        200: {
            "model": DatasetBody,
            "description": "The same bytes are known already; this is their dataset",
            **LOCATION,
        },
        201: LOCATION,
        **errors_of(400, 413, 415, 422, 507),
    },
    openapi_extra=UPLOAD,
)
async def create_dataset(
    request: Request,
    response: Response,
    media_type: MediaType,
    settings: SettingsDep,
    database: DatabaseDep,
    options: FileOptions,
    name: Annotated[
        str, Query(min_length=1, max_length=200, pattern=NO_NUL, description="What to call it.")
    ] = "dataset",
) -> DatasetBody:
    """Upload a table: CSV, JSON, Parquet, Arrow or NumPy's arrays, plain or compressed by gzip.

    It is streamed to the disk and hashed. How a CSV file is written and what its columns hold is found out by reading
    the whole of it, unless the query says so. The same bytes read in the same way give the dataset they made.
    """
    parsed, _, _ = await received(request, media_type, options, settings)
    async with request.app.state.turns["write"]:
        row, is_new = await run_in_threadpool(datasets.add, database, settings.data, parsed, name=name)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/v1/datasets/{row.id}"
    return DatasetBody.model_validate(row)


@router.post("/preview", responses=errors_of(400, 413, 415, 422, 507), openapi_extra=UPLOAD)
async def preview_dataset(
    request: Request, media_type: MediaType, options: FileOptions, settings: SettingsDep
) -> PreviewBody:
    """What a file holds: how it is written, the types of its columns, its first rows, warnings. Nothing is stored."""
    parsed, first_rows, _ = await received(request, media_type, options, settings)
    parsed.path.unlink(missing_ok=True)
    return PreviewBody(
        media_type=parsed.media_type,
        format=parsed.format,
        rows=parsed.rows,
        columns=[
            {**column, "warnings": parsed.profile["columns"][column["name"]]["warnings"]} for column in parsed.columns
        ],
        first_rows=first_rows,
        warnings=list(parsed.warnings),
        table_warnings=parsed.profile["warnings"],
    )


async def received(
    request: Request, media_type: str, options: Options, settings: Settings, *, is_page: bool = False
) -> tuple[Parsed, list[dict[str, object]], str]:
    """Stream the body to a file block by block, then let a process of its own parse it; gives the file's name, too.

    A page's form comes from a browser, which calls a type what its system does: the first bytes tell then.
    """
    source = settings.data / datasets.UPLOADS / new_id("upload")
    form = FileForm(request.headers["content-type"], trusts_types=not is_page) if media_type == FORM else None
    try:
        digest, size = await receive(request, source, form)
        media_type = form.media_type if form else media_type
        found = await _parsed(request, source, media_type, options, settings)
    finally:
        datasets.remove_upload(source)
    first_rows = found.pop("first_rows")
    name = form.file_name if form is not None and form.file_name else "dataset"
    return Parsed(sha256=digest, received_bytes=size, **found), first_rows, name


async def held(request: Request, settings: Settings) -> tuple[str, str, str]:
    """Receive the file of a page's form, to be looked at before it is kept; gives its id, media type and name."""
    await run_in_threadpool(datasets.drop_old_held, settings.data)
    source = settings.data / datasets.UPLOADS / new_id("held")
    form = FileForm(request.headers["content-type"], trusts_types=False)
    try:
        await receive(request, source, form)
    except BaseException:
        datasets.remove_upload(source)
        raise
    return source.name, form.media_type, form.file_name or "dataset"


async def read_held(
    request: Request, held_id: str, media_type: str, options: Options, settings: Settings
) -> tuple[Parsed, list[dict[str, object]]]:
    """What such a file holds, and its first rows. The file stays."""
    source = datasets.held(settings.data, held_id)
    found = await _parsed(request, source, media_type, options, settings)
    first_rows = found.pop("first_rows")
    digest, size = await run_in_threadpool(_hash, source)
    return Parsed(sha256=digest, received_bytes=size, **found), first_rows


def _hash(source: Path) -> tuple[str, int]:
    with source.open("rb") as file:
        return file_digest(file, "sha256").hexdigest(), source.stat().st_size


async def kept(request: Request, content: bytes, media_type: str, settings: Settings) -> Parsed:
    """The same of a file that is in memory, made here."""
    source = settings.data / datasets.UPLOADS / new_id("upload")
    try:
        await run_in_threadpool(source.write_bytes, content)
        found = await _parsed(request, source, media_type, Options(), settings)
    finally:
        datasets.remove_upload(source)
    found.pop("first_rows")
    return Parsed(sha256=sha256(content).hexdigest(), received_bytes=len(content), **found)


async def _parsed(
    request: Request, source: Path, media_type: str, options: Options, settings: Settings
) -> dict[str, Any]:
    target = source.with_name(f"{new_id('table')}{datasets.TABLE}")
    try:
        async with _ingest_turn(request, settings):
            found = await run_in_threadpool(
                parse, source, target, media_type=media_type, options=options, limits=settings.limits
            )
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return {"path": target, **found}


@asynccontextmanager
async def _ingest_turn(request: Request, settings: Settings) -> AsyncIterator[None]:
    """Wait for one of the few places where uploads are parsed; Unavailable where none comes free in time."""
    turns, maximum = request.app.state.turns["ingest"], settings.limits.parallel_ingests
    try:
        async with asyncio.timeout(settings.read_seconds):
            await turns.acquire()
    except TimeoutError as error:
        raise Unavailable(
            f"{maximum} uploads are being parsed, and no more are at once; try again.",
            code="too_many_uploads",
            limit="parallel_ingests",
            maximum=maximum,
            headers={"Retry-After": "10"},
        ) from error
    try:
        yield
    finally:
        turns.release()


@router.get("", responses=errors_of(400, 422))
def list_datasets(session: ReadSession, limit: Limit = 50, cursor: Cursor = None) -> PageBody[DatasetBody]:
    """Datasets, newest first."""
    page = datasets.listed(session, limit=limit, cursor=cursor)
    return PageBody(items=[DatasetBody.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.get("/{dataset_id}", responses=errors_of(404, 422))
def get_dataset(dataset_id: DatasetId, session: ReadSession) -> DatasetDetail:
    """One dataset: its columns, how many runs use it, and the newest of them."""
    body = DatasetBody.model_validate(datasets.get(session, dataset_id))
    newest = store.newest_runs(session, dataset_id, limit=LISTED_RUNS)
    return DatasetDetail(
        **body.model_dump(),
        run_count=store.run_count(session, dataset_id),
        runs=[UsingRunBody.model_validate(run) for run in newest],
    )


TargetName = Annotated[
    str | None,
    Query(min_length=1, max_length=500, pattern=NO_NUL, description="A column to learn: adds `target` to the answer."),
]


async def _turn_to_read(request: Request, target: TargetName = None) -> AsyncIterator[None]:
    """Wait for a turn where the table itself must be read."""
    if target is None:
        yield
        return
    async with request.app.state.turns["plan"]:
        yield


@router.get(
    "/{dataset_id}/profile",
    responses=errors_of(404, 422),
    response_model_exclude_unset=True,
    dependencies=[Depends(_turn_to_read, scope="function")],
)
def profile_dataset(
    dataset_id: DatasetId, database: DatabaseDep, settings: SettingsDep, target: TargetName = None
) -> ProfileBody:
    """What each column holds and what should be known of it and of the table: blanks, quantiles, duplicates, warnings.

    With `target` also how even its classes are, and how much each other column tells of it.
    """
    with database.read() as session:
        row = datasets.get(session, dataset_id)
    found = datasets.profile_of(row)
    if target is not None:
        found["target"] = datasets.target_of(settings.data, row, target)
    return ProfileBody.model_validate(found)


@router.get("/{dataset_id}/rows", responses=errors_of(404, 422))
def list_rows(
    dataset_id: DatasetId,
    session: ReadSession,
    settings: SettingsDep,
    offset: Annotated[int, Query(ge=0, le=10**12)] = 0,
    limit: Limit = 50,
) -> RowsBody:
    """Rows as they were read, in the file's order."""
    row = datasets.get(session, dataset_id)
    items = datasets.rows_of(settings.data, row, offset=offset, limit=limit)
    return RowsBody(items=items, offset=offset, total=row.rows)


@router.delete("/{dataset_id}", status_code=204, responses=errors_of(404, 409, 422, 507), dependencies=[WriteTurn])
def delete_dataset(
    dataset_id: DatasetId,
    database: DatabaseDep,
    settings: SettingsDep,
    force: Annotated[bool, Query(description="Delete the finished runs that use it as well.")] = False,
) -> None:
    """Delete a dataset. While runs use it, 409 names them."""
    with database.write() as session:
        datasets.delete(session, dataset_id, force=force)
    datasets.remove_file(settings.data, dataset_id)
