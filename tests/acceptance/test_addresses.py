"""What the server says its address is can be opened."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support import PATIENCE_SECONDS, until


def test_an_ipv6_address_is_printed_as_one_that_can_be_opened(tmp_path: Path) -> None:
    if not can_bind("::1"):
        pytest.skip("this machine has no IPv6 loopback")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "service.cli", "serve", "--host", "::1", "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--data", str(tmp_path / "data"), "--workers", "0"], stderr=file)
    try:
        found = until(lambda: re.search(r"answers at (http://\[::1\]:\d+)", log.read_text()), what="its address")

        assert httpx.get(f"{found[1]}/v1/health/live").status_code == 200
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def can_bind(host: str) -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
