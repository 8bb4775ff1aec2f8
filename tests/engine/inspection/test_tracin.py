"""TracIn against the plain products of every row's own gradient."""

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from engine.inspection.influence import Queries, TracIn
from engine.layers import LayerSpec
from engine.losses import LOSSES
from engine.network import Network
from engine.parameters import Array
from engine.weights import relative_weights
from tests.engine.factories import dense, head_of, network, rows, targets
from tests.engine.inspection.naive import Naive

WEIGHTS = np.array([1.0, 0, 2, 0.5, 1, 3, 1])
RATES = (0.1, 0.03)


def plain(net: Network, X: Array, Y: Array, queries: Queries, thetas: list[Array], name: str) -> Array:
    """(queries, rows): the sum over moments of rate·g_q·g_i over one parameter."""
    total = np.zeros((queries.count, len(X)))
    for theta, rate in zip(thetas, RATES, strict=True):
        ours = Naive.of(net, theta, X, Y).of_parameter(name).reshape(len(X), -1)
        theirs = Naive.of(net, theta, queries.X, queries.Y, queries.weights).of_parameter(name)
        theirs = theirs.reshape(len(queries.X), -1)
        total += rate * (theirs if queries.each else theirs.mean(axis=0, keepdims=True)) @ ours.T
    return total


def assert_plain(
    net: Network,
    loss: str,
    *,
    weights: Array | None = None,
    asked_weights: Array | None = None,
    each: bool = False,
) -> None:
    X, Y = rows(7), targets(loss, 7, net.n_out)
    queries = Queries(rows(3, seed=5), targets(loss, 3, net.n_out, seed=6), weights=asked_weights, each=each)
    thetas = [net.initial_parameters(seed=seed, dtype="float64") for seed in (1, 2)]
    for theta in thetas:
        theta += np.random.default_rng(0).normal(scale=0.1, size=theta.shape)  # no b at 0

    found = TracIn(net, X, Y, weights, queries)
    for theta, rate in zip(thetas, RATES, strict=True):
        found.add(theta, rate)

    shares = np.ones(7) if weights is None else relative_weights(weights, 7)
    for place, number in enumerate(found.numbers):
        names = [name for name in net.shapes if name.endswith(f".{number}")]
        expected = sum(plain(net, X, Y, queries, thetas, name) for name in names) * shares
        np.testing.assert_allclose(found.values[:, place], expected, rtol=1e-9, atol=1e-12, err_msg=str(number))


@pytest.mark.parametrize("each", [True, False], ids=["each", "mean"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_the_products_are_those_of_formed_gradients(weights: Array | None, each: bool) -> None:
    net = network(dense(5), dense(4, "relu", use_bias=False), dense(3, "softmax"))

    assert_plain(net, "cross_entropy", weights=weights, each=each)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_has_its_influences(loss: str) -> None:
    assert_plain(network(dense(5), dense(2, head_of(loss)), loss=loss), loss, each=True)


def test_a_weighted_mean_is_asked_about_as_it_is_weighted() -> None:
    assert_plain(network(), "cross_entropy", asked_weights=np.array([1.0, 0, 3]))


LAYERS: dict[str, list[dict[str, Any]]] = {
    "normalized": [{"type": "dense", "units": 5, "activation": "prelu"}, {"type": "batch_norm"}, {"type": "rms_norm"}],
    "convolution": [
        {"type": "reshape", "shape": [4, 1]},
        {"type": "conv1d", "filters": 3, "kernel_size": 2, "activation": "tanh"},
        {"type": "flatten"},
    ],
    "lstm": [{"type": "reshape", "shape": [2, 2]}, {"type": "lstm", "units": 3}],
    "residual": [{"type": "residual", "layers": [{"type": "dense", "units": 6, "activation": "tanh"}]}],
}


@pytest.mark.parametrize("each", [True, False], ids=["each", "mean"])
@pytest.mark.parametrize("layers", LAYERS)
def test_any_layer_has_its_influences(layers: str, each: bool) -> None:
    specs = TypeAdapter(list[LayerSpec]).validate_python([*LAYERS[layers], dense(3, "softmax")])

    assert_plain(network(*specs), "cross_entropy", each=each)


def test_many_rows_go_through_in_parts() -> None:
    net, m = network(), 2500
    X, Y = rows(m), targets("cross_entropy", m, 3)
    theta = net.initial_parameters(seed=1, dtype="float64")
    queries = Queries(X[:1], Y[:1])

    whole, part = TracIn(net, X, Y, None, queries), TracIn(net, X[2000:2010], Y[2000:2010], None, queries)
    for each in (whole, part):
        each.add(theta, 0.1)

    assert net.evaluation_rows < m
    np.testing.assert_allclose(whole.values[..., 2000:2010], part.values, rtol=1e-12)
