"""L-BFGS against the textbook's theorems and PyTorch's, alone and in a training."""

import json
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sklearn.datasets import load_digits

from engine import checkpoints
from engine.errors import Diverged, SpecError
from engine.layers import DropoutSpec
from engine.network import Network
from engine.optimizers import AdamSpec, LbfgsSpec, OptimizerSpec
from engine.optimizers.lbfgs import Lbfgs, Trial, product
from engine.parameters import Array, Layout
from engine.spec import NetworkSpec, OutputSpec, RunSpec, TrainingSpec
from engine.training import EpochReport, TrainingData, TrainingState, check_updates, train
from engine.training.full_batch import Objective
from engine.training.trainer import Trainer
from tests.engine.factories import clusters, dense, loss_of, network, one_hot, start, training

REFERENCE = json.loads((Path(__file__).parent / "reference" / "optimizers.json").read_text())


class Counted:
    """A function whose evaluations at new points are counted."""

    def __init__(self, function: Callable[[Array], tuple[float, Array]]) -> None:
        self.function, self.points = function, list[Array]()
        self.found: tuple[float, Array] = (0.0, np.empty(0))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        if not self.points or not np.array_equal(theta, self.points[-1]):
            self.points.append(theta.copy())
            self.found = self.function(theta)
        return self.found


def rosenbrock(theta: Array) -> tuple[float, Array]:
    across, along, gradient = theta[1:] - theta[:-1] ** 2, 1 - theta[:-1], np.zeros_like(theta)
    gradient[1:] += 200 * across
    gradient[:-1] -= 400 * across * theta[:-1] + 2 * along
    return float((100 * across**2 + along**2).sum()), gradient


def quadratic(size: int, *, seed: int) -> tuple[Callable[[Array], tuple[float, Array]], Array]:
    """½θᵀAθ − bᵀθ of a well-conditioned A, and its minimum."""
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.normal(size=(size, size)))
    A, b = basis @ np.diag(np.linspace(1, 20, size)) @ basis.T, random.normal(size=size)
    return lambda theta: (float(0.5 * theta @ A @ theta - b @ theta), A @ theta - b), np.linalg.solve(A, b)


# The algorithm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 10])
def test_a_bent_valleys_minimum_is_pytorchs_after_as_many_evaluations(size: int) -> None:
    made, theta, function = Lbfgs(LbfgsSpec()), np.linspace(-1.2, 1.0, size), Counted(rosenbrock)
    moments, theirs = made.start(theta), REFERENCE["rosenbrock"][str(size)]

    for _ in range(theirs["steps"] + 3):
        made.step(theta, moments, function, 1.0)

    np.testing.assert_allclose(theta, theirs["end"], atol=3e-6)
    assert rosenbrock(theta)[0] < rosenbrock(np.array(theirs["end"]))[0]
    assert len(function.points) <= 1.1 * theirs["evaluations"]


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_with_exact_line_searches_a_quadratic_of_n_unknowns_is_solved_in_n_steps(size: int) -> None:
    function, solution = quadratic(size, seed=size)
    made, theta = Lbfgs(LbfgsSpec(c1=1e-10, c2=1e-9, max_evaluations=100)), np.zeros(size)
    moments = made.start(theta)

    for step in range(size):
        assert step == 0 or np.abs(theta - solution).max() > 1e-7  # and in no fewer
        made.step(theta, moments, function, 1.0)

    np.testing.assert_allclose(theta, solution, atol=1e-8)


@given(st.integers(1, 12), st.integers(0, 6), st.integers(0, 1000))
def test_the_two_loop_recursion_is_the_inverse_hessian_written_out(size: int, count: int, seed: int) -> None:
    """Equation 6.17, H ← (I − ρsyᵀ)H(I − ρysᵀ) + ρssᵀ, from H₀ = (sᵀy/yᵀy)·I of the newest pair."""
    random = np.random.default_rng(seed)
    g, S = random.normal(size=size), random.normal(size=(count, size))
    pairs = [(s, s * random.uniform(0.5, 2, size)) for s in S]
    H = np.eye(size)
    if pairs:
        s, y = pairs[-1]
        H *= s @ y / (y @ y)
    for s, y in pairs:
        V = np.eye(size) - np.outer(y, s) / (y @ s)
        H = V.T @ H @ V + np.outer(s, s) / (y @ s)

    np.testing.assert_allclose(product(g, pairs), H @ g, rtol=1e-7, atol=1e-9 * np.abs(H).max() * np.abs(g).max())


PHIS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "parabola": (lambda a: (a - 1) ** 2, lambda a: 2 * (a - 1)),
    "far": (lambda a: (a - 300) ** 2, lambda a: 2 * (a - 300)),
    "near": (lambda a: (a - 1e-4) ** 2, lambda a: 2 * (a - 1e-4)),
    "wavy": (
        lambda a: -a + 0.9 * np.sin(3 * a + 2.5) + 0.02 * a**2,
        lambda a: -1 + 2.7 * np.cos(3 * a + 2.5) + 0.04 * a,
    ),
    "flat": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "overflowing": (
        lambda a: (a - 1) ** 2 if a < 3 else np.inf,
        lambda a: 2 * (a - 1) if a < 3 else np.nan,
    ),
}


@pytest.mark.parametrize("name", PHIS)
@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("c2", [0.9, 0.1])
def test_the_line_search_ends_where_both_wolfe_conditions_hold(name: str, first: float, c2: float) -> None:
    value, slope = PHIS[name]
    made = Lbfgs(LbfgsSpec(c2=c2, max_evaluations=60))

    found = made.search(lambda a: Trial(a, value(a), slope(a)), Trial(0.0, value(0), slope(0)), first)

    assert found.length > 0
    assert found.value <= value(0) + made.c1 * found.length * slope(0)
    assert abs(found.slope) <= c2 * abs(slope(0))


def test_a_search_that_finds_nothing_lower_stays_and_forgets_its_history() -> None:
    made, theta = Lbfgs(LbfgsSpec()), np.ones(3)
    moments = made.start(theta)
    made.step(theta, moments, quadratic(3, seed=0)[0], 1.0)
    assert moments["S"].any()
    before = theta.copy()
    rises = Counted(lambda at: (float(np.abs(at - before).sum()), -np.ones(3)))  # its gradient tells lies

    made.step(theta, moments, rises, 1.0)

    np.testing.assert_array_equal(theta, before)
    assert not moments["S"].any()
    assert len(rises.points) <= made.max_evaluations + 1


def test_at_a_rate_of_zero_nothing_moves() -> None:
    made, theta = Lbfgs(LbfgsSpec()), np.ones(2)

    made.step(theta, made.start(theta), quadratic(2, seed=0)[0], 0.0)

    np.testing.assert_array_equal(theta, [1, 1])


def test_at_a_minimum_nothing_moves() -> None:
    made, theta = Lbfgs(LbfgsSpec()), np.ones(2)

    made.step(theta, made.start(theta), lambda at: (0.0, np.zeros(2)), 1.0)

    np.testing.assert_array_equal(theta, [1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c1": 0.3, "c2": 0.2}, "c1: expected less than c2, 0.2, or no step length need exist, got 0.3"),
        ({"history_size": 0}, "greater than or equal to 1"),
        ({"c2": 1}, "less than 1"),
        ({"max_evaluations": 0}, "greater than or equal to 1"),
    ],
)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(OptimizerSpec).validate_python({"type": "lbfgs", **options})


# In a training -------------------------------------------------------------------------------------------------------


def epochs(net: Network, spec: TrainingSpec, state: TrainingState, data: TrainingData) -> list[EpochReport]:
    reports = train(net, data, spec, state, seed=7, interrupt=lambda: True)
    return [report for report in reports if isinstance(report, EpochReport)]


def lbfgs(**changes: Any) -> TrainingSpec:
    return training(**{"optimizer": LbfgsSpec(), "epochs": 12, "early_stopping": None, **changes})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_a_training_resumed_from_bytes_after_each_epoch_ends_with_the_same_bits(
    dtype: str, shards: int, l2: float
) -> None:
    net, data = network(dense(8, "tanh"), dense(3, "softmax")), clusters(dtype=dtype)
    spec = lbfgs(dtype=dtype, shards=shards, l2=l2)
    undisturbed, state, found = start(net, spec), start(net, spec), list[EpochReport]()

    expected = epochs(net, spec, undisturbed, data)
    while not (found and found[-1].reason):
        found.append(next(train(net, data, spec, state, seed=7, steps_at_once=1)))  # type: ignore[arg-type]
        state = checkpoints.load(checkpoints.dump(state, net), net)

    assert state.parameters.tobytes() == undisturbed.parameters.tobytes()
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.digest == theirs.digest
        assert {**mine.values, "seconds": 0} == {**theirs.values, "seconds": 0}


@pytest.mark.parametrize("batch_size", [1, 7, 16, 1000])
def test_a_step_is_of_all_rows_however_many_go_through_at_once(batch_size: int) -> None:
    net, data = network(), clusters(dtype="float64")
    spec = lbfgs(dtype="float64", batch_size=batch_size, epochs=3)
    whole = lbfgs(dtype="float64", batch_size=90, epochs=3)
    mine, theirs = start(net, spec), start(net, whole)

    epochs(net, spec, mine, data)
    epochs(net, whole, theirs, data)

    np.testing.assert_allclose(mine.parameters, theirs.parameters, rtol=1e-9, atol=1e-12)


def test_the_penalty_is_part_of_what_is_minimized() -> None:
    net, data = network(dense(3, "softmax")), clusters(dtype="float64")
    spec = lbfgs(dtype="float64", l2=0.05, epochs=60)
    state = start(net, spec)

    epochs(net, spec, state, data)

    W, b = (net.views(state.parameters)[name] for name in ("W.1", "b.1"))
    error = (net.predict(state.parameters, data.X) - data.Y) / len(data.X)
    np.testing.assert_allclose(data.X.T @ error, -0.05 * W, atol=1e-7)
    np.testing.assert_allclose(error.sum(axis=0), 0 * b, atol=1e-7)


def test_the_running_loss_and_gradient_norm_are_those_the_step_began_from() -> None:
    net, data = network(dense(3, "softmax")), clusters(dtype="float64")
    spec = lbfgs(dtype="float64", l2=0.05, epochs=3)
    state = start(net, spec)
    begun = state.parameters.copy()
    error = (net.predict(begun, data.X) - data.Y) / len(data.X)
    gradient = np.concatenate([(data.X.T @ error).ravel(), error.sum(axis=0)])

    reports = epochs(net, spec, state, data)

    assert reports[0].values["train.running_loss"] == pytest.approx(net.evaluate(begun, data.X, data.Y).loss, rel=1e-12)
    assert reports[0].values["grad_norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-12)
    for before, after in pairwise(reports):
        assert after.values["train.running_loss"] == pytest.approx(before.values["train.loss"], rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits_reach_a_lower_loss_than_adams_in_as_many_passes(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, classes = load_digits(return_X_y=True)
    data = TrainingData((X / 16).astype(dtype), one_hot(classes, 10, dtype=dtype))
    net, passes = network(dense(10, "softmax"), n_in=64), list[int]()
    spec = lbfgs(dtype=dtype, l2=0.0, epochs=40, batch_size=256)
    plain = Trainer._whole

    def counted(trainer: Any, gradient: Array) -> float:
        passes.append(1)
        return plain(trainer, gradient)

    monkeypatch.setattr(Trainer, "_whole", counted)

    ours = epochs(net, spec, start(net, spec), data)[-1].values["train.loss"]

    assert ours is not None
    assert len(passes) < 1.2 * 40
    for rate in (0.003, 0.01, 0.03, 0.1):
        adam = training(dtype=dtype, l2=0.0, epochs=len(passes), optimizer=AdamSpec(learning_rate=rate), batch_size=32)
        theirs = epochs(net, adam, start(net, adam), data)[-1].values["train.loss"]
        assert theirs is not None
        assert ours < theirs, rate


def test_memory_does_not_grow_with_the_rows() -> None:
    net = network(dense(64, "relu"), dense(3, "softmax"))
    data, spec = clusters(m=60_000), lbfgs(epochs=6, batch_size=64)
    steps = train(net, data, spec, start(net, spec), seed=7)
    next(steps), next(steps)
    evaluated = len(data.X) * 3 * 4  # the outputs that an epoch's end measures

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    next(steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak - before < 3 * evaluated


@pytest.mark.parametrize("rate", [1e-6, 1e3, 1e6])
def test_a_first_length_of_any_size_ends_lower(rate: float) -> None:
    net, data = network(dense(8, "relu"), dense(3, "softmax")), clusters()
    spec = lbfgs(epochs=5, optimizer=LbfgsSpec(learning_rate=rate))

    losses = [report.values["train.running_loss"] for report in epochs(net, spec, start(net, spec), data)]

    assert losses == sorted(losses, reverse=True)  # type: ignore[type-var]
    assert losses[-1] < losses[0]  # type: ignore[operator]


def test_after_a_point_without_finite_numbers_the_one_before_is_looked_at_again() -> None:
    parameters = np.zeros(2)

    def whole(gradient: Array) -> float:
        gradient[...] = parameters
        if parameters[0] > 1:
            raise Diverged(epoch=1, step=1, layer="dense 1", found="too far")
        return float(parameters.sum())

    objective = Objective(whole, parameters, 0.0, Layout({"W.1": (2, 1)}))
    objective(np.array([1.0, 0.5]))

    assert objective(np.array([2.0, 0.0]))[0] == np.inf
    value, gradient = objective(np.array([1.0, 0.5]))
    assert value == 1.5
    np.testing.assert_array_equal(gradient, [1.0, 0.5])


def test_a_long_training_in_float32_stays_at_its_minimum() -> None:
    net, data = network(dense(3, "softmax")), clusters()
    spec = lbfgs(epochs=150, l2=0.01)

    losses = [report.values["train.loss"] for report in epochs(net, spec, start(net, spec), data)]

    assert losses[60:] == pytest.approx([losses[60]] * 90, rel=1e-5)


def test_undefined_numbers_in_the_rows_are_divergence_at_a_named_place() -> None:
    net, data, spec = network(), clusters(), lbfgs()
    data.X[3, 2] = np.nan

    with pytest.raises(Diverged, match=r"epoch 1, step 1, layer input: A\.0 holds"):
        epochs(net, spec, start(net, spec), data)


def test_dropout_is_refused_by_its_place() -> None:
    hidden = (dense(8), DropoutSpec(rate=0.1))
    net, spec = network(*hidden, dense(3, "softmax")), lbfgs()
    output = OutputSpec(activation=dense(1, "softmax").activation, units=3)
    run = RunSpec(
        target=("y",),
        network=NetworkSpec(layers=hidden, output=output),
        training=spec.model_copy(update={"loss": loss_of("cross_entropy")}),
    )

    for refused in (
        lambda: next(train(net, clusters(), spec, start(net, spec), seed=7)),
        lambda: check_updates(Network.of(run, n_in=4), run.training),
    ):
        with pytest.raises(
            SpecError, match=r"network\.layers\[1\]: lbfgs compares the loss at several points.*dropout"
        ):
            refused()


@pytest.mark.parametrize("after", [LbfgsSpec(history_size=3), AdamSpec()])
def test_a_fork_with_another_history_or_optimizer_starts_afresh(after: LbfgsSpec | AdamSpec) -> None:
    net, data, spec = network(), clusters(), lbfgs(epochs=2)
    state = start(net, spec)
    epochs(net, spec, state, data)
    forked = lbfgs(epochs=4, optimizer=after)

    state = checkpoints.load(checkpoints.dump(state, net), net)
    reports = epochs(net, forked, state, data)

    assert [report.epoch for report in reports] == [3, 4]
    assert {name: moment.shape for name, moment in state.moments.items()} == {
        name: moment.shape for name, moment in start(net, forked).moments.items()
    }


def test_a_fork_from_adam_goes_on_with_lbfgs_to_a_lower_loss() -> None:
    net, data = network(), clusters()
    adam = training(epochs=5, l2=0.0)
    state = start(net, adam)
    before = epochs(net, adam, state, data)[-1].values["train.loss"]

    after = epochs(net, lbfgs(epochs=15, l2=0.0), state, data)[-1].values["train.loss"]

    assert before is not None
    assert after is not None
    assert after < 0.5 * before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("clip", {"type": "value", "limit": 1.0}),
        ("l1", 0.1),
        ("max_norm", 2.0),
        ("average", {"decay": 0.9}),
        ("accumulate", 2),
        ("frozen", [1]),
        ("learning_rate_factors", {"1": 0.5}),
    ],
)
def test_what_follows_one_batch_each_is_refused_by_its_place(option: str, value: Any) -> None:
    net, spec = network(), training(optimizer={"type": "lbfgs"}, **{option: value})

    with pytest.raises(SpecError, match=rf"training\.{option}: lbfgs takes whole steps along its own line"):
        check_updates(net, spec)
