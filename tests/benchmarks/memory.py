"""The memory benchmark: what a large CSV takes while it is uploaded, planned and trained from, in every process.

A table of numbers, dates, categories and two columns of texts that hardly ever occur twice is generated while it is
sent, so that the file itself is nowhere. Memory is what no file backs, of the server and all processes it started,
sampled and compared with what they held before.
"""

import json
import random
import tempfile
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx

from service.schemas.datasets import DatasetBody
from service.schemas.runs import RunBody
from tests.benchmarks import machine
from tests.support import Server, server, until

HEADER = b"id,name,a,b,c,d,e,f,g,city,when,label\n"
CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Quito")
BLOCK_ROWS = 20_000
MEGABYTE = 1_000_000
INTERVAL_SECONDS, SETTLING_SECONDS = 0.2, 3


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    with tempfile.TemporaryDirectory(prefix="chainrule-benchmark-") as folder:
        settings = {"CHAINRULE_WORKERS": "1", "CHAINRULE_WORKER_THREADS": str(options.threads)}
        with server(Path(folder) / "data", "--quiet", **settings) as running:
            until(running.starters, what="the process that starts workers")
            sleep(SETTLING_SECONDS)
            rows = _measure_all(running, options.megabytes * MEGABYTE)
    found = {"machine": machine.describe(), "megabytes": options.megabytes, "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def _measure_all(running: Server, size: int) -> list[dict[str, Any]]:
    memory, client = Memory(running), running.client
    with httpx.Client(base_url=running.url, timeout=None) as http:
        with memory.measured("uploaded, and its columns profiled"):
            answer = http.post("/v1/datasets?name=large", content=table(size), headers={"Content-Type": "text/csv"})
        dataset = DatasetBody.model_validate_json(answer.raise_for_status().content)
        asked = {"dataset": dataset.id, "target": "label", "training": {"epochs": 1, "batch_size": 1024}}
        with memory.measured("a run planned: split, fitted, looked at for leaks"):
            answer = http.post("/v1/runs", json=asked)
        run = RunBody.model_validate_json(answer.raise_for_status().content)
    with memory.measured("an epoch trained from rows on the disk, and tested"):
        client.wait(run.id)
    return memory.rows


class Memory:
    """Megabytes that no file backs, of a server's processes together: how far they rise above those at first."""

    def __init__(self, running: Server) -> None:
        self.running = running
        self.first = self._now()
        self.rows: list[dict[str, Any]] = []

    @contextmanager
    def measured(self, what: str) -> Iterator[None]:
        """Add a row on what the block does."""
        highest, ended, start = [0.0], threading.Event(), perf_counter()

        def sample() -> None:
            while not ended.wait(INTERVAL_SECONDS):
                highest[0] = max(highest[0], self._now() - self.first)

        sampling = threading.Thread(target=sample)
        sampling.start()
        try:
            yield
        finally:
            ended.set()
            sampling.join()
        self.rows.append({"what": what, "seconds": perf_counter() - start, "megabytes": highest[0]})

    def _now(self) -> float:
        return sum(map(_anonymous_bytes, self.running.processes())) / MEGABYTE


def _anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssShmem")))


def _in_words(found: dict[str, Any]) -> str:
    lines = [f"{found['megabytes']} MB of CSV; memory of all processes above that of an idle server"]
    lines += [f"{row['what']:52} {row['megabytes']:6.0f} MB {row['seconds']:6.0f} s" for row in found["rows"]]
    return "\n".join(lines)


def table(size: int) -> Iterator[bytes]:
    """A CSV file of at least so many bytes, in pieces; the same each time."""
    draw, sent = random.Random(1), len(HEADER)
    yield HEADER
    first = 0
    while sent < size:
        block = "".join(_line(row, draw) for row in range(first, first + BLOCK_ROWS)).encode()
        yield block
        first, sent = first + BLOCK_ROWS, sent + len(block)


def _line(row: int, draw: random.Random) -> str:
    numbers = f"{draw.random():.5f},{draw.random() * 100:.5f},{row % 97 / 7:.3f},{row % 13},{row % 1000}"
    texts = f"u{row:09d}-{row * 7919 % 16777216:06x},user {row * 31 % 9000017}"
    when = f"2024-{row % 12 + 1:02d}-{row % 28 + 1:02d}"
    label = "yes" if row * 7 % 5 < 2 else "no"
    return f"{texts},{numbers},{row % 31 / 10:.4f},{row % 53 / 9:.6f},{CITIES[row % 5]},{when},{label}\n"
