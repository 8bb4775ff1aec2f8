"""The recording benchmark: trainings whose every step can be shown again, beside the same ones with nothing kept.

What is kept is all that a run keeps: epochs, events, digests, the states that replays start from, heartbeats. Both
train the same rows to the same bits, in turn, in one process. What a run does before its first step and behind its last
is not in it; the jobs benchmark has that.
"""

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from engine.blas import using_threads
from engine.data import Preprocessing
from engine.network import Network
from engine.parameters import digest
from engine.spec import RunSpec
from engine.training import TrainingState, train
from service.domain import datasets
from service.domain.training import Parts, parts
from service.store import runs
from tests.benchmarks import machine
from tests.support import Api

SIZES = {"tabular": ((30, 64, 64, 3), 128), "digits": ((64, 128, 64, 10), 64), "image": ((784, 512, 256, 10), 128)}
"""Widths and batch size."""
ROWS = 5_000


class Stopwatch:
    """Asked between steps whether to stop, as trainings ask: never; it notes when it was asked first and last."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0

    def __call__(self) -> bool:
        self.last = process_time()
        self.first = self.last if self.first is None else self.first
        return False

    @property
    def seconds(self) -> float:
        """The processor's, of all steps but the first few."""
        assert self.first is not None
        return self.last - self.first


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    rows = [measure(name, rounds=options.rounds, seconds=options.seconds) for name in options.workload or SIZES]
    found = {"machine": machine.describe(), "rounds": options.rounds, "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def measure(name: str, *, rounds: int, seconds: float) -> dict[str, Any]:
    """The processor's seconds of both, and the share by which the recorded training takes longer, of each round."""
    with tempfile.TemporaryDirectory(prefix="chainrule-benchmark-") as folder, Api(Path(folder) / "data") as api:
        dataset = _uploaded(api, Path(folder), SIZES[name][0])
        first = _bare(api, _claimed(api, name, dataset, epochs=2))[0]
        epochs = max(2, round(2 * seconds / first))
        pairs = list(_pairs(api, name, dataset, epochs, rounds))
    return {
        "workload": name,
        "epochs": epochs,
        "bare_seconds": median(bare for bare, _ in pairs),
        "recorded_seconds": median(recorded for _, recorded in pairs),
        "overhead": median(recorded / bare - 1 for bare, recorded in pairs),
    }


def _pairs(api: Api, name: str, dataset: str, epochs: int, rounds: int) -> Iterator[tuple[float, float]]:
    for _ in range(rounds):
        claim = _claimed(api, name, dataset, epochs)
        bare, bits = _bare(api, claim)
        watch, attempt = Stopwatch(), api.attempt(claim)
        attempt.is_stopping = watch
        attempt.run()
        assert api.run(claim.run_id)["weights_digest"] == bits
        yield bare, watch.seconds


def _bare(api: Api, claim: runs.Claim) -> tuple[float, str]:
    """The processor's seconds of training alone, and the digest of what comes out."""
    with api.database.read() as session:
        row = runs.get(session, claim.run_id)
    assert row is not None
    spec, preprocessing = RunSpec.model_validate(row.resolved), Preprocessing.from_json(row.preprocessing)
    network = Network.of(spec, n_in=preprocessing.n_in)
    watch, rows = Stopwatch(), _rows(api, spec, preprocessing, network, row.dataset_id)
    state = TrainingState.of(spec, network, rows.training)
    with using_threads(spec.training.threads):
        for _ in train(network, rows.training, spec.training, state, seed=spec.seed, interrupt=watch):
            pass
    return watch.seconds, digest(state.best.parameters if state.best else state.parameters)


def _rows(api: Api, spec: RunSpec, preprocessing: Preprocessing, network: Network, dataset: str) -> Parts:
    table, data = datasets.table_of(api.settings.data, dataset), api.settings.data
    most = api.settings.limits.encoded_bytes_in_memory
    return parts(spec, preprocessing, network, table, bytes_in_memory=most, folder=data)


def _uploaded(api: Api, folder: Path, widths: tuple[int, ...]) -> str:
    """Rows of noise around a centre for each class, as a dataset."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, widths[-1], ROWS)
    X = rng.normal(size=(widths[-1], widths[0]))[classes] + rng.normal(size=(ROWS, widths[0]))
    np.savez(folder / "rows.npz", X=X.astype(np.float32), y=classes)
    return api.upload((folder / "rows.npz").read_bytes(), media_type="application/x-npz")


def _claimed(api: Api, name: str, dataset: str, epochs: int) -> runs.Claim:
    """A run, just claimed, that trains so many epochs."""
    widths, batch_size = SIZES[name]
    hidden = [{"type": "dense", "units": units, "activation": "relu"} for units in widths[1:-1]]
    training = {"epochs": epochs, "batch_size": batch_size, "early_stopping": None}
    api.create(dataset=dataset, target="y", network={"layers": hidden}, training=training)
    claim = api.claim()
    assert claim is not None
    return claim


def _in_words(found: dict[str, Any]) -> str:
    cells = [
        [
            row["workload"],
            str(row["epochs"]),
            f"{row['bare_seconds']:.2f} s",
            f"{row['recorded_seconds']:.2f} s",
            f"{100 * row['overhead']:+.1f} %",
        ]
        for row in found["rows"]
    ]
    return "\n".join(
        [
            machine.sentences(found["machine"]),
            f"The processor's time, medians of {found['rounds']} rounds; {ROWS} rows.",
            "",
            machine.table(["workload", "epochs", "nothing kept", "everything kept", "overhead"], cells),
        ]
    )
