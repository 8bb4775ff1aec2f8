"""Every layer, activation and loss against nudges: the derivative measured from the loss alone, in float64."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.layers import (
    ACTIVATIONS,
    ActivationLayerSpec,
    AlphaDropoutSpec,
    BatchNormSpec,
    DropoutSpec,
    GaussianNoiseSpec,
    LayerNormSpec,
    LayerSpec,
    ResidualSpec,
    RmsNormSpec,
)
from engine.losses import LOSSES, Loss
from engine.network import Evaluator, Network
from engine.parameters import Array
from engine.workspace import Workspace
from tests.engine.factories import dense, head_of, network, rows, targets

DEFINED = [(head, loss) for head in ACTIVATIONS for loss in LOSSES if LOSSES[loss].suits(ACTIVATIONS[head])]
STACKS: dict[str, list[LayerSpec]] = {
    "no hidden layer": [],
    "one hidden layer": [dense(5)],
    "two hidden layers": [dense(5), dense(4, "relu")],
    "an activation of its own": [dense(5, "identity"), ActivationLayerSpec(activation="tanh")],  # type: ignore[arg-type]
    "two activations in a row": [dense(5, "tanh"), ActivationLayerSpec(activation="sigmoid")],  # type: ignore[arg-type]
    "an activation first": [ActivationLayerSpec(activation="tanh"), dense(5, "leaky_relu")],  # type: ignore[arg-type]
    "dropout, which is off": [dense(5), DropoutSpec(rate=0.5), dense(4, "sigmoid")],
    "dropout first": [DropoutSpec(rate=0.5), dense(4)],
    "noise, which is off": [dense(5), GaussianNoiseSpec(std=0.5), AlphaDropoutSpec(rate=0.5)],
    "batch norm, with running statistics": [dense(5), BatchNormSpec()],
    "layer norm and rms norm": [dense(5), LayerNormSpec(), dense(4), RmsNormSpec()],
    "a residual block": [dense(5), ResidualSpec(layers=(dense(6, "sigmoid"), dense(5)))],
    "a residual block with a projection": [ResidualSpec(layers=(dense(6, "sigmoid"), dense(5)))],
}


def passed(net: Network, flat: Array, X: Array, Y: Array, **options: Any) -> Workspace:
    """A workspace after one forward and one backward pass of the mean loss."""
    workspace = Workspace(net, flat, rows=len(X), **options)
    batch = workspace.cut(len(X))
    batch.X[...], batch.Y[...] = X, Y
    batch.forward()
    batch.backward(scale=1 / len(X))
    return workspace


def nudged(net: Network, flat: Array, X: Array, Y: Array, numbers: Array) -> Array:
    """The derivative of the mean loss by each of `numbers`, a view into the parameters or X itself.

    Four points, (8(L₁ − L₋₁) − (L₂ − L₋₂))/12h, cancel every error up to h⁴. Under a loss with kinks they lie closer
    together, so that they stay on one side.
    """
    found, h = np.empty(numbers.size), 1e-4 if type(net.loss).pieces is Loss.pieces else 1e-5
    evaluator = Evaluator(net, flat, rows=len(X))
    for place in range(numbers.size):
        kept = numbers.flat[place]
        losses = {}
        for step in (-2, -1, 1, 2):
            numbers.flat[place] = kept + step * h
            losses[step] = evaluator.evaluate(X, Y).loss
        numbers.flat[place] = kept
        found[place] = (8 * (losses[1] - losses[-1]) - (losses[2] - losses[-2])) / (12 * h)
    return found.reshape(numbers.shape)


def assert_gradients_are_nudges(net: Network, *, m: int = 6, X: Array | None = None) -> None:
    flat, X = net.initial_parameters(seed=4, dtype="float64"), rows(m, net.n_in, seed=m) if X is None else X
    learned = flat[: net.parameter_count]
    learned += np.random.default_rng(1).normal(scale=0.3, size=learned.size)
    Y = targets(net.loss.spec.model_fields["type"].default, m, net.n_out)
    workspace = passed(net, flat, X, Y, input_gradient=True)

    by_parameters, by_inputs = nudged(net, flat, X, Y, learned), nudged(net, flat, X, Y, X)

    size = np.abs(by_parameters).max()
    np.testing.assert_allclose(workspace.gradient, by_parameters, rtol=1e-7, atol=1e-9 * size)
    np.testing.assert_allclose(workspace.derivatives[0].reshape(X.shape), by_inputs, rtol=1e-7, atol=1e-9 * size)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_activation_under_every_loss(activation: str, loss: str) -> None:
    assert_gradients_are_nudges(network(dense(5, activation), dense(3, head_of(loss)), loss=loss))


@pytest.mark.parametrize(("head", "loss"), DEFINED)
def test_every_head_under_every_loss_it_is_defined_for(head: str, loss: str) -> None:
    assert_gradients_are_nudges(network(dense(5), dense(3, head), loss=loss))


@pytest.mark.parametrize("name", STACKS)
def test_every_kind_of_stack(name: str) -> None:
    assert_gradients_are_nudges(network(*STACKS[name], dense(3, "softmax")))


@pytest.mark.parametrize("m", [1, 2, 7])
def test_any_number_of_rows(m: int) -> None:
    assert_gradients_are_nudges(network(dense(5), dense(3, "softmax")), m=m)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("loss", LOSSES)
def test_shared_and_unshared_workspaces_give_the_same_bits(name: str, loss: str) -> None:
    net = network(*STACKS[name], dense(3, head_of(loss)), loss=loss)
    flat, X, Y = net.initial_parameters(seed=1, dtype="float32"), rows(7, dtype="float32"), targets(loss, 7, 3)

    shared, unshared = (passed(net, flat, X, Y, shared=is_shared) for is_shared in (True, False))

    np.testing.assert_array_equal(shared.gradient, unshared.gradient)


def test_a_short_last_batch_is_a_batch_of_its_own() -> None:
    net = network()
    flat, X, Y = net.initial_parameters(seed=1, dtype="float64"), rows(3), targets("cross_entropy", 3, 3)
    workspace = passed(net, flat, rows(8, seed=9), targets("cross_entropy", 8, 3))
    batch = workspace.cut(3)
    batch.X[...], batch.Y[...] = X, Y
    batch.forward()
    batch.backward(scale=1 / 3)

    np.testing.assert_allclose(workspace.gradient, passed(net, flat, X, Y).gradient, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    activations=st.lists(st.sampled_from(["tanh", "sigmoid", "identity"]), min_size=4, max_size=4),
    loss=st.sampled_from([name for name, kind in LOSSES.items() if kind.pieces is Loss.pieces]),
    n_in=st.integers(1, 6),
    m=st.integers(1, 9),
)
def test_any_smooth_network(widths: list[int], activations: list[str], loss: str, n_in: int, m: int) -> None:
    hidden = [dense(width, name) for width, name in zip(widths, activations, strict=False)]

    assert_gradients_are_nudges(network(*hidden, dense(3, head_of(loss)), loss=loss, n_in=n_in), m=m)
