from math import erf, sqrt
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

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
    "constant": 0.0,
    "normal": 0.01,
    "truncated_normal": 0.02 * 0.8796256610342397,  # √(1 − 4φ(2)/(2Φ(2) − 1))
    "uniform": 0.05 / sqrt(3),
    "orthogonal": sqrt(1 / 400),
}


def draw(name: str, W: np.ndarray, *, seed: int = 1, **options: Any) -> None:
    options = {"value": 0.25} | options if name == "constant" else options
    spec = INITIALIZERS[name].spec(**options)
    n_out = W.shape[-1]
    initialize(W, spec, generator(seed, "initial_weights"), n_in=W.size // n_out, n_out=n_out)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_weights_have_the_published_spread(name: str) -> None:
    W = np.empty((400, 200))

    draw(name, W)

    assert W.std() == pytest.approx(DEVIATIONS[name], rel=0.01)
    assert abs(W.mean() - (0.25 if name == "constant" else 0)) <= 0.01 * DEVIATIONS[name] * 3


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


@pytest.mark.parametrize(("option", "value"), [("std", 3.0), ("limit", 3.0), ("gain", 3.0), ("value", 3.0)])
def test_an_option_scales_the_draw(option: str, value: float) -> None:
    for name, kind in INITIALIZERS.items():
        if option in kind.spec.model_fields:
            single, scaled = np.empty((40, 20)), np.empty((40, 20))

            draw(name, single, **{option: 1.0})
            draw(name, scaled, **{option: value})

            np.testing.assert_allclose(scaled, value * single, rtol=1e-14, atol=1e-15)


def test_a_truncated_normal_is_a_normal_one_without_its_tails() -> None:
    W = np.empty((400, 500))

    draw("truncated_normal", W, std=1.0)

    assert 1.99 < np.abs(W).max() <= 2
    for inside in (0.5, 1.0, 1.5):
        assert (np.abs(W) <= inside).mean() == pytest.approx(erf(inside / sqrt(2)) / erf(sqrt(2)), abs=5e-3)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (7, 3), (3, 7), (1, 4), (3, 3, 2, 4), (2, 8)])
@pytest.mark.parametrize("gain", [1.0, 1.7])
def test_orthogonal_weights_stretch_nothing(shape: tuple[int, ...], gain: float) -> None:
    W = np.empty(shape)

    draw("orthogonal", W, gain=gain)

    matrix = W.reshape(-1, shape[-1])
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(tall.T @ tall, gain**2 * np.eye(tall.shape[1]), atol=1e-14)


def test_no_sign_is_likelier_than_another_among_orthogonal_weights() -> None:
    """Without the sign of R's diagonal the first entry of every Q would be negative, or its diagonal biased."""
    diagonals = []
    for seed in range(400):
        W = np.empty((3, 3))
        draw("orthogonal", W, seed=seed)
        diagonals.append(np.diagonal(W).copy())

    assert np.abs(np.mean(diagonals, axis=0)).max() < 4 * sqrt(1 / 3 / 400)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("constant", {}),
        ("normal", {"std": 0}),
        ("truncated_normal", {"std": -1}),
        ("uniform", {"limit": 0}),
        ("orthogonal", {"gain": float("inf")}),
        ("he_normal", {"std": 1}),
    ],
)
def test_a_bad_option_is_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        INITIALIZERS[name].spec(**options)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_can_start_a_dense_layer(name: str) -> None:
    init = {"type": name, "value": 0.1} if name == "constant" else name
    net = network(dense(5, init=init), dense(3, "softmax", init=init))

    double, single = (net.initial_parameters(seed=3, dtype=dtype) for dtype in ("float64", "float32"))

    np.testing.assert_array_equal(double.astype("float32"), single)


@pytest.mark.parametrize(("activation", "expected"), [("selu", sqrt(1 / 300)), ("gelu", sqrt(2 / 300))])
def test_auto_follows_the_activation(activation: str, expected: float) -> None:
    net = network(dense(200, activation), n_in=300, loss="half_squared_error")

    assert net.views(net.initial_parameters(seed=1, dtype="float64"))["W.1"].std() == pytest.approx(expected, rel=0.02)


def test_biases_start_at_zero_and_both_dtypes_from_the_same_draw() -> None:
    net = network()

    double, single = (net.initial_parameters(seed=3, dtype=dtype) for dtype in ("float64", "float32"))

    assert not net.views(double)["b.1"].any()
    np.testing.assert_array_equal(double.astype("float32"), single)
