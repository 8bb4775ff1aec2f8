"""What the service's tests stand on: a migrated SQLite file, the API in this process, servers as real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from service import folder
from service.app import create_app
from service.client import Client
from service.domain import datasets
from service.embedded import free_port
from service.samples import PENGUINS
from service.settings import Settings
from service.store import runs, workers
from service.store.database import Database, migrate
from service.worker.attempt import Attempt

PATIENCE_SECONDS = 60.0
WORKER = "worker_of_the_tests"
TINY = b"x,y,label\n" + b"".join(b"%d,%d,%s\n" % (i, i * i % 7, b"even" if i % 2 == 0 else b"odd") for i in range(40))
QUICK: dict[str, Any] = {
    "network": {"layers": [{"type": "dense", "units": 4, "activation": "tanh"}]},
    "training": {"epochs": 3, "batch_size": 8},
    "split": {"validation": 0.15},
}
Json = dict[str, Any]
T = TypeVar("T")


def until(condition: Callable[[], Any], *, what: str) -> Any:
    """Wait for a condition, and give its value."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_SECONDS:g} seconds"
        time.sleep(0.02)
    return value


def problem(answer: httpx.Response, status: int, code: str | None = None) -> Json:
    """The body of an answer that must be a problem of this status and code."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: Json = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code", "errors"} <= set(body)
    assert body["status"] == status
    assert code in (None, body["code"]), body
    return body


class Api:
    """The API over a folder, in this process: requests reach it without a socket, and `work` trains what is queued."""

    def __init__(self, data: Path, **settings: Any) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.settings = Settings(data=data, **settings)
        self.database = Database(self.settings.database)
        migrate(self.database)
        folder.bind(data, self.database)
        datasets.clean_up(self.database, data)
        self.app = create_app(self.settings, self.database)
        with self.database.write() as session:
            workers.register(session, worker_id=WORKER, host="here", pid=os.getpid(), server_id=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.dispose()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.ask(lambda client: client.request(method, path, **options))

    def ask(self, questions: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        """Ask several things at once, in one event loop."""

        async def connected() -> T:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await questions(client)

        return asyncio.run(connected())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, **({"json": body} if body is not None else {}), **options)

    def patch(self, path: str, body: Any) -> httpx.Response:
        return self.request("PATCH", path, json=body)

    def delete(self, path: str) -> httpx.Response:
        return self.request("DELETE", path)

    def send(
        self, content: bytes, *, media_type: str = "text/csv", name: str = "table", **options: str
    ) -> httpx.Response:
        """Upload a table, the query's options said."""
        params = {"name": name, **options}
        return self.request(
            "POST", "/v1/datasets", params=params, content=content, headers={"Content-Type": media_type}
        )

    def upload(self, content: bytes = TINY, **options: Any) -> str:
        """Upload a table, and give the dataset's id."""
        answer = self.send(content, **options)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def create(self, *, dataset: str | None = None, **spec: Any) -> Json:
        """A queued run: a quick one on a tiny table, unless told otherwise."""
        body = {"dataset": dataset or self.upload(), "target": "label", **QUICK, **spec}
        answer = self.post("/v1/runs", body)
        assert answer.status_code == 201, answer.text
        created: Json = answer.json()
        return created

    def train(self, **spec: Any) -> Json:
        """A run that has been trained to its end."""
        run_id = self.create(**spec)["id"]
        self.work()
        return self.run(run_id)

    def run(self, run_id: str) -> Json:
        found: Json = self.get(f"/v1/runs/{run_id}").json()
        return found

    def claim(self) -> runs.Claim | None:
        with self.database.write() as session:
            return runs.claim(session, WORKER, lease_seconds=self.settings.lease_seconds)

    def attempt(self, claim: runs.Claim, stopping: threading.Event | None = None) -> Attempt:
        return Attempt(
            self.settings,
            self.database,
            claim.run_id,
            claim.attempt,
            is_stopping=(stopping or threading.Event()).is_set,
        )

    def work(self) -> None:
        """Train every queued run, in this process."""
        while (claim := self.claim()) is not None:
            self.attempt(claim).run()


def penguins(api: Api) -> str:
    return api.upload(PENGUINS.content(), name=PENGUINS.name)


# Databases ---------------------------------------------------------------------------------------------------------

POSTGRESQL = os.environ.get("POSTGRESQL_TEST_URL")
"""A PostgreSQL server's database, where tests that use SQLite files are to run on PostgreSQL too."""


@contextmanager
def fresh_postgresql() -> Iterator[str]:
    """The address of an empty database on that server, dropped afterwards."""
    server = create_engine(make_url(POSTGRESQL or ""), isolation_level="AUTOCOMMIT")
    name = f"chainrule_{uuid.uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


# Real processes ----------------------------------------------------------------------------------------------------


class Server:
    """A `chainrule serve` of one's own: a real process on loopback."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = Client(self.url)
        self.options, self.environment = options, environment
        self.start()

    def start(self) -> None:
        """Start it (again), and wait until it answers."""
        command = [sys.executable, "-m", "service.cli", "serve", "--data", str(self.folder), "--port", str(self.port)]
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options], stderr=log, env=os.environ | self.environment, start_new_session=True
            )
        until(self.client.is_live, what="the server answers")

    def starters(self) -> list[int]:
        """The process ids of those that start others: one, once there is any."""
        return [pid for pid in _children(self.process.pid) if b"forkserver" in _command(pid)]

    def workers(self) -> list[int]:
        """The process ids of the processes that train."""
        return [child for pid in self.starters() for child in _children(pid)]

    def processes(self) -> list[int]:
        """The process ids of the server and of all that it started, and these."""
        found = [self.process.pid]
        for pid in found:
            found += _children(pid)
        return found

    def kill(self) -> None:
        """kill -9, the server alone."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        self.client.close()


@contextmanager
def server(folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """A server that is stopped at the end."""
    running = Server(folder, *options, **environment)
    try:
        yield running
    finally:
        running.close()


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except OSError:
        return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
