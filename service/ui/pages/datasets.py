"""Pages of datasets: what was brought, and what is in it."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from engine.data import Options
from service.dependencies import Cursor, DatabaseDep, DatasetId, MediaType, ReadSession, SettingsDep
from service.domain import datasets
from service.routes.datasets import received
from service.store import datasets as dataset_store
from service.ui import charts
from service.ui.pages.common import IN_FILES, LISTED, there
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/datasets")
def list_datasets_page(request: Request, session: ReadSession, cursor: Cursor = None) -> Response:
    """Every dataset, and a place to bring one."""
    page = datasets.listed(session, limit=LISTED, cursor=cursor)
    return render(
        request, "datasets.html", here="list_datasets_page", datasets=page.items, next_cursor=page.next_cursor
    )


@router.post("/datasets", openapi_extra=IN_FILES)
async def upload_page(
    request: Request, media_type: MediaType, settings: SettingsDep, database: DatabaseDep
) -> Response:
    """Take a file, and show what is in it."""
    parsed, _, name = await received(request, media_type, Options(), settings, is_page=True)
    async with request.app.state.turns["write"]:
        row, _ = await run_in_threadpool(datasets.add, database, settings.data, parsed, name=name)
    return there(request, "dataset_page", dataset_id=row.id)


SHOWN_COLUMNS, SHOWN_ROWS = 24, 12


@router.get("/datasets/{dataset_id}")
def dataset_page(request: Request, dataset_id: DatasetId, session: ReadSession, settings: SettingsDep) -> Response:
    """What a dataset holds."""
    row = datasets.get(session, dataset_id)
    profile = datasets.profile_of(row)
    columns = [{"name": name, **_column(name, each)} for name, each in profile["columns"].items()]
    names = [column["name"] for column in columns]
    told = [*row.warnings, *profile["warnings"], *(text for column in columns for text in column["warnings"])]
    return render(
        request,
        "dataset.html",
        here="",
        row=row,
        run_count=dataset_store.run_count(session, dataset_id),
        warnings=told[:100],
        columns=columns,
        shown=names[:SHOWN_COLUMNS],
        hidden_columns=len(names[SHOWN_COLUMNS:]),
        first_rows=datasets.rows_of(settings.data, row, offset=0, limit=SHOWN_ROWS),
    )


def _column(name: str, profile: Mapping[str, Any]) -> dict[str, Any]:
    found = profile.get("histogram")
    chart = charts.small_histogram(found["counts"], title=f"how {name} is spread") if found else None
    quartiles = profile.get("quartiles") or (None, None, None)
    return {
        **profile,
        "chart": chart,
        "median": quartiles[1],
        "top": profile.get("top", []),
        "minimum": profile.get("minimum"),
        "maximum": profile.get("maximum"),
    }
