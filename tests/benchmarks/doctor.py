"""The doctor benchmark: its verdicts on a zoo of sick and healthy runs, beside those of published rules."""

import json
from argparse import Namespace
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from engine.inspection.doctor import Chart, Finding
from engine.inspection.doctor.looks import Look
from tests.benchmarks import machine
from tests.benchmarks.zoo import Animal, diagnosed, healthy, sick

ALARMS = ("critical", "warning")


def main(options: Namespace) -> None:
    """Judge every run, and print a table or JSON."""
    animals = [animal for animal in (*sick(), *healthy()) if options.name in animal.name]
    rows = [measure(animal) for animal in animals]
    found = {"machine": machine.describe(), **summary(rows), "rows": rows}
    print(json.dumps(found, indent=2) if options.json else _in_words(found))


def measure(animal: Animal) -> dict[str, Any]:
    """What the doctor says of one run, whether it is right, and which of the published rules sound an alarm."""
    begun = perf_counter()
    chart, findings = diagnosed(animal)
    right = next((finding for finding in findings if finding.rule in animal.causes), None)
    return {
        "run": animal.name,
        "is_sick": bool(animal.causes),
        "said": [f"{each.rule} ({each.severity})" for each in findings],
        "critical": any(finding.severity == "critical" for finding in findings),
        "alarm": any(finding.severity in ALARMS for finding in findings),
        "right": right is not None,
        "right_layer": _overlap(animal, right),
        "right_step": _in_time(animal, right),
        "seconds": perf_counter() - begun,
        **{name: rule(chart) for name, rule in PUBLISHED.items()},
    }


def _overlap(animal: Animal, finding: Finding | None) -> bool | None:
    if not animal.layers or finding is None:
        return None
    told = (finding, *finding.consequences)
    return any(animal.layers & set(each.layers) for each in told)


def _in_time(animal: Animal, finding: Finding | None) -> bool | None:
    if animal.first is None or finding is None:
        return None
    steps = [each.step for each in (finding, *finding.consequences) if each.step is not None]
    return bool(steps) and animal.first[0] <= min(steps) <= animal.first[1]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Recall of the cause, precision of alarms, layers and steps; and of the published rules, recall of any alarm."""
    ill, well = [row for row in rows if row["is_sick"]], [row for row in rows if not row["is_sick"]]
    return {
        "sick": len(ill),
        "healthy": len(well),
        "recall": _share(ill, "right"),
        "precision": sum(row["right"] for row in ill) / max(1, sum(row["alarm"] for row in rows)),
        "right_layer": _share([row for row in ill if row["right_layer"] is not None], "right_layer"),
        "right_step": _share([row for row in ill if row["right_step"] is not None], "right_step"),
        "critical_on_healthy": _share(well, "critical"),
        "seconds": median(row["seconds"] for row in rows),
        "published": {
            name: {"any_alarm_on_sick": _share(ill, name), "any_alarm_on_healthy": _share(well, name)}
            for name in PUBLISHED
        },
    }


def _share(rows: list[dict[str, Any]], name: str) -> float:
    return sum(bool(row[name]) for row in rows) / max(1, len(rows))


# Published rules -----------------------------------------------------------------------------------------------------


def sagemaker(chart: Chart) -> bool:
    """SageMaker Debugger's built-in rules by their defaults, over the steps looked at as if these were saved."""
    looks, train, validation = chart.looks, chart.curve("train.loss"), chart.curve("validation.loss")
    ratios = [ratio for look in looks for ratio in look.ratios]
    return bool(
        chart.diverged is not None
        or any(each.mean_gradient < 1e-7 for look in looks for each in look.weights.values())
        or any(each.dead_share > 0.5 for look in looks for each in look.units if each.kind == "relu")
        or any(each.saturated > 0.5 for look in looks for each in look.units if each.kind in ("tanh", "sigmoid"))
        or any(ratio > 10 or ratio < 1e-8 for ratio in ratios)
        or (len(train) > 10 and bool((np.diff(train)[-10:] >= 0).all()))
        or bool(((validation - train) / np.maximum(train, 1e-12) > 0.1).any())
        or _imbalance(chart) > 10
    )


def autotrainer(chart: Chart) -> bool:
    """AUTOTRAINER's five symptoms by their defaults."""

    def ill(look: Look) -> bool:
        weights = look.weights
        first, last = weights[min(weights)].gradient, weights[max(weights)].gradient
        ratio = first / last if last else np.inf
        dead = [each.dead_share >= 0.7 for each in look.units if each.kind == "relu"]
        return bool((ratio < 1e-3 and first < 1e-4) or ratio > 70 or any(dead) or not np.isfinite(first))

    accuracy = chart.curve("train.accuracy")
    turns = [abs(b - a) >= 0.03 for a, b in pairwise(accuracy)]
    swings = len(turns) > 2 and float(np.mean(turns)) >= 0.2 and bool((np.diff(accuracy) < 0).any())
    slow = len(accuracy) > 2 and bool(accuracy.max() - accuracy[0] < 0.01)
    return chart.diverged is not None or any(map(ill, chart.looks)) or swings or slow


def deepchecker(chart: Chart) -> bool:
    """TheDeepChecker's thresholds while training, of what a look notes."""
    train = chart.curve("train.loss")
    looks = chart.looks
    gradients = [each.mean_gradient for look in looks for each in look.weights.values()]
    ratios = [np.log10(max(ratio, 1e-300)) for look in looks for ratio in look.ratios]
    hidden = [each.a_std for look in looks for each in look.units if not each.is_output]
    drop = len(train) > 5 and bool((train[5:] > 0.95 * train[:-5]).any())
    return bool(
        chart.diverged is not None
        or any(not 1e-6 <= each <= 1e6 for each in gradients)
        or any(not -4 <= each <= -1 for each in ratios)
        or any(not 0.5 <= each <= 2 for each in hidden)
        or drop
    )


PUBLISHED: dict[str, Callable[[Chart], bool]] = {
    "SageMaker Debugger": sagemaker,
    "AUTOTRAINER": autotrainer,
    "TheDeepChecker": deepchecker,
}


def _imbalance(chart: Chart) -> float:
    if chart.labels is None:
        return 1.0
    counts = np.bincount(chart.labels)
    return float(counts.max() / max(1, counts[counts > 0].min()))


def _in_words(found: dict[str, Any]) -> str:
    marks = {True: "yes", False: "no", None: ""}
    rows = [
        [
            row["run"],
            ", ".join(row["said"]) or "nothing",
            marks[row["right"] if row["is_sick"] else not row["critical"]],
        ]
        for row in found["rows"]
    ]
    published = [
        [name, f"{rates['any_alarm_on_sick']:.2f}", f"{rates['any_alarm_on_healthy']:.2f}"]
        for name, rates in found["published"].items()
    ]
    return "\n".join(
        [
            machine.sentences(found["machine"]),
            "",
            machine.table(["run", "the doctor says", "right"], rows),
            "",
            f"{found['sick']} sick runs: the cause named in {found['recall']:.2f}, the right layer in "
            f"{found['right_layer']:.2f}, the right first step in {found['right_step']:.2f} of them; "
            f"{found['healthy']} healthy ones, a critical finding on {found['critical_on_healthy']:.2f}; "
            f"precision of alarms {found['precision']:.2f}; {found['seconds']:.2f} s a run, its training included.",
            "",
            machine.table(["published defaults, any alarm", "on sick runs", "on healthy runs"], published),
        ]
    )
