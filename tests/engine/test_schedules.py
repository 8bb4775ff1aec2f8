"""Every schedule against PyTorch's rates or its own equation, and in a training."""

import json
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.schedules import SCHEDULES, Plateau, Schedule
from engine.training import EpochReport, train
from tests.engine.factories import clusters, network, start, training

REFERENCE = json.loads((Path(__file__).parent / "reference" / "schedules.json").read_text())


def schedule(kind: str, **options: Any) -> Schedule:
    needed = {"milestones": (3, 5)} if kind == "multi_step" else {}
    return SCHEDULES[kind](SCHEDULES[kind].spec(type=kind, **{**needed, **options}))


@pytest.mark.parametrize("kind", REFERENCE["schedules"])
def test_the_rate_at_each_epochs_start_is_pytorchs(kind: str) -> None:
    case = REFERENCE["schedules"][kind]
    found = schedule(kind, **case["options"])

    np.testing.assert_allclose([found(epoch, 30) for epoch in range(30)], case["rates"], rtol=1e-12, atol=1e-15)


def test_plateaus_bring_the_rate_down_one_epoch_before_pytorchs() -> None:
    """PyTorch's patience lets one more stale epoch pass than ours, which counts as early stopping does."""
    case = REFERENCE["plateau"]
    found, plateau, rates = schedule("reduce_on_plateau", gamma=0.5, patience=3, min_delta=0.01, end=0.2), Plateau(), []

    for value in case["values"]:
        found.note(plateau, value)
        rates.append(found.fallen(plateau))

    assert rates == pytest.approx(case["rates"])


def test_one_cycle_rises_to_the_peak_and_falls_far_below_its_start() -> None:
    found = schedule("one_cycle", rise=0.25, start_divisor=10, end_divisor=100)

    assert [found(at, 40) for at in (0, 5, 10, 25, 40)] == pytest.approx(
        [0.1, 0.1 + 0.45 * (1 - cos(pi / 2)), 1.0, 0.001 + 0.4995 * (1 + cos(pi / 2)), 0.001]
    )


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_warm_up_goes_in_front_of_any(kind: str) -> None:
    plain, warmed = schedule(kind), schedule(kind, warmup_epochs=4, warmup_start=0.2)
    first = plain(0, 30)

    assert [warmed(at, 34) for at in (0, 2)] == pytest.approx([0.2 * first, 0.6 * first])
    assert [warmed(4 + at, 34) for at in (0, 0.5, 7, 29)] == pytest.approx([plain(at, 30) for at in (0, 0.5, 7, 29)])


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_schedule_stays_between_0_and_1_even_beyond_its_end(kind: str) -> None:
    found = schedule(kind)

    assert all(0 <= found(at, epochs) <= 1 for epochs in (1, 3, 50) for at in np.linspace(0, 60, 241).tolist())


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_training_reports_the_rate_of_its_last_step(kind: str) -> None:
    options = {"type": kind, "milestones": [1, 2]} if kind == "multi_step" else {"type": kind}
    net, spec = network(), training(epochs=3, schedule=options)

    reports = [each for each in train(net, clusters(), spec, start(net, spec), seed=7) if isinstance(each, EpochReport)]

    plan, steps = SCHEDULES[kind](spec.schedule), 6  # 90 rows in batches of 16
    expected = [0.001 * plan(epoch + (steps - 1) / steps, 3) for epoch in range(3)]
    assert [report.values["learning_rate"] for report in reports] == pytest.approx(expected)
