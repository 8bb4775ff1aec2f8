"""Whether the process lives, and whether it can do its work."""

from fastapi import APIRouter

from engine import __version__
from service.dependencies import DatabaseDep, ReadSession
from service.errors import Unavailable
from service.problems import errors_of
from service.schemas.health import LiveBody, ReadyBody, WorkerBody
from service.store import workers

router = APIRouter(prefix="/v1/health", tags=["about"])

FRESH_SECONDS = 10.0


@router.get("/live", responses=errors_of())
async def get_live() -> LiveBody:
    """The process answers, whatever its threads wait for."""
    return LiveBody(status="ok", version=__version__)


@router.get("/ready", responses=errors_of())
def get_ready(session: ReadSession, database: DatabaseDep) -> ReadyBody:
    """A worker wrote its heartbeat to the database within ten seconds; otherwise 503."""
    found = workers.fresh(session, within_seconds=FRESH_SECONDS)
    if not found:
        raise Unavailable("No worker wrote its heartbeat to the database within 10 seconds.", code="no_worker")
    return ReadyBody(
        status="ready",
        database=f"SQLite {database.sqlite_version}" if database.is_sqlite else database.url.get_backend_name(),
        workers=[WorkerBody.model_validate(worker) for worker in found],
    )
