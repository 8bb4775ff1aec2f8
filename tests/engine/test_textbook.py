"""The textbook's equations, written out plainly in `tests/textbook.py`, against our passes."""

from typing import Any

import numpy as np
import pytest

from engine.inspection import inspect
from engine.network import Network
from engine.parameters import Array
from tests.engine.factories import HEADS, dense, network, rows, targets
from tests.textbook import backpropagation

NETS = {
    "logistic regression, L = 1": [(1, "sigmoid")],
    "softmax regression, L = 1": [(3, "softmax")],
    "linear regression, L = 1": [(2, "identity")],
    "two layers": [(5, "relu"), (3, "softmax")],
    "three layers": [(6, "tanh"), (5, "relu"), (1, "sigmoid")],
    "several sigmoid outputs": [(6, "sigmoid"), (4, "sigmoid")],
    "regression": [(5, "tanh"), (4, "tanh"), (2, "identity")],
}


def case(name: str) -> tuple[Network, Array, Array, Array, dict[str, Array]]:
    """A net with parameters, a batch of 7, and all the textbook says of them, in columns."""
    widths = NETS[name]
    loss = HEADS[widths[-1][1]]
    net = network(*(dense(units, activation) for units, activation in widths), loss=loss)
    flat = net.initial_parameters(seed=3, dtype="float64")
    flat += np.random.default_rng(0).normal(scale=0.2, size=flat.size)
    X, Y = rows(7), targets(loss, 7, widths[-1][0])
    columns = {key: view.T for key, view in net.views(flat).items()}
    return net, flat, X, Y, backpropagation(columns, [activation for _, activation in widths], X.T, Y.T)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("orientation", ["rows", "columns"])
def test_every_quantity_is_the_textbooks(name: str, orientation: Any) -> None:
    net, flat, X, Y, truth = case(name)

    found = inspect(net, flat, X, Y, quantities=["Z", "A", "dZ", "dA", "dW", "db"], orientation=orientation)

    assert found.loss == pytest.approx(truth["loss"], rel=1e-13)
    np.testing.assert_allclose(found.example_losses, truth["losses"], rtol=1e-12)
    assert set(found.tensors) == set(truth) - {"loss", "losses"}
    for key, tensor in found.tensors.items():
        expected = truth[key] if orientation == "columns" else truth[key].T
        np.testing.assert_allclose(tensor, expected, rtol=1e-10, atol=1e-15, err_msg=key)


@pytest.mark.parametrize("name", NETS)
def test_the_gradient_has_the_shape_of_what_it_belongs_to(name: str) -> None:
    net, flat, X, Y, _ = case(name)

    found = inspect(net, flat, X, Y, quantities=["Z", "A", "W", "b", "dZ", "dA", "dW", "db"])

    for key in [key for key in found.tensors if not key.startswith("d")]:
        assert found.tensors[f"d{key}"].shape == found.tensors[key].shape


@pytest.mark.parametrize("name", NETS)
def test_the_factor_one_over_m_stands_where_the_convention_puts_it(name: str) -> None:
    net, flat, X, Y, _ = case(name)

    own = inspect(net, flat, X, Y, quantities=["dZ", "dA", "dW", "db"]).tensors
    mean = inspect(net, flat, X, Y, quantities=["dZ", "dA", "dW", "db"], convention="mean").tensors

    for key in own:
        factor = 7 if key.startswith(("dZ", "dA")) else 1
        np.testing.assert_allclose(mean[key] * factor, own[key], rtol=1e-12, atol=1e-16, err_msg=key)
