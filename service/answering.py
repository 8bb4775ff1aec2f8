"""Answering later: a process that asks the API, within itself, what a deferred request asked, and stores the answer."""

import asyncio
import logging
import os
import signal
import threading
from multiprocessing.connection import Connection

import httpx

from service import logs
from service.app import create_app
from service.processes import let_signals_in
from service.settings import Settings
from service.store import deferred
from service.store.database import Database
from service.store.tables import DeferredRow, Json

log = logging.getLogger(__name__)

KEPT_HEADERS = ("content-type", "content-disposition", "chainrule-checkpoint", "chainrule-warnings")


def work(settings: Settings, deferred_id: str, lifeline: Connection) -> None:
    """The whole life of the process. It ends at once when the supervisor, who holds the lifeline, is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    let_signals_in()
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="lifeline", daemon=True).start()
    logs.configure(settings)
    limits = settings.limits.model_copy(update={"replay_seconds": settings.limits.deferred_seconds})
    settings = settings.model_copy(update={"limits": limits})
    database = Database(settings.database)
    try:
        with database.read() as session:
            row = session.get(DeferredRow, deferred_id)
        if row is None:
            return
        status, headers, content = asyncio.run(_answer(settings, database, row))
        with database.write() as session:
            deferred.finish(session, deferred_id, status=status, headers=headers, content=content)
    finally:
        database.dispose()


async def _answer(settings: Settings, database: Database, row: DeferredRow) -> tuple[int, Json, bytes]:
    headers = dict(row.headers)
    if settings.token is not None:
        headers["authorization"] = f"Bearer {settings.token.get_secret_value()}"
    transport = httpx.ASGITransport(create_app(settings, database), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        found = await client.request(row.method, row.address, headers=headers, content=row.body or None)
    kept = {name: found.headers[name] for name in KEPT_HEADERS if name in found.headers}
    return found.status_code, kept, found.content


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
