"""The inspection benchmark: what each quantity costs in units of one backward pass, beside the catalogue's figure."""

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np

from engine.inspection.quantities import QUANTITIES, Options, Pass, run_pass
from tests.benchmarks import machine
from tests.benchmarks.rivals import SEED, Rows, network_of
from tests.benchmarks.workloads import Workload

WORKLOAD = Workload((784, 256, 128, 10), batch_size=128, steps=1)


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    names = options.quantity or list(QUANTITIES)
    found = {"machine": machine.describe(), "rounds": options.rounds, "rows": list(measure(names, options.rounds))}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def measure(names: list[str], rounds: int) -> Iterator[dict[str, Any]]:
    """One row for each quantity: medians of its times and of their ratios to the backward pass of the same round.

    The pass that is looked into is made before: what a quantity costs is what it adds to it.
    """
    rows, network = Rows.of(WORKLOAD), network_of(WORKLOAD)
    X, Y = (array[: WORKLOAD.batch_size].astype("float64") for array in (rows.X, rows.Y))
    flat = network.initial_parameters(seed=SEED, dtype="float64")
    batch = run_pass(network, flat, X, Y, None)
    after = flat.copy()
    after[: network.parameter_count] -= 0.1 * batch.workspace.gradient / len(X)
    asked = Options(learning_rate=0.1, after=after, l1=1e-4, l2=1e-4)
    for name in names:
        costs, units = [], []
        for place in range(rounds + 1):
            with np.errstate(all="ignore"):
                unit = _seconds(lambda: batch.backward())
                cost = _seconds(lambda name=name: QUANTITIES[name].of(Pass(batch, asked)))
            if place:  # the first warms caches
                costs.append(cost)
                units.append(unit)
        yield {
            "quantity": name,
            "milliseconds": 1e3 * median(costs),
            "cost": median(cost / unit for cost, unit in zip(costs, units, strict=True)),
            "catalogue": QUANTITIES[name].cost,
        }


def _seconds(work: Callable[[], object]) -> float:
    """Of this process alone, so that others on the machine count for nothing."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _in_words(found: dict[str, Any]) -> str:
    rows = [
        [row["quantity"], f"{row['milliseconds']:.2f}", f"{row['cost']:.2f}", row["catalogue"]] for row in found["rows"]
    ]
    return "\n".join(
        [
            machine.sentences(found["machine"]),
            f"What each quantity adds to a pass of {WORKLOAD.layers} with {WORKLOAD.batch_size} rows in float64, "
            f"medians of {found['rounds']} rounds;",
            "its cost in units of one backward pass of the same round, input gradient included.",
            "",
            machine.table(["quantity", "ms", "cost", "catalogue"], rows),
        ]
    )
