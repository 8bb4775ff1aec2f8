"""Every optimizer against its published equations, written out one number at a time."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest

from engine.optimizers import BLOCK, OPTIMIZERS, AdamSpec, SgdSpec, Stretch, Updater
from engine.penalties import penalty_plan
from engine.plans import run
from tests.engine.factories import network

STEPS = 25


def plain_sgd(theta: float, gradients: list[float]) -> float:
    for g in gradients:
        theta -= 0.1 * g
    return theta


def momentum(theta: float, gradients: list[float]) -> float:
    v = 0.0
    for g in gradients:
        v = 0.9 * v + g
        theta -= 0.1 * v
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


CASES = [
    (SgdSpec(learning_rate=0.1), plain_sgd),
    (SgdSpec(learning_rate=0.1, momentum=0.9), momentum),
    (SgdSpec(learning_rate=0.1, momentum=0.9, nesterov=True), nesterov),
    (AdamSpec(learning_rate=0.1), adam),
]


@pytest.mark.parametrize(("spec", "published"), CASES, ids=[published.__name__ for _, published in CASES])
def test_updates_are_the_published_ones(
    spec: AdamSpec | SgdSpec, published: Callable[[float, list[float]], float]
) -> None:
    size = BLOCK + 3  # one whole block and a short one
    random = np.random.default_rng(0)
    theta, gradient = random.normal(size=size), np.empty(size)
    kind = OPTIMIZERS[spec.type]
    moments = {name: np.zeros(size) for name in kind.moments}
    update = Updater(kind(spec), theta, gradient, moments, [Stretch(slice(0, size))])
    begin, history = theta.copy(), random.normal(size=(STEPS, size))

    for count, g in enumerate(history, start=1):
        gradient[...] = g
        update(count, 0.1)

    for place in (0, 1, BLOCK - 1, BLOCK, size - 1):
        expected = published(float(begin[place]), [float(g) for g in history[:, place]])
        assert theta[place] == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_the_penalty_adds_lambda_w_to_dw_and_nothing_to_db() -> None:
    net = network()
    parameters = net.initial_parameters(seed=1, dtype="float64") + 1
    gradient = np.zeros_like(parameters)

    run(penalty_plan(0.0, 0.25, net.layout, parameters, gradient))

    found, theta = net.views(gradient), net.views(parameters)
    np.testing.assert_array_equal(found["W.2"], 0.25 * theta["W.2"])
    assert not found["b.2"].any()
