"""A worker process: it trains one attempt at one run, and ends."""

import logging
import os
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from service import logs
from service.processes import limit_memory
from service.settings import Settings
from service.store import runs
from service.store.database import Database
from service.worker.attempt import Attempt, Fenced
from service.worker.rescue import TRY_AGAIN

log = logging.getLogger(__name__)

SPARE_BYTES = 512 * 1024 * 1024


def work(settings: Settings, run_id: str, attempt: int, memory_bytes: int, lifeline: Connection) -> None:
    """The whole life of a worker process. It ends at once when the supervisor, who holds the lifeline, is gone."""
    stopping = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="lifeline", daemon=True).start()
    logs.configure(settings)
    limit_memory(2 * memory_bytes + SPARE_BYTES)
    database = Database(settings.database)
    try:
        Attempt(settings, database, run_id, attempt, stopping=stopping).run()
    except Fenced:
        log.warning("run %s: attempt %d lost it to another worker or a user, and stops", run_id, attempt)
    except MemoryError:
        detail = f"training needed more memory than the {2 * memory_bytes + SPARE_BYTES} bytes it may have"
        _fail(database, run_id, attempt, {"code": "out_of_memory", "detail": detail})
    except SQLAlchemyError:
        log.exception("run %s: the database could not be reached", run_id)
        raise SystemExit(TRY_AGAIN) from None
    except Exception as error:
        log.exception("run %s: failed", run_id)
        _fail(database, run_id, attempt, {"code": "internal_error", "detail": f"{type(error).__name__}: {error}"[:500]})
    finally:
        database.dispose()


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)


def _fail(database: Database, run_id: str, attempt: int, reason: dict[str, Any]) -> None:
    with database.write() as session:
        runs.end(session, run_id, attempt, "failed", reason)
