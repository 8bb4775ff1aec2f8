"""Health."""

from typing import Literal

from service.schemas.base import Body, example


class LiveBody(Body):
    """The process answers."""

    model_config = example({"status": "ok", "version": "0.1.0"})

    status: Literal["ok"]
    version: str


class WorkerBody(Body):
    """A supervisor of worker processes, seen lately."""

    id: str
    host: str
    pid: int


class ReadyBody(Body):
    """The database can be written, and somebody claims runs."""

    model_config = example(
        {
            "status": "ready",
            "database": "SQLite 3.53.4",
            "workers": [{"id": "worker_0193d2f4c1a09f86d081884c7d65", "host": "localhost", "pid": 4711}],
        }
    )

    status: Literal["ready"]
    database: str
    workers: list[WorkerBody]
