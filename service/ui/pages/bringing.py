"""Pages that bring a file: at once, or after a look at how it is read, which can be mended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from engine.data import ANY, ENCODINGS, READERS, Options
from engine.data.schema import ColumnType
from engine.errors import EngineError
from service.dependencies import DatabaseDep, MediaType, SettingsDep
from service.domain import datasets
from service.domain.ingestion import Parsed
from service.errors import Problem, Unprocessable
from service.problems import problem_of
from service.routes.datasets import held, kept, read_held, received
from service.samples import SAMPLES
from service.schemas.base import NO_NUL
from service.settings import Settings
from service.store.database import Database
from service.store.tables import DatasetRow
from service.ui.pages.common import IN_FILES, IN_FORMS, Form, checked, there
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

TYPES: tuple[str, ...] = get_args(ColumnType)
SHOWN_COLUMNS, SHOWN_ROWS = 200, 8
CHANGED = 500
"""So many columns' types can be said."""


@dataclass(frozen=True)
class Reading:
    """How a file is to be read; what is empty is found out. All of it is in the page's address."""

    name: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "dataset"
    media: Annotated[str, Query(max_length=100)] = ANY
    delimiter: Annotated[str, Query(max_length=10)] = ""
    decimal: Annotated[str, Query(pattern="^[.,]?$")] = ""
    encoding: Annotated[str, Query(max_length=20)] = ""
    header: Annotated[str, Query(pattern="^(true|false)?$")] = ""
    na: Annotated[str, Query(max_length=1_000)] = ""
    """More spellings of a blank, with commas between."""
    type: Annotated[list[str], Query(max_length=CHANGED)] = ()  # type: ignore[assignment]
    """`text:zip`, a column's type before its name."""

    @property
    def types(self) -> dict[str, ColumnType]:
        """Of the columns whose type is said."""
        said = (each.partition(":") for each in self.type)
        return {name: kind for kind, _, name in said if kind in TYPES}  # type: ignore[misc]

    @property
    def options(self) -> Options:
        """The same for the reader."""
        return Options(
            delimiter={"tab": "\t"}.get(self.delimiter, self.delimiter) or None,
            decimal=self.decimal or None,
            encoding=self.encoding if self.encoding in ENCODINGS else None,
            header={"true": True, "false": False}.get(self.header),
            na=tuple(part.strip() for part in self.na.split(",") if part.strip()),
            types=self.types,
        )


@router.post("/datasets", openapi_extra=IN_FILES)
async def upload_page(
    request: Request, media_type: MediaType, settings: SettingsDep, database: DatabaseDep
) -> Response:
    """Take a file, and show what is in it."""
    row = await uploaded(request, media_type, settings, database)
    return there(request, "dataset_page", dataset_id=row.id)


async def uploaded(request: Request, media_type: str, settings: Settings, database: Database) -> DatasetRow:
    """The dataset of the file in a page's form."""
    parsed, _, name = await received(request, media_type, Options(), settings, is_page=True)
    return await _added(request, settings, database, parsed, name)


async def brought(request: Request, settings: Settings, database: Database, content: bytes, *, name: str) -> DatasetRow:
    """The dataset of a CSV file that was made here, or that comes along; it is made once."""
    parsed = await kept(request, content, "text/csv", settings)
    return await _added(request, settings, database, parsed, name)


async def _added(request: Request, settings: Settings, database: Database, parsed: Parsed, name: str) -> DatasetRow:
    async with request.app.state.turns["write"]:
        row, _ = await run_in_threadpool(datasets.add, database, settings.data, parsed, name=name)
    return row


@router.post("/samples", openapi_extra=IN_FORMS)
async def bring_sample(request: Request, form: Form, settings: SettingsDep, database: DatabaseDep) -> Response:
    """Bring a bundled table, and go on to learn what it is worth learning of."""
    sample = SAMPLES.get(form.get("sample", ""))
    if sample is None:
        raise Unprocessable(f"sample: expected one of {', '.join(SAMPLES)}.")
    row = await brought(request, settings, database, sample.content(), name=sample.name)
    return there(request, "new_run_page", query={"dataset": row.id, "target": sample.target})


@router.post("/files", openapi_extra=IN_FILES)
async def hold_file(request: Request, settings: SettingsDep) -> Response:
    """Take a file to look at, which is not yet kept."""
    held_id, media, name = await held(request, settings)
    return there(request, "look_page", held_id=held_id, query={"name": name, "media": media})


@router.get("/files/{held_id}")
async def look_page(
    request: Request, held_id: str, settings: SettingsDep, reading: Annotated[Reading, Depends(Reading)]
) -> Response:
    """How a file is read, and its first rows; what is wrong can be said."""
    try:
        parsed, first_rows = await read_held(request, held_id, _media(reading), reading.options, settings)
    except EngineError as error:
        return _look(request, held_id, reading, problem=problem_of(error))
    except Problem as error:
        if error.status == 404:
            raise
        return _look(request, held_id, reading, problem=error)
    parsed.path.unlink(missing_ok=True)
    told = [*parsed.warnings, *(each["detail"] for each in parsed.profile["warnings"])]
    about = {"rows": parsed.rows, "format": parsed.format, "warnings": told}
    columns = [{**column, **parsed.profile["columns"][column["name"]]} for column in parsed.columns]
    return _look(request, held_id, reading, about=about, columns=columns, first_rows=first_rows[:SHOWN_ROWS])


def _look(
    request: Request,
    held_id: str,
    reading: Reading,
    *,
    about: Mapping[str, Any] | None = None,
    columns: list[dict[str, Any]] | None = None,
    first_rows: list[dict[str, object]] | None = None,
    problem: Problem | None = None,
) -> Response:
    return render(
        request,
        "look.html",
        code=200 if problem is None else problem.status,
        here="list_datasets_page",
        held_id=held_id,
        reading=reading,
        said=reading.types,
        types=TYPES,
        encodings=[*ENCODINGS],
        about=about,
        columns=(columns or [])[:SHOWN_COLUMNS],
        hidden=len((columns or [])[SHOWN_COLUMNS:]),
        first_rows=first_rows or [],
        problem=problem,
    )


@router.post("/files/{held_id}", openapi_extra=IN_FORMS)
async def keep_file(
    request: Request, held_id: str, form: Form, settings: SettingsDep, database: DatabaseDep
) -> Response:
    """Keep a file that was looked at, read as the form says."""
    said = await request.form()
    reading = checked(Reading, {**form, "type": [each for each in said.getlist("type") if each]})
    try:
        parsed, _ = await read_held(request, held_id, _media(reading), reading.options, settings)
    except EngineError as error:
        return _look(request, held_id, reading, problem=problem_of(error))
    row = await _added(request, settings, database, parsed, reading.name.strip() or "dataset")
    datasets.remove_upload(settings.data / datasets.UPLOADS / held_id)
    return there(request, "dataset_page", dataset_id=row.id)


def _media(reading: Reading) -> str:
    return reading.media if reading.media in READERS else ANY
