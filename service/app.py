"""The application: routes, the door in front of them, and one way to say what went wrong."""

import mimetypes
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from engine import __version__
from service import problems
from service.dependencies import Deferred, OnlyWhatIsNamed
from service.domain.predictions import Predictors
from service.methods import Head
from service.metrics import Measure
from service.routes import (
    about,
    checkpoints,
    datasets,
    deferred,
    diagnoses,
    evaluations,
    events,
    explanations,
    health,
    histograms,
    influences,
    inspections,
    layers,
    limits,
    losses,
    metrics,
    predictions,
    quantities,
    rankings,
    runs,
    splits,
    steps,
    timelines,
    watchpoints,
)
from service.security import Door
from service.settings import Settings
from service.store.database import Database
from service.ui import pages
from service.ui.rendering import STATIC

ROUTERS = (
    datasets.router,
    runs.router,
    losses.router,
    events.router,
    checkpoints.router,
    predictions.router,
    splits.router,
    evaluations.router,
    inspections.router,
    quantities.router,
    steps.router,
    timelines.router,
    histograms.router,
    watchpoints.router,
    deferred.router,
    explanations.router,
    influences.router,
    diagnoses.router,
    diagnoses.catalogue,
    rankings.router,
    layers.router,
    health.router,
    limits.router,
    metrics.router,
    about.router,
    *pages.ROUTERS,
)

mimetypes.add_type("text/javascript", ".js")  # which some systems take for plain text, and browsers then refuse

PREDICTION_THREADS = 8
_CORES = max(2, os.cpu_count() or 1)
TURNS = {"write": 8, "plan": _CORES, "inspect": _CORES, "stretch": _CORES}
"""How many requests may at once wait for the database's write lock, fit a run's data, look into a network, predict a
stretch of a file."""

DESCRIPTION = """\
Train neural networks over HTTP, and see every gradient.

Post a dataset, start a run on it, follow its losses, ask for predictions, and look at Z, A, dZ, dA, dW and db of every
layer at any stored moment. Every error is `application/problem+json` (RFC 9457) with a stable `code`.
"""


async def _deferred(request: Request, found: Exception) -> Response:
    """202 for a request that is answered later."""
    if not isinstance(found, Deferred):
        raise found
    headers = {"Location": f"/v1/inspections/{found.id}", "Preference-Applied": "respond-async"}
    return Response(found.content, 202, headers, "application/json")


def create_app(settings: Settings, database: Database) -> FastAPI:
    """The API over this database. `app.state.stopping` ends open streams; `app.state.on_started` is called once up."""
    app = FastAPI(
        title="Chainrule",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
        redirect_slashes=False,
        dependencies=[OnlyWhatIsNamed],
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.database = settings, database
    app.state.stopping = threading.Event()
    app.state.on_started = lambda: None
    app.state.predictors, app.state.prediction_threads = Predictors(), CapacityLimiter(PREDICTION_THREADS)
    turns = TURNS | {"ingest": settings.limits.parallel_ingests}
    app.state.turns = {kind: CapacityLimiter(number) for kind, number in turns.items()}
    problems.install(app)
    app.add_exception_handler(Deferred, _deferred)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC, packages=[("fastapi_offline", "static")]), name="static")
    app.add_middleware(Door, settings=settings)
    app.add_middleware(Measure)
    app.add_middleware(Head)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.on_started()
    yield
    app.state.stopping.set()


def _operation_id(route: APIRoute) -> str:
    """The function's own name, so that generated clients read well."""
    return route.name
