from math import sqrt

import numpy as np
import pytest

from engine.initializers import INITIALIZERS, initialize
from engine.randomness import generator
from tests.engine.factories import dense, network

DEVIATIONS = {
    "he_normal": sqrt(2 / 400),
    "he_uniform": sqrt(2 / 400),
    "glorot_normal": sqrt(2 / 600),
    "glorot_uniform": sqrt(2 / 600),
    "lecun_normal": sqrt(1 / 400),
    "lecun_uniform": sqrt(1 / 400),
    "zeros": 0.0,
}


def draw(name: str, W: np.ndarray) -> None:
    initialize(W, INITIALIZERS[name].spec(), generator(1, "initial_weights"), n_in=400, n_out=200)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_have_the_published_spread(name: str) -> None:
    W = np.empty((400, 200))

    draw(name, W)

    assert W.std() == pytest.approx(DEVIATIONS[name], rel=0.01)
    assert abs(W.mean()) <= 0.01 * DEVIATIONS[name] * 3


@pytest.mark.parametrize("name", [name for name in INITIALIZERS if name.endswith("uniform")])
def test_uniform_weights_fill_their_interval_and_never_leave_it(name: str) -> None:
    W = np.empty((400, 200))

    draw(name, W)

    limit = sqrt(3) * DEVIATIONS[name]
    assert 0.999 * limit < np.abs(W).max() <= limit


@pytest.mark.parametrize(("activation", "expected"), [("relu", sqrt(2 / 300)), ("tanh", sqrt(2 / 500))])
def test_auto_is_he_before_a_relu_and_glorot_elsewhere(activation: str, expected: float) -> None:
    net = network(dense(200, activation), n_in=300, loss="half_squared_error")

    W = net.views(net.initial_parameters(seed=1, dtype="float64"))["W.1"]

    assert W.std() == pytest.approx(expected, rel=0.02)


def test_biases_start_at_zero_and_both_dtypes_from_the_same_draw() -> None:
    net = network()

    double, single = (net.initial_parameters(seed=3, dtype=dtype) for dtype in ("float64", "float32"))

    assert not net.views(double)["b.1"].any()
    np.testing.assert_array_equal(double.astype("float32"), single)
