"""A server of one's own, for a command that finds none: a process started on a free port, and stopped at the end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from service.client import Client

START_SECONDS = 60.0
ENDING = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else (signal.SIGTERM,)
"""Signals that end a process, and that a server of its own must not outlive."""


class CouldNotStart(Exception):  # noqa: N818 - said to the user in one sentence
    """The server ended before it answered."""


@contextmanager
def server(data: Path, *, port: int | None = None) -> Iterator[Client]:
    """A server on this data folder; gives a client of it. For a main thread.

    The server is in a process group of its own: Ctrl-C in a terminal reaches this process alone, which then stops the
    server in order.
    """
    port = free_port() if port is None else port
    command = [sys.executable, "-m", "service.cli", "serve", "--data", str(data), "--quiet"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    before = {number: signal.signal(number, _leave) for number in ENDING}
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, env=os.environ | {"PYTHONUNBUFFERED": "1"}, process_group=0 if os.name == "posix" else None
    )
    try:
        with Client(f"http://127.0.0.1:{port}", token=os.environ.get("CHAINRULE_TOKEN")) as client:
            _await_start(process, client)
            yield client
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    """End in order, so that the server ends too."""
    raise SystemExit(128 + number)


def free_port(preferred: int = 0) -> int:
    """A port on loopback that is free now: the preferred one if it is."""
    for port in (preferred, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise CouldNotStart("no port is free on 127.0.0.1")


def _await_start(process: "subprocess.Popen[bytes]", client: Client) -> None:
    until = time.monotonic() + START_SECONDS
    while not client.is_live():
        if process.poll() is not None:
            raise CouldNotStart("the server could not be started; its last words are above")
        if time.monotonic() > until:
            raise CouldNotStart(f"the server did not answer at {client.url} within {START_SECONDS:g} seconds")
        time.sleep(0.05)
