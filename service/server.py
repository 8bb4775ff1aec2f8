"""The server: the API in this process, and a supervisor of worker processes beside it in a thread."""

import gc
import logging
import socket
from collections.abc import Callable

import uvicorn

from service import folder, processes
from service.app import create_app
from service.domain import datasets
from service.settings import Settings
from service.signals import run_until_signalled
from service.store.database import Database, migrate
from service.worker.rescue import requeue_orphans
from service.worker.supervisor import Supervisor

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class CannotServe(Exception):  # noqa: N818 - said to the user in one sentence
    """The server can't start, and why."""


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until a signal ends it. `ready` is called with the address once requests are answered.

    Raises CannotServe or FolderUnusable with a sentence for the user.
    """
    _refuse_open_door(settings)
    with folder.locked(settings.data):
        database = Database(settings.database)
        try:
            processes.warm_up()
            server_id = _prepare(settings, database)
            _run(settings, database, server_id, ready)
        finally:
            database.dispose()


def _refuse_open_door(settings: Settings) -> None:
    if settings.host not in LOOPBACK and settings.token is None and not settings.allow_any_host:
        raise CannotServe(
            f"{settings.host} can be reached from other machines: set CHAINRULE_TOKEN so that only who knows it may "
            "use the server, or CHAINRULE_ALLOW_ANY_HOST=true if everyone may"
        )


def _prepare(settings: Settings, database: Database) -> str:
    """Bring database and folder in order, and give the server's id: its folder's."""
    if database.is_sqlite:
        log.info("SQLite %s", database.sqlite_version)
        if not database.is_sqlite_safe:
            log.warning(
                "this SQLite, %s, can lose pages under several processes; install pysqlite3 or Python with SQLite "
                "3.51.3 or later",
                database.sqlite_version,
            )
    migrate(database)
    server_id = folder.bind(settings.data, database)
    datasets.clean_up(database, settings.data)
    requeue_orphans(database, server_id)
    return server_id


def _run(settings: Settings, database: Database, server_id: str, ready: Callable[[str], None] | None) -> None:
    app = create_app(settings, database)
    listener = _listen(settings)
    address = _address(listener)
    supervisor = Supervisor(settings, database, slots=settings.workers, server_id=server_id)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=settings.log_level == "debug",
        timeout_graceful_shutdown=2,
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = uvicorn.Server(config)
    app.state.on_started = lambda: _started(address, ready)

    def answer() -> None:
        server.run(sockets=[listener])
        if not server.started:
            raise CannotServe("the API could not be started; the log says why")

    def stop() -> None:
        log.info("stopping: the runs under way are stored and put back into the queue")
        app.state.stopping.set()  # open streams of events end by themselves
        server.should_exit = True
        supervisor.stop()

    def kill() -> None:
        server.force_exit = True
        supervisor.kill()

    try:
        run_until_signalled({"api": answer, "supervisor": supervisor.run}, stop=stop, kill=kill)
    finally:
        listener.close()


def _listen(settings: Settings) -> socket.socket:
    """A listening socket, before anything else is started, so that a taken port is one clear sentence."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise CannotServe(
            f"port {settings.port} on {settings.host} can't be used: {error.strerror}; choose another with --port"
        ) from error
    listener.set_inheritable(False)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def _started(address: str, ready: Callable[[str], None] | None) -> None:
    """Once everything is loaded: keep the garbage collector from looking through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    log.info("Chainrule answers at %s", address)
    if ready is not None:
        ready(address)
