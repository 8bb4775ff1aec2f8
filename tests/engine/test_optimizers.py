"""Every optimizer against PyTorch's stored updates, and against its published equations one number at a time."""

import json
import tracemalloc
from collections.abc import Callable
from math import copysign, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from engine.optimizers import BLOCK, OPTIMIZERS, Optimizer, OptimizerSpec, Stretch, Updater
from engine.parameters import Array
from engine.penalties import penalty_plan
from engine.plans import run
from tests.engine.factories import network

REFERENCE = json.loads((Path(__file__).parent / "reference" / "optimizers.json").read_text())
STEPS = 25


def optimizer(kind: str, **options: Any) -> Optimizer:
    return OPTIMIZERS[kind](TypeAdapter(OptimizerSpec).validate_python({"type": kind, **options}))


def apply(update: Updater, count: int, rate: float) -> None:
    """The update that is the count-th, at this learning rate."""
    update.numbers[:] = update.numbers_of(count, rate)
    for each in update.plan:
        each()


def steps(made: Optimizer, theta: Array, gradients: Array, *, stretches: list[Stretch] | None = None) -> Array:
    """The parameters after an update with each gradient."""
    theta, gradient = theta.copy(), np.empty_like(theta)
    update = Updater(
        made, theta, gradient, made.start(theta), stretches or [Stretch(slice(0, theta.size), decays=True)]
    )
    for count, g in enumerate(gradients, start=1):
        gradient[...] = g
        with np.errstate(over="ignore"):
            apply(update, count, made.learning_rate)
    return theta


# PyTorch's -----------------------------------------------------------------------------------------------------------

CASES: dict[str, Optimizer] = {
    "sgd": optimizer("sgd", learning_rate=0.1),
    "sgd dampening": optimizer("sgd", learning_rate=0.05, momentum=0.9, dampening=0.3),
    "sgd nesterov": optimizer("sgd", learning_rate=0.05, momentum=0.8, nesterov=True),
    "adam": optimizer("adam", learning_rate=0.01),
    "adam options": optimizer("adam", learning_rate=0.1, beta1=0.5, beta2=0.9, epsilon=1e-3),
    "adamw": optimizer("adamw", learning_rate=0.01),
    "adamw options": optimizer("adamw", learning_rate=0.1, beta1=0.8, beta2=0.99, epsilon=1e-4, weight_decay=0.5),
    "adamw no decay": optimizer("adamw", learning_rate=0.1, weight_decay=0),
    "amsgrad": optimizer("amsgrad", learning_rate=0.01),
    "amsgrad options": optimizer("amsgrad", learning_rate=0.1, beta1=0.7, beta2=0.5, epsilon=1e-3),
    "nadam": optimizer("nadam"),
    "nadam options": optimizer("nadam", learning_rate=0.1, beta1=0.8, beta2=0.95, epsilon=1e-4, momentum_decay=0.3),
    "nadam no momentum": optimizer("nadam", learning_rate=0.1, beta1=0, beta2=0.9, momentum_decay=0),
    "radam": optimizer("radam", learning_rate=0.01),
    "radam options": optimizer("radam", learning_rate=0.1, beta1=0.8, beta2=0.9, epsilon=1e-3),
    "radam never rectified": optimizer("radam", learning_rate=0.1, beta1=0.8, beta2=0.5),
    "rmsprop": optimizer("rmsprop"),
    "rmsprop options": optimizer("rmsprop", learning_rate=0.1, alpha=0.8, epsilon=1e-3),
    "rmsprop momentum": optimizer("rmsprop", momentum=0.9),
    "rmsprop centered": optimizer("rmsprop", alpha=0.9, centered=True),
    "rmsprop both": optimizer("rmsprop", alpha=0.9, epsilon=1e-2, momentum=0.5, centered=True),
    "adagrad": optimizer("adagrad"),
    "adagrad options": optimizer(
        "adagrad", learning_rate=0.1, lr_decay=0.05, initial_accumulator_value=0.5, epsilon=1e-3
    ),
    "adadelta": optimizer("adadelta"),
    "adadelta options": optimizer("adadelta", learning_rate=0.5, rho=0.6, epsilon=1e-2),
}


@pytest.mark.parametrize("name", REFERENCE["ends"])
def test_fifty_updates_are_pytorchs(name: str) -> None:
    begin, gradients = np.array(REFERENCE["start"]), np.array(REFERENCE["gradients"])
    weights = REFERENCE["weights"]
    stretches = [Stretch(slice(0, weights), decays=True), Stretch(slice(weights, begin.size))]

    end = steps(CASES[name], begin, gradients, stretches=stretches)

    np.testing.assert_allclose(end, REFERENCE["ends"][name], rtol=1e-12)


# Published equations -------------------------------------------------------------------------------------------------


def plain_sgd(theta: float, gradients: list[float]) -> float:
    for g in gradients:
        theta -= 0.1 * g
    return theta


def nesterov(theta: float, gradients: list[float]) -> float:
    v = 0.0
    for g in gradients:
        v = 0.9 * v + g
        theta -= 0.1 * (g + 0.9 * v)
    return theta


def adam(theta: float, gradients: list[float]) -> float:
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        theta -= 0.1 * (m / (1 - 0.9**t)) / (sqrt(v / (1 - 0.999**t)) + 1e-8)
    return theta


def adamw(theta: float, gradients: list[float]) -> float:
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        theta -= 0.1 * ((m / (1 - 0.9**t)) / (sqrt(v / (1 - 0.999**t)) + 1e-8) + 0.3 * theta)
    return theta


def lion(theta: float, gradients: list[float]) -> float:
    m = 0.0
    for g in gradients:
        c = 0.8 * m + 0.2 * g
        m = 0.95 * m + 0.05 * g
        theta -= 0.1 * (copysign(1, c) + 0.3 * theta)
    return theta


PUBLISHED: list[tuple[Optimizer, Callable[[float, list[float]], float]]] = [
    (optimizer("sgd", learning_rate=0.1), plain_sgd),
    (optimizer("sgd", learning_rate=0.1, momentum=0.9, nesterov=True), nesterov),
    (optimizer("adam", learning_rate=0.1), adam),
    (optimizer("adamw", learning_rate=0.1, weight_decay=0.3), adamw),
    (optimizer("lion", learning_rate=0.1, beta1=0.8, beta2=0.95, weight_decay=0.3), lion),
]


@pytest.mark.parametrize(("made", "published"), PUBLISHED, ids=[published.__name__ for _, published in PUBLISHED])
def test_updates_are_the_published_ones(made: Optimizer, published: Callable[[float, list[float]], float]) -> None:
    size = BLOCK + 3  # one whole block and a short one
    random = np.random.default_rng(0)
    begin, history = random.normal(size=size), random.normal(size=(STEPS, size))

    theta = steps(made, begin, history)

    for place in (0, 1, BLOCK - 1, BLOCK, size - 1):
        expected = published(float(begin[place]), [float(g) for g in history[:, place]])
        assert theta[place] == pytest.approx(expected, rel=1e-12, abs=1e-13)


# Every optimizer -----------------------------------------------------------------------------------------------------

BLOCKWISE = [name for name in CASES if " " not in name] + ["lion"]


@pytest.mark.parametrize("name", BLOCKWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [0.0, 1e-12, 1000.0])
def test_updates_stay_finite_whatever_the_gradients_size(name: str, dtype: str, scale: float) -> None:
    random = np.random.default_rng(3)
    theta = random.normal(size=7).astype(dtype)
    gradients = (scale * random.normal(size=(STEPS, 7))).astype(dtype)

    end = steps(optimizer(name), theta, gradients)

    assert end.dtype == dtype
    assert np.isfinite(end).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_centered_variance_that_rounds_below_zero_has_a_root(dtype: str) -> None:
    made = optimizer("rmsprop", centered=True, alpha=0.9)

    end = steps(made, np.zeros(100, dtype), np.broadcast_to(np.linspace(0.1, 1, 100).astype(dtype), (2000, 100)))

    assert np.isfinite(end).all()


@pytest.mark.parametrize("name", BLOCKWISE)
def test_an_update_depends_on_its_count_alone_not_on_those_asked_for_before(name: str) -> None:
    asked, fresh = optimizer(name), optimizer(name)
    for count in (1, 2, 900, 3):
        asked.numbers(count, 0.1)

    assert asked.numbers(7, 0.1) == fresh.numbers(7, 0.1)
    assert all(np.isfinite(fresh.numbers(count, 0.1)).all() for count in (1, 2, 10, 1000, 10_000_000))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lion_moves_by_the_rate_whatever_the_gradients_size_and_not_without_one(dtype: str) -> None:
    gradient = np.array([[0.0, -0.0, 1e-35, -1e-35, 1.0, -1e15]], dtype)

    end = steps(optimizer("lion", learning_rate=0.5), np.zeros(6, dtype), gradient)

    np.testing.assert_array_equal(end, [0, 0, -0.5, 0.5, -0.5, 0.5])


@pytest.mark.parametrize("name", [*BLOCKWISE, "rmsprop both", "sgd dampening", "sgd nesterov"])
def test_an_update_allocates_nothing(name: str) -> None:
    made, theta = CASES.get(name) or optimizer(name), np.ones(3 * BLOCK, "float32")
    update = Updater(made, theta, np.full_like(theta, 0.1), made.start(theta), [Stretch(slice(0, theta.size))])

    with np.errstate(all="ignore"):
        apply(update, 1, 0.1)
        tracemalloc.start()
        apply(update, 2, 0.1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 5_000


@pytest.mark.parametrize("name", ["adamw", "lion"])
def test_decay_shrinks_weights_and_nothing_else(name: str) -> None:
    made, theta = optimizer(name, learning_rate=0.1, weight_decay=0.5), np.ones(4)
    stretches = [Stretch(slice(0, 2), decays=True), Stretch(slice(2, 4))]

    end = steps(made, theta, np.zeros((1, 4)), stretches=stretches)

    np.testing.assert_array_equal(end, [0.95, 0.95, 1, 1])


@pytest.mark.parametrize("name", BLOCKWISE)
def test_a_stretchs_factor_is_its_share_of_the_rate(name: str) -> None:
    random = np.random.default_rng(4)
    begin, history = random.normal(size=4), random.normal(size=(STEPS, 4))
    stretches = [Stretch(slice(0, 2), factor=0.5, decays=True), Stretch(slice(2, 4), decays=True)]
    slow = optimizer(name, learning_rate=0.5 * optimizer(name).learning_rate)

    end = steps(optimizer(name), begin, history, stretches=stretches)

    np.testing.assert_array_equal(end[:2], steps(slow, begin, history)[:2])
    np.testing.assert_array_equal(end[2:], steps(optimizer(name), begin, history)[2:])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "sgd", "dampening": 0.5}, "dampening: expected a momentum above 0 to dampen, got momentum 0"),
        (
            {"type": "sgd", "momentum": 0.9, "dampening": 0.5, "nesterov": True},
            "dampening: expected 0 beside nesterov, got 0.5",
        ),
        ({"type": "rmsprop", "alpha": 1.0}, "less than 1"),
        ({"type": "adamw", "weight_decay": -1}, "greater than or equal to 0"),
        ({"type": "nadam", "momentum_decay": -1}, "greater than or equal to 0"),
        ({"type": "adagrad", "initial_accumulator_value": -0.1}, "greater than or equal to 0"),
        ({"type": "adadelta", "rho": 1}, "less than 1"),
        ({"type": "lion", "beta2": 1}, "less than 1"),
        ({"type": "radam", "epsilon": 0}, "greater than 0"),
    ],
)
def test_an_option_that_cannot_work_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(OptimizerSpec).validate_python(spec)


def test_the_penalty_adds_lambda_w_to_dw_and_nothing_to_db() -> None:
    net = network()
    parameters = net.initial_parameters(seed=1, dtype="float64") + 1
    gradient = np.zeros_like(parameters)

    run(penalty_plan(0.0, 0.25, net.layout, parameters, gradient))

    found, theta = net.views(gradient), net.views(parameters)
    np.testing.assert_array_equal(found["W.2"], 0.25 * theta["W.2"])
    assert not found["b.2"].any()


# As a linear map -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_an_updates_linear_map_is_what_it_did(name: str) -> None:
    made, random = CASES[name], np.random.default_rng(4)
    theta, gradient = random.normal(size=7), np.zeros(7)
    moments = made.start(theta)
    update = Updater(made, theta, gradient, moments, [Stretch(slice(0, 7))])

    for count in range(1, 12):
        gradient[...] = random.normal(size=7)
        before, stood = {key: moment.copy() for key, moment in moments.items()}, theta.copy()
        apply(update, count, 0.1)
        scalars = dict(zip(made.scalars, made.numbers(count, 0.1), strict=True))
        found = made.linear(before, moments, scalars)

        moved = found.of_gradient * gradient
        if made.memory is not None:
            m = made.kept * before[made.memory] + found.entered * gradient
            np.testing.assert_allclose(moments[made.memory], m, rtol=1e-12, atol=1e-15)
            moved = moved + found.of_memory * m
        np.testing.assert_allclose(stood - theta, moved, rtol=1e-9, atol=1e-14)


def test_only_signs_and_line_searches_are_not_linear() -> None:
    assert {name for name, kind in OPTIMIZERS.items() if not kind.is_linear} == {"lion", "lbfgs"}
