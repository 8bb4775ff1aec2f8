"""Paths: the largest are those of all that a naive walk finds, and the parts sum to the gradient."""

from itertools import product

import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection import inspect
from engine.inspection.paths import paths
from tests.engine.factories import dense, network, rows, targets

M = 4


def subject(activation: str = "tanh"):
    net = network(dense(3, activation), dense(4, activation), dense(2, activation), dense(3, "softmax"), n_in=2)
    return net, net.initial_parameters(seed=1, dtype="float64"), rows(M, 2), targets("cross_entropy", M, 3)


def every_path(net, flat, X, Y, k: int, j: int) -> list[float]:
    """The product along each way from W.1[k,j] to an output, of each example, in plain loops."""
    A = inspect(net, flat, X, Y, quantities=["A", "dZ.4"]).tensors
    views = net.views(flat)
    slope = {layer: 1 - A[f"A.{layer}"] ** 2 for layer in (1, 2, 3)}
    return [
        X[i, k]
        * slope[1][i, j]
        * views["W.2"][j, a]
        * slope[2][i, a]
        * views["W.3"][a, b]
        * slope[3][i, b]
        * views["W.4"][b, c]
        * A["dZ.4"][i, c]
        / M
        for i, a, b, c in product(range(M), range(4), range(2), range(3))
    ]


def test_the_largest_paths_are_those_that_a_walk_of_all_finds() -> None:
    net, flat, X, Y = subject()
    naive = every_path(net, flat, X, Y, 1, 2)

    found = paths(net, flat, X, Y, address="dW.1[1,2]", most=7)

    assert found.count == len(naive) == M * 4 * 2 * 3
    np.testing.assert_allclose(
        [part.value for part in found.contributions], sorted(naive, key=abs, reverse=True)[:7], rtol=1e-12
    )
    for part in found.contributions:
        assert np.prod([factor.value for factor in part.factors]) / M == pytest.approx(part.value, rel=1e-12)
    assert found.sum == pytest.approx(sum(naive), rel=1e-12)
    assert found.shown + found.residual == pytest.approx(found.gradient, rel=1e-12)


@pytest.mark.parametrize("group", ["path", "example", "unit", "output"])
@pytest.mark.parametrize("address", ["dW.1[0,1]", "db.2[3]", "dW.3[1,0]"])
def test_every_grouping_sums_to_what_backpropagation_gave(group, address: str) -> None:
    net, flat, X, Y = subject("relu")

    found = paths(net, flat, X, Y, address=address, group=group, most=1000)

    assert found.shown == pytest.approx(found.gradient, rel=1e-12, abs=1e-16)
    assert abs(found.residual) < 1e-15


@pytest.mark.parametrize("address", ["W.1[0,1]", "dW.9[0,0]", "dW.1", "dZ.1[0,0]"])
def test_what_is_no_weights_gradient_is_refused(address: str) -> None:
    net, flat, X, Y = subject()

    with pytest.raises(SpecError, match="address"):
        paths(net, flat, X, Y, address=address)
