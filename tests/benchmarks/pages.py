"""The pages benchmark: how long a browser waits for each page, idle and while two runs train, and how large it is.

The run has ten layers and 200 epochs; the list of runs is also asked for with 10,000 more in the database.
"""

import gzip
import json
import sqlite3
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import numpy as np

from service.client import Client
from service.samples import DIGITS
from tests.benchmarks import machine
from tests.benchmarks.predict import two_runs_training
from tests.support import Server, server

LAYERS, EPOCHS = 10, 200
HTML = {"Accept": "text/html", "Accept-Encoding": "gzip"}
PAGES = {
    "a run": "/runs/{run}",
    "the part of it that changes": "/runs/{run}/live",
    "gradient flow": "/runs/{run}/flow",
    "network": "/runs/{run}/network",
    "a layer at a step": "/runs/{run}/layers/1?step=1",
    "walk through": "/runs/{run}/walk",
    "evaluation": "/runs/{run}/evaluation",
    "try it": "/runs/{run}/try",
    "a dataset": "/datasets/{dataset}",
    "runs": "/runs",
    "new run": "/new",
    "system": "/system",
}
MANY = 10_000


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    with tempfile.TemporaryDirectory(prefix="chainrule-benchmark-") as folder:
        settings = {"CHAINRULE_WORKERS": "2", "CHAINRULE_WORKER_THREADS": str(options.threads)}
        data = Path(folder) / "data"
        with server(data, "--quiet", **settings) as running:
            rows = list(_measure_all(running, data, options))
    found = {"machine": machine.describe(), "requests": options.requests, "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def _measure_all(running: Server, data: Path, options: Namespace) -> Iterator[dict[str, Any]]:
    client = running.client
    names = _trained(client, options.epochs)
    yield from _measure(running, names, PAGES, options.requests, load="idle")
    with two_runs_training(client):
        yield from _measure(running, names, PAGES, options.requests, load="two runs train")
    copied(data, names["run"], options.runs)
    lists = {
        f"runs, of {options.runs} more": "/runs",
        "by their best": "/runs?order_by=best",
        "that failed": "/runs?status=failed",
    }
    yield from _measure(running, names, lists, options.requests, load="idle")


def _trained(client: Client, epochs: int) -> Mapping[str, str]:
    dataset = client.upload_bytes(DIGITS.content(), name=DIGITS.name)
    layers = [{"type": "dense", "units": 32, "activation": "relu"}] * (LAYERS - 1)
    training = {"epochs": epochs, "early_stopping": None}
    run = client.create_run(dataset=dataset.id, target=DIGITS.target, network={"layers": layers}, training=training)
    return {"run": client.wait(run.id).id, "dataset": dataset.id}


def copied(data: Path, run_id: str, count: int) -> None:
    """So many runs like this one, with their curves."""
    with sqlite3.connect(data / "chainrule.sqlite3", timeout=30) as connection:
        for table, key in (("runs", "id"), ("epochs", "run_id")):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            own = ", ".join("'run_copy' || n.value || '_x'" if name == key else f't."{name}"' for name in columns)
            named = ", ".join(f'"{name}"' for name in columns)
            connection.execute(
                f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < ?) "
                f"INSERT INTO {table} ({named}) SELECT {own} FROM n, {table} t WHERE t.{key} = ?",
                (count if table == "runs" else min(count, 100), run_id),
            )


def _measure(
    running: Server, names: Mapping[str, str], pages: Mapping[str, str], requests: int, *, load: str
) -> Iterator[dict[str, Any]]:
    with httpx.Client(base_url=running.url, timeout=120) as http:
        for what, pattern in pages.items():
            path, milliseconds, size = pattern.format(**names), [], 0
            for _ in range(requests + 1):
                begun = perf_counter()
                answer = http.get(path, headers=HTML)
                milliseconds.append(1e3 * (perf_counter() - begun))
                assert answer.status_code == 200, (path, answer.text[:500])
                size = len(gzip.compress(answer.content))
            p50, most = np.percentile(milliseconds[1:], [50, 100])
            yield {
                "load": load,
                "page": what,
                "p50_milliseconds": p50,
                "most_milliseconds": most,
                "gzipped_kilobytes": size / 1e3,
            }


def _in_words(found: Mapping[str, Any]) -> str:
    lines = [
        machine.sentences(found["machine"]),
        "",
        "| load | page | p50 ms | most ms | kB gzipped |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['load']} | {row['page']} | {row['p50_milliseconds']:.0f} | {row['most_milliseconds']:.0f} | "
        f"{row['gzipped_kilobytes']:.0f} |"
        for row in found["rows"]
    ]
    return "\n".join(lines)
