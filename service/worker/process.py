"""A worker process: it trains one attempt at one run, and ends."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from sqlalchemy.exc import DBAPIError

from engine.errors import EngineError
from service import logs
from service.domain import diagnoses
from service.processes import let_signals_in, limit_memory
from service.settings import Settings
from service.store import runs
from service.store.database import UNAVAILABLE, Database
from service.store.tables import Json
from service.worker.attempt import Attempt, CannotTrain, Fenced
from service.worker.rescue import TRY_AGAIN

log = logging.getLogger(__name__)

SPARE_BYTES = 512 * 1024 * 1024


def work(settings: Settings, run_id: str, attempt: int, memory_bytes: int, lifeline: Connection) -> None:
    """The whole life of a worker process. It ends at once when the supervisor, who holds the lifeline, is gone."""
    signals: list[int] = []  # no Event: a second signal within its `set` would wait for the first for ever
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the supervisor decides
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    let_signals_in()
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="lifeline", daemon=True).start()
    logs.configure(settings)
    room = 2 * memory_bytes + SPARE_BYTES
    limit_memory(room)
    database = Database(settings.database)
    try:
        reason = _failure(Attempt(settings, database, run_id, attempt, is_stopping=lambda: bool(signals)), run_id, room)
        if reason is not None:
            with database.write() as session:
                runs.end(session, run_id, attempt, "failed", reason)
        if settings.doctor:
            _look_back(settings, database, run_id, lambda: bool(signals))
    except Fenced:
        log.warning("run %s: attempt %d lost it to another worker or a user, and stops", run_id, attempt)
        raise SystemExit(TRY_AGAIN) from None
    except UNAVAILABLE:
        log.exception("run %s: the database could not be reached", run_id)
        raise SystemExit(TRY_AGAIN) from None
    finally:
        database.dispose()


def answer_later(settings: Settings, deferred_id: str, lifeline: Connection) -> None:
    """The whole life of a process that answers a deferred request."""
    from service.answering import work  # the whole API, which no other worker needs

    work(settings, deferred_id, lifeline)


def _failure(attempt: Attempt, run_id: str, room: int) -> Json | None:
    """Train; gives the reason of a run that failed. The text of an error that nobody foresaw stays in the log."""
    try:
        attempt.run()
    except (Fenced, *UNAVAILABLE):
        raise
    except MemoryError:
        return {"code": "out_of_memory", "detail": f"training needed more memory than the {room} bytes it may have"}
    except CannotTrain as error:
        return {"code": error.code, "detail": error.detail}
    except DBAPIError as error:
        log.exception("run %s: could not be stored", run_id)
        what = type(error.orig).__name__
        return {"code": "not_storable", "detail": f"the database refuses what was to be stored ({what}), so it is lost"}
    except Exception as error:
        log.exception("run %s: failed", run_id)
        text = f": {error}"[:500] if isinstance(error, EngineError) else "; its worker's log says more"
        return {"code": "internal_error", "detail": f"{type(error).__name__}{text}"}
    return None


def _look_back(settings: Settings, database: Database, run_id: str, is_stopping: Callable[[], bool]) -> None:
    """Let the doctor look at a run that has ended. Whatever happens here is no part of the run."""
    os.nice(10)
    try:
        diagnoses.at_end(settings, database, run_id, is_stopping)
    except Exception:
        log.exception("run %s: the doctor could not look at it", run_id)


def _end_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except (EOFError, OSError):
        os._exit(1)
