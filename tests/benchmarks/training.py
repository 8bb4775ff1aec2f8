"""The training benchmark: each rival's microseconds per step, measured in turn (A B C A B C …), as medians."""

import json
from argparse import Namespace
from collections.abc import Iterator
from statistics import median
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.rivals import RIVALS, MatrixProducts, Ours, Rival, Rows
from tests.benchmarks.workloads import WORKLOADS, Workload


def main(options: Namespace) -> None:
    """Measure, and print a table or JSON."""
    names = options.workload or list(WORKLOADS)
    present = [rival for rival in RIVALS if rival.is_installed() and rival.title not in (options.without or ())]
    rows = [row for name in names for row in measure(name, WORKLOADS[name], present, rounds=options.rounds)]
    found = {"machine": machine.describe(), "rounds": options.rounds, "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found, present))


def measure(name: str, workload: Workload, present: list[type[Rival]], *, rounds: int) -> Iterator[dict[str, Any]]:
    """One row for each rival: the median of its rounds, and the median of their ratios to ours of the same round."""
    rows = Rows.of(workload)
    contestants = [rival(workload, rows) for rival in present if rival.can_train(workload)]
    for each in contestants:
        each.time_round()  # warms caches and lazy imports
    seconds: dict[str, list[float]] = {each.title: [] for each in contestants}
    for _ in range(rounds):
        for each in contestants:
            seconds[each.title].append(each.time_round())
    for title, found in seconds.items():
        yield {
            "workload": name,
            "layers": workload.layers,
            "batch_size": workload.batch_size,
            "rival": title,
            "microseconds": 1e6 * median(found) / workload.steps,
            "fastest": 1e6 * min(found) / workload.steps,
            "ratio": median(theirs / ours for theirs, ours in zip(found, seconds[Ours.title], strict=True)),
        }


def _in_words(found: dict[str, Any], present: list[type[Rival]]) -> str:
    titles = [rival.title for rival in present]
    head = ["workload", "layers", "batch", *titles]
    lines: dict[str, dict[str, str]] = {}
    for row in found["rows"]:
        start = {"workload": row["workload"], "layers": row["layers"], "batch": str(row["batch_size"])}
        lines.setdefault(row["workload"], start)[row["rival"]] = _cell(row)
    return "\n".join(
        [
            machine.sentences(found["machine"]),
            f"Microseconds per training step in float32, medians of {found['rounds']} interleaved rounds; "
            "in brackets how many times as long as ours; of the matrix products, their share of our step.",
            "",
            machine.table(head, [[line.get(name, "") for name in head] for line in lines.values()]),
        ]
    )


def _cell(row: dict[str, Any]) -> str:
    if row["rival"] == Ours.title:
        ratio = ""
    elif row["rival"] == MatrixProducts.title:
        ratio = f" ({row['ratio']:.0%})"
    else:
        ratio = f" ({row['ratio']:.1f}×)"
    return f"{row['microseconds']:.1f}{ratio}"
