"""Numbers for Prometheus."""

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.responses import PlainTextResponse

from service.dependencies import ReadSession
from service.metrics import REGISTRY
from service.problems import errors_of
from service.routes.health import FRESH_SECONDS
from service.store import runs, workers

router = APIRouter(prefix="/metrics", tags=["about"])


@router.get("", response_class=PlainTextResponse, responses=errors_of())
def get_metrics(session: ReadSession) -> PlainTextResponse:
    """Requests and their seconds by route, runs by status, workers seen lately, as Prometheus reads them."""
    now = CollectorRegistry()
    by_status = Gauge("chainrule_runs", "Runs in each status.", ["status"], registry=now)
    for status, count in runs.counts(session).items():
        by_status.labels(status).set(count)
    fresh = workers.fresh(session, within_seconds=FRESH_SECONDS)
    Gauge("chainrule_workers", "Supervisors of workers seen lately.", registry=now).set(len(fresh))
    return PlainTextResponse(generate_latest(REGISTRY) + generate_latest(now), media_type="text/plain; version=0.0.4")
