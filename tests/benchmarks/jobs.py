"""The jobs benchmark: whole trainings as users wait for them, in fresh processes and from a real server's workers."""

import json
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from service.client import Client
from service.samples import DIGITS
from tests.benchmarks import machine
from tests.support import server

SCRIPTS = {"chainrule": "engine", "scikit_learn": "sklearn", "pytorch": "torch"}
"""Each script, and the package it needs."""
EPOCHS = 100
"""Of a script."""
LONG = 10
"""So many times as many epochs where two workers are compared with one."""


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    rows = [*_scripts(options.rounds), *_runs(options.rounds, options.epochs)]
    found = {"machine": machine.describe(), "rounds": options.rounds, "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def _scripts(rounds: int) -> Iterator[dict[str, Any]]:
    """The digits in 100 epochs by a script, from its start to its end."""
    names = [name for name, package in SCRIPTS.items() if find_spec(package)]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            command = [sys.executable, "-m", f"tests.benchmarks.digits_{name}"]
            seconds[name].append(_timed(partial(subprocess.run, command, check=True, capture_output=True)))
    for name, found in seconds.items():
        yield {"what": f"digits_{name}.py: {EPOCHS} epochs in a fresh process", "seconds": median(found)}


def _runs(rounds: int, epochs: int) -> Iterator[dict[str, Any]]:
    """The same as runs of a server with two workers that is otherwise idle."""
    many = LONG * epochs
    with (
        tempfile.TemporaryDirectory(prefix="chainrule-benchmark-") as folder,
        server(Path(folder) / "data", "--quiet", CHAINRULE_WORKERS="2") as running,
    ):
        client = running.client
        dataset = client.upload_bytes(DIGITS.content(), name=DIGITS.name).id
        _train(client, dataset, runs=2, epochs=epochs)  # loads what a worker loads once
        accepted = [_train(client, dataset, runs=1, epochs=epochs) for _ in range(rounds)]
        one = [_train(client, dataset, runs=1, epochs=many) for _ in range(rounds)]
        two = [_train(client, dataset, runs=2, epochs=many) for _ in range(rounds)]
        share = _share_outside_epochs(client, dataset, epochs=many)
    yield {"what": f"a run, {epochs} epochs: from the accepted request to succeeded", "seconds": median(accepted)}
    yield {"what": f"a run, {many} epochs", "seconds": median(one)}
    yield {"what": f"two runs at once, {many} epochs each", "seconds": median(two)}
    yield {"what": "two workers' work in the same time, over one's", "ratio": 2 * median(one) / median(two)}
    yield {"what": "a run's time that is not its epochs'", "ratio": share}


def _train(client: Client, dataset: str, *, runs: int, epochs: int) -> float:
    """The seconds from the first request until all of so many runs have succeeded."""
    begun = perf_counter()
    ids = [_create(client, dataset, epochs=epochs, seed=seed) for seed in range(runs)]
    while any(client.run(each).status != "succeeded" for each in ids):
        time.sleep(0.005)
    return perf_counter() - begun


def _create(client: Client, dataset: str, *, epochs: int, seed: int) -> str:
    training = {"epochs": epochs, "batch_size": 64, "l2": 0, "early_stopping": None}
    network = {"layers": [{"type": "dense", "units": units, "activation": "relu"} for units in (128, 64)]}
    return client.create_run(dataset=dataset, target=DIGITS.target, network=network, training=training, seed=seed).id


def _share_outside_epochs(client: Client, dataset: str, *, epochs: int) -> float:
    """Of a run's time from its claim to its end, what was not spent in its epochs: checkpoints and bookkeeping."""
    run = client.wait(_create(client, dataset, epochs=epochs, seed=0))
    seconds = client.losses(run.id, keys=["seconds"], points=epochs)["seconds"]
    assert run.started_at, run.status
    assert run.finished_at, run.status
    return 1 - sum(seconds) / (run.finished_at - run.started_at).total_seconds()


def _timed(work: Callable[[], object]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun


def _in_words(found: dict[str, Any]) -> str:
    cells = [
        [row["what"], f"{row['seconds']:.2f} s" if "seconds" in row else f"{row['ratio']:.3f}"] for row in found["rows"]
    ]
    return "\n".join(
        [
            machine.sentences(found["machine"]),
            f"Medians of {found['rounds']} rounds.",
            "",
            machine.table(["what", "found"], cells),
        ]
    )
