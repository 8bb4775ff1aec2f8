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


class CouldNotStart(Exception):  # noqa: N818 - said to the user in one sentence
    """The server ended before it answered."""


@contextmanager
def server(data: Path, *, port: int | None = None) -> Iterator[str]:
    """A server on this data folder; gives its address. For a main thread."""
    port = free_port() if port is None else port
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "service.cli", "serve", "--data", str(data), "--port", str(port), "--quiet"]
    before = signal.signal(signal.SIGTERM, _leave)
    process = subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"})  # noqa: S603 - our own command
    try:
        _await_start(process, url)
        yield url
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait()
        signal.signal(signal.SIGTERM, before)


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


def _await_start(process: "subprocess.Popen[bytes]", url: str) -> None:
    until = time.monotonic() + START_SECONDS
    with Client(url) as client:
        while not client.is_live():
            if process.poll() is not None:
                raise CouldNotStart("the server could not be started; its last words are above")
            if time.monotonic() > until:
                raise CouldNotStart(f"the server did not answer at {url} within {START_SECONDS:g} seconds")
            time.sleep(0.05)
