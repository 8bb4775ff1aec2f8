"""What keeps gradients and weights small, what averages and accumulates them, and which layers learn at all."""

from typing import Any

import numpy as np
import pytest

from engine.clipping import CLIPS
from engine.errors import SpecError
from engine.optimizers import SgdSpec
from engine.parameters import Array
from engine.penalties import max_norm_plan, penalty_plan
from engine.plans import run
from engine.spec import TrainingSpec
from engine.training import EpochReport, TrainingState, train
from tests.engine.factories import clusters, network, start, training


def trained(**changes: Any) -> tuple[TrainingState, list[EpochReport]]:
    net = network()
    spec = training(**{"dtype": "float64", "l2": 0.0, **changes})
    state = start(net, spec)
    return state, [
        report for report in train(net, clusters(dtype="float64"), spec, state, seed=7) if type(report) is EpochReport
    ]


def clipped(kind: str, limit: float) -> tuple[Array, Array]:
    net = network()
    gradient = np.random.default_rng(1).normal(size=net.parameter_count)
    before = gradient.copy()
    run(CLIPS[kind](CLIPS[kind].spec(type=kind, limit=limit)).plan(net.layout, gradient))
    return before, gradient


def test_clipping_by_value_bounds_each_element() -> None:
    before, after = clipped("value", 0.3)

    np.testing.assert_array_equal(after, np.clip(before, -0.3, 0.3))


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_by_norm_keeps_the_direction(limit: float) -> None:
    before, after = clipped("norm", limit)

    np.testing.assert_allclose(after, before * min(1, limit / np.linalg.norm(before)), rtol=1e-14)


def test_clipping_by_layer_looks_at_each_layers_w_and_b_together() -> None:
    before, after = clipped("layer", 1.0)

    net = network()
    for layer in ("1", "2"):
        W, b = (net.views(before)[f"{letter}.{layer}"] for letter in "Wb")
        scale = min(1, 1 / np.sqrt(np.square(W).sum() + np.square(b).sum()))
        np.testing.assert_allclose(net.views(after)[f"W.{layer}"], W * scale, rtol=1e-14)
        np.testing.assert_allclose(net.views(after)[f"b.{layer}"], b * scale, rtol=1e-14)


def test_penalties_are_the_derivative_of_what_they_say() -> None:
    net = network()
    theta = net.initial_parameters(seed=1, dtype="float64") + 0.1
    gradient = np.zeros_like(theta)

    run(penalty_plan(0.3, 0.2, net.layout, theta, gradient))

    W = net.views(theta)["W.1"]
    np.testing.assert_allclose(net.views(gradient)["W.1"], 0.3 * np.sign(W) + 0.2 * W, rtol=1e-14)
    assert not net.views(gradient)["b.1"].any()


def test_max_norm_shrinks_only_the_columns_that_are_too_long() -> None:
    net = network()
    theta = np.random.default_rng(2).normal(size=net.parameter_count)
    before = {name: view.copy() for name, view in net.views(theta).items()}

    run(max_norm_plan(1.5, net.layout, theta))

    for name, W in net.views(theta).items():
        norms = np.linalg.norm(before[name], axis=0)
        scale = np.minimum(1, 1.5 / norms) if name.startswith("W") else 1
        np.testing.assert_allclose(W, before[name] * scale, rtol=1e-14)


def test_the_average_is_what_is_evaluated_and_kept() -> None:
    state, reports = trained(average={"decay": 0.9}, epochs=3)

    data, net = clusters(dtype="float64"), network()
    assert state.average is not None
    assert state.best is not None
    assert reports[-1].values["train.loss"] == net.evaluate(state.average, data.X, data.Y).loss
    assert state.best.parameters.tobytes() == state.average.tobytes()
    assert state.average.tobytes() != state.parameters.tobytes()


def test_the_average_is_the_published_one() -> None:
    spec: dict[str, Any] = {"epochs": 1, "batch_size": 90, "optimizer": SgdSpec(learning_rate=0.1)}
    first = network().initial_parameters(seed=7, dtype="float64")
    plain, _ = trained(**spec)

    state, _ = trained(average={"decay": 0.9}, **spec)

    keep = 2 / 11  # (1 + t)/(10 + t) while that is below the decay
    np.testing.assert_allclose(state.average, keep * first + (1 - keep) * plain.parameters, rtol=1e-13)  # type: ignore[arg-type]


def test_accumulated_batches_are_one_larger_batch() -> None:
    optimizer = SgdSpec(learning_rate=0.1, momentum=0.5)
    large, _ = trained(batch_size=30, optimizer=optimizer)

    small, _ = trained(batch_size=10, accumulate=3, optimizer=optimizer)

    np.testing.assert_allclose(small.parameters, large.parameters, rtol=1e-11, atol=1e-13)
    assert small.updates == large.updates == 4 * 3


def test_what_waits_at_an_epochs_end_is_an_update_of_its_own() -> None:
    state, _ = trained(batch_size=10, accumulate=4, epochs=1)

    assert state.updates == 3  # of 9 batches: 4, 4 and 1
    assert state.accumulated is not None
    assert not state.accumulated.any()


def test_frozen_layers_stay_and_others_learn() -> None:
    state, _ = trained(frozen=[1])

    first = network().initial_parameters(seed=7, dtype="float64")
    found, begun = network().views(state.parameters), network().views(first)
    assert found["W.1"].tobytes() == begun["W.1"].tobytes()
    assert found["b.1"].tobytes() == begun["b.1"].tobytes()
    assert found["W.2"].tobytes() != begun["W.2"].tobytes()


def test_a_layers_factor_scales_its_learning_rate() -> None:
    once: dict[str, Any] = {"epochs": 1, "batch_size": 90, "optimizer": SgdSpec(learning_rate=0.1)}
    first = network().initial_parameters(seed=7, dtype="float64")
    plain, _ = trained(**once)

    slowed, _ = trained(learning_rate_factors={"2": 0.25}, **once)

    moves = [network().views(state.parameters - first) for state in (plain, slowed)]
    np.testing.assert_allclose(moves[1]["W.2"], 0.25 * moves[0]["W.2"], rtol=1e-10)
    np.testing.assert_allclose(moves[1]["W.1"], moves[0]["W.1"], rtol=1e-13)


@pytest.mark.parametrize("changes", [{"frozen": [3]}, {"learning_rate_factors": {"9": 0.5}}])
def test_a_layer_that_is_not_there_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"there is no layer \d; those that learn are 1 to 2"):
        trained(**changes)


def test_a_target_ends_the_training_when_it_is_reached() -> None:
    _, reports = trained(epochs=500, early_stopping={"monitor": "validation.accuracy", "target": 0.7})

    accuracies = [report.values["validation.accuracy"] or 0 for report in reports]
    assert reports[-1].reason == "target_reached"
    assert accuracies[-1] >= 0.7 > max(accuracies[:-1], default=0)


def test_a_spent_time_budget_ends_the_training_after_the_epoch() -> None:
    _, reports = trained(epochs=500, time_budget_seconds=1e-6)

    assert [report.reason for report in reports] == ["time_budget"]


def test_the_defaults_ask_for_none_of_it() -> None:
    plain = TrainingSpec()

    assert (plain.l1, plain.max_norm, plain.clip, plain.average, plain.accumulate) == (0, None, None, None, 1)
