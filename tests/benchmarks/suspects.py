"""The suspects benchmark: a twentieth of a real table's labels is made wrong, and rankings are asked which.

Each run is a run by default, surveyed at 8 moments over its training, as `GET /v1/runs/{run_id}/ranking` does it.
"""

import argparse
import json
from typing import Any

import numpy as np

from engine.inspection import Replay
from engine.inspection.influence import Survey
from engine.metrics import Truth
from engine.parameters import Array
from engine.training import TrainingState
from service.domain.influences import MOMENTS, spread
from tests.benchmarks import machine
from tests.benchmarks.defaults import planned_run
from tests.benchmarks.tables import TABLES, Columns, RealTable

WRONG = 0.05
TABLES_OF_CLASSES = ("iris", "wine", "penguins", "breast cancer", "digits")


def main(options: argparse.Namespace) -> None:
    """Measure, and print a table or JSON."""
    rows = [measure(name, seeds=options.seeds) for name in options.table or TABLES_OF_CLASSES]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(machine.sentences(machine.describe()))
    print(f"Of k wrong labels, the share among the first k of each ranking: means of {options.seeds} seeds;")
    print("and of the rows that are opposed, how many there are, and the share whose label is wrong.\n")
    head = [*rows[0]]
    print(machine.table(head, [[_shown(row[name]) for name in head] for row in rows]))


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def measure(name: str, *, seeds: int) -> dict[str, Any]:
    """One row of the table."""
    table = TABLES[name]
    found = [_of_seed(table, seed) for seed in range(seeds)]
    means = {what: float(np.mean([each[what] for each in found])) for what in found[0]}
    return {"table": name, "rows": len(table.load()[table.target]), **means}


def _of_seed(table: RealTable, seed: int) -> dict[str, float]:
    columns, wrong = with_wrong_labels(table, seed)
    planned, rows = planned_run(table, columns, seed)
    network, data, resolved = planned.network, rows.training, planned.resolved
    replay = Replay(network, data, resolved.training, TrainingState.of(resolved, network, data), seed=seed)
    survey = Survey(network, data.X, data.Y, weights=data.weights, classes=Truth(data.Y, data.kind).classes)
    steps = planned.steps_per_epoch
    for moment in spread(0, steps * resolved.training.epochs, count=MOMENTS, steps_per_epoch=steps):
        replay.to(moment)
        survey.add(replay.state.parameters, replay.learning_rate)
    is_wrong = np.isin(rows.train_rows, wrong)
    orders = {
        "suspicion": survey.suspects(),
        "self_influence": np.argsort(-survey.self_influence),
        "loss": np.argsort(-survey.losses),
        "gradient_norm": np.argsort(-survey.norms),
    }
    k = int(is_wrong.sum())
    opposed = survey.is_opposed
    return {
        "k": k,
        **{by: float(is_wrong[order[:k]].mean()) for by, order in orders.items()},
        "opposed": float(opposed.sum()),
        "wrong of these": float(is_wrong[opposed].mean()),
    }


def with_wrong_labels(table: RealTable, seed: int) -> tuple[Columns, Array]:
    """The table with a twentieth of its labels drawn from the other classes, and the numbers of those rows."""
    columns, random = table.load(), np.random.default_rng(seed)
    labels = list(columns[table.target])
    known = [row for row, label in enumerate(labels) if label is not None]
    classes = sorted({labels[row] for row in known})
    wrong = random.choice(known, max(1, round(WRONG * len(known))), replace=False)
    for row in wrong.tolist():
        labels[row] = random.choice([each for each in classes if each != labels[row]]).item()
    return columns | {table.target: labels}, wrong
