"""The benchmarks run, and what they compare does the same work. No time is asserted."""

import json
import subprocess
import sys

import numpy as np
import pytest

from engine.inspection.quantities import QUANTITIES
from engine.training import TrainingData, TrainingState, epoch_order, train
from tests.benchmarks.rivals import RIVALS, SEED, Rows, network_of, textbook_of, training_of
from tests.benchmarks.workloads import WORKLOADS, Workload


def test_the_training_benchmark_gives_a_row_for_each_rival_present() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "training", "--rounds", "1", "--workload", "tiny", "--json"]

    answer = subprocess.run(command, capture_output=True, check=True)

    found = json.loads(answer.stdout)
    assert found["machine"]["fingerprint"]["threads"] == 1
    assert [row["rival"] for row in found["rows"]] == [rival.title for rival in RIVALS if rival.is_installed()]
    assert {"workload", "layers", "batch_size", "microseconds", "ratio"} <= set(found["rows"][0])


def test_the_jobs_benchmark_times_scripts_and_runs() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "jobs", "--rounds", "1", "--epochs", "2", "--json"]

    answer = subprocess.run(command, capture_output=True, check=True)

    rows = json.loads(answer.stdout)["rows"]
    assert rows[0]["what"] == "digits_chainrule.py: 100 epochs in a fresh process"
    assert [row["what"] for row in rows[-2:]] == [
        "two workers' work in the same time, over one's",
        "a run's time that is not its epochs'",
    ]


def test_the_memory_benchmark_measures_each_phase_of_a_large_table() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "memory", "--megabytes", "20", "--json"]

    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert [row["what"].split(",")[0] for row in found["rows"]] == [
        "uploaded",
        "a run planned: split",
        "an epoch trained from rows on the disk",
    ]
    assert all(row["megabytes"] > 0 for row in found["rows"])


@pytest.mark.parametrize("table", ["iris", "penguins", "diabetes"])
def test_defaults_are_as_good_as_a_tuned_mlp(table: str) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "defaults", "--table", table, "--splits", "2", "--json"]

    [row] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert row["defaults"] >= row["tuned"] - 0.03


def test_the_suspects_benchmark_finds_wrong_labels() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "suspects", "--table", "penguins", "--seeds", "1", "--json"]

    [row] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert (row["table"], row["k"]) == ("penguins", 17)
    assert row["suspicion"] >= 0.8


@pytest.mark.parametrize("name", ["tiny", "tabular"])
def test_the_textbook_trains_to_our_weights(name: str) -> None:
    ours, textbook = trained(Workload(WORKLOADS[name].widths, batch_size=32, steps=20))

    np.testing.assert_allclose(textbook, ours, rtol=1e-9, atol=1e-12)


def trained(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Our weights and the textbook's after one epoch from the same start, in float64."""
    rows, network, spec = Rows.of(workload), network_of(workload), training_of(workload, epochs=1, dtype="float64")
    X, Y = rows.X.astype("float64"), rows.Y.astype("float64")
    state = TrainingState.start(network, spec, seed=SEED)
    textbook = textbook_of(workload, dtype="float64")

    list(train(network, TrainingData(X, Y), spec, state, seed=SEED))
    textbook.train_epoch(X, Y, epoch_order(len(X), seed=SEED, epoch=0), batch_size=workload.batch_size)

    layers = zip(textbook.W, textbook.b, strict=True)
    return state.parameters, np.concatenate([each.ravel() for layer in layers for each in layer])


def test_the_inspection_benchmark_gives_a_row_for_each_quantity() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "inspection", "--rounds", "1", "--json"]

    answer = subprocess.run(command, capture_output=True, check=True)

    rows = json.loads(answer.stdout)["rows"]
    assert [row["quantity"] for row in rows] == list(QUANTITIES)
    assert all(row["cost"] >= 0 and row["catalogue"] == QUANTITIES[row["quantity"]].cost for row in rows)
