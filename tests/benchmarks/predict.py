"""The prediction benchmark: how long a caller waits for a server process on loopback, idle and while two runs train.

One connection is kept open and asks one request after another, in turn with 1, 32 and 256 rows of the penguins.
"""

import csv
import io
import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from service.client import Client
from service.samples import DIGITS, PENGUINS
from tests.benchmarks import machine
from tests.support import Server, server, until

SIZES = (1, 32, 256)
WARM_UP = 20
JSON = {"Content-Type": "application/json"}


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    with tempfile.TemporaryDirectory(prefix="chainrule-benchmark-") as folder:
        settings = {"CHAINRULE_WORKERS": "2", "CHAINRULE_WORKER_THREADS": str(options.threads)}
        with server(Path(folder) / "data", "--quiet", **settings) as running:
            rows = list(_measure_all(running, options.requests))
    found = {"machine": machine.describe(), "requests": options.requests, "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def _measure_all(running: Server, requests: int) -> Iterator[dict[str, Any]]:
    run_id = _train_penguins(running.client)
    yield from _measure(running, run_id, requests, load="idle")
    with two_runs_training(running.client):
        yield from _measure(running, run_id, requests, load="two runs train")


def _train_penguins(client: Client) -> str:
    dataset = client.upload_bytes(PENGUINS.content(), name=PENGUINS.name)
    run = client.create_run(dataset=dataset.id, target=PENGUINS.target, training={"epochs": 5})
    return client.wait(run.id).id


@contextmanager
def two_runs_training(client: Client) -> Iterator[None]:
    """Two runs on the digits that go on until the end of the block."""
    dataset = client.upload_bytes(DIGITS.content(), name=DIGITS.name)
    endless = {"epochs": 100_000, "early_stopping": None}
    runs = [client.create_run(dataset=dataset.id, target=DIGITS.target, seed=seed, training=endless) for seed in (1, 2)]
    for run in runs:
        until(lambda run=run: client.checkpoints(run.id).items, what="the run is under way")
    yield
    assert {client.run(run.id).status for run in runs} == {"running"}, "a run ended before the measurement did"
    for run in runs:
        client.cancel(run.id)


def _measure(running: Server, run_id: str, requests: int, *, load: str) -> Iterator[dict[str, Any]]:
    connection = HTTPConnection("127.0.0.1", running.port)
    bodies = {size: json.dumps({"rows": _penguins(size)}).encode() for size in SIZES}
    milliseconds: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(WARM_UP + requests):
        for size, body in bodies.items():
            milliseconds[size].append(_ask(connection, f"/v1/runs/{run_id}/predict", body))
    connection.close()
    for size, found in milliseconds.items():
        p50, p99 = np.percentile(found[WARM_UP:], [50, 99])
        yield {"load": load, "rows": size, "p50_milliseconds": p50, "p99_milliseconds": p99}


def _ask(connection: HTTPConnection, path: str, body: bytes) -> float:
    """Send one request; gives the milliseconds until its answer was read."""
    begun = perf_counter()
    connection.request("POST", path, body, JSON)
    answer = connection.getresponse()
    content = answer.read()
    waited = 1e3 * (perf_counter() - begun)
    assert answer.status == 200, content
    return waited


def _penguins(count: int) -> list[dict[str, Any]]:
    """So many rows to predict, from the sample and from its start again."""
    table = list(csv.DictReader(io.StringIO(PENGUINS.content().decode())))
    whole = [row for row in table if "NA" not in row.values()]
    return [
        {name: cell if name in ("island", "sex") else float(cell) for name, cell in row.items() if name != "species"}
        for row in islice(cycle(whole), count)
    ]


def _in_words(found: dict[str, Any]) -> str:
    cells = [
        [row["load"], str(row["rows"]), f"{row['p50_milliseconds']:.2f}", f"{row['p99_milliseconds']:.2f}"]
        for row in found["rows"]
    ]
    return "\n".join(
        [
            machine.sentences(found["machine"]),
            f"Milliseconds a caller waits for POST /v1/runs/{{id}}/predict, over {found['requests']} requests each.",
            "",
            machine.table(["load", "rows", "p50", "p99"], cells),
        ]
    )
