"""The gain ledger: its terms sum to the whole, and name the operation that makes a gradient vanish."""

import numpy as np
import pytest

from engine.inspection import inspect
from engine.inspection.gains import gains
from tests.engine.factories import dense, network, rows, targets

M = 6


def deep(activation: str, *, layers: int = 6):
    net = network(*[dense(5, activation) for _ in range(layers)], dense(3, "softmax"), n_in=4)
    return net, net.initial_parameters(seed=0, dtype="float64"), rows(M), targets("cross_entropy", M, 3)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "leaky_relu"])
def test_the_terms_are_the_ratios_of_the_norms_and_sum_to_the_whole(activation: str) -> None:
    net, flat, X, Y = deep(activation)
    norms = {
        name: np.linalg.norm(array) for name, array in inspect(net, flat, X, Y, quantities=["dZ", "dA"]).tensors.items()
    }

    found = gains(net, flat, X, Y)

    for gain in found.gains:
        assert gain.gain == pytest.approx(np.log10(norms[gain.after] / norms[gain.before]), rel=1e-10, abs=1e-12)
    assert (found.start, found.end) == ("dZ.7", "dZ.1")
    assert found.total == pytest.approx(np.log10(norms["dZ.1"] / norms["dZ.7"]), rel=1e-12)
    assert abs(found.residual) < 1e-12


def test_the_sigmoid_is_guilty_and_not_the_weights() -> None:
    found = gains(*deep("sigmoid"))

    assert found.total < -2
    assert found.largest_loss is not None
    assert found.largest_loss.operation.startswith("g′")
    slopes = [gain.gain for gain in found.gains if gain.operation.startswith("g′")]
    assert sum(slopes) < 0.8 * found.total


def test_nothing_left_is_minus_infinity_and_nothing_come_is_no_number() -> None:
    net, flat, X, Y = deep("relu", layers=3)
    net.views(flat)["b.2"][:], net.views(flat)["b.3"][:] = -1e6, 1.0

    found = gains(net, flat, X, Y)

    by_name = {gain.operation: gain.gain for gain in found.gains}
    assert by_name["g′ of layer 2"] == -np.inf
    assert np.isnan(by_name["g′ of layer 1"])
