"""Health."""

from typing import Literal

from service.schemas.base import Body


class LiveBody(Body):
    """The process answers."""

    status: Literal["ok"]
    version: str


class WorkerBody(Body):
    """A supervisor of worker processes, seen lately."""

    id: str
    host: str
    pid: int


class ReadyBody(Body):
    """The database can be written, and somebody claims runs."""

    status: Literal["ready"]
    database: str
    workers: list[WorkerBody]
