"""The page of the system: who trains, what waits, and how much room there is."""

import shutil

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine import __version__
from service.dependencies import DatabaseDep, ReadSession, SettingsDep
from service.store import runs, workers
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)

FRESH_SECONDS = 10.0
"""A worker that wrote nothing for so long is taken for gone."""


@router.get("/system")
def system_page(request: Request, session: ReadSession, database: DatabaseDep, settings: SettingsDep) -> Response:
    """Versions, workers, the queue and the disk."""
    name = f"SQLite {database.sqlite_version}" if database.is_sqlite else database.url.get_backend_name()
    return render(
        request,
        "system.html",
        here="system_page",
        version=__version__,
        numpy=np.__version__,
        database=name,
        folder=settings.data.resolve(),
        free=shutil.disk_usage(settings.data).free,
        counts=runs.counts(session),
        workers=workers.fresh(session, within_seconds=FRESH_SECONDS),
    )
