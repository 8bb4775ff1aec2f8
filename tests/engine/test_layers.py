"""Normalization, noise, embeddings, recurrence and residual blocks: passes against nudges, training against its bits."""

from collections.abc import Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import checkpoints
from engine.errors import DataError, SpecError
from engine.inspection import check, inspect
from engine.layers import (
    ActivationLayerSpec,
    AlphaDropoutSpec,
    BatchNormSpec,
    DropoutSpec,
    EmbeddingSpec,
    GaussianNoiseSpec,
    GruSpec,
    LayerNormSpec,
    LayerSpec,
    LstmSpec,
    ResidualSpec,
    RmsNormSpec,
)
from engine.network import Network
from engine.parameters import Array, Shape
from engine.spec import NetworkSpec
from engine.training import StepReport, TrainingData, TrainingState, train
from engine.workspace import Batch, Workspace
from tests.engine.factories import dense, loss_of, network, one_hot, rows, start, targets, training


def residual(*layers: LayerSpec) -> ResidualSpec:
    return ResidualSpec(layers=layers)


def sequences(*layers: LayerSpec, shape: Shape = (4, 3), loss: str = "cross_entropy") -> Network:
    """A network on rows of this shape, with a softmax of three classes as its head."""
    return Network.build([*layers, dense(3, "softmax")], input_shape=shape, loss=loss_of(loss))


RELU = ActivationLayerSpec(activation="relu")  # type: ignore[arg-type]
LAST = GruSpec(units=3)
"""Makes one vector of a sequence."""
STACKS: dict[str, tuple[Shape, list[LayerSpec]]] = {
    "batch_norm": ((4,), [dense(5), BatchNormSpec(momentum=0.3)]),
    "batch_norm first": ((4,), [BatchNormSpec(), dense(5, "relu")]),
    "batch_norm before relu": ((4,), [dense(5, "identity"), BatchNormSpec(), RELU]),
    "batch_norm, not affine": ((4,), [dense(5), BatchNormSpec(affine=False), dense(4)]),
    "batch_norm of sequences": ((4, 3), [BatchNormSpec(), LAST]),
    "layer_norm": ((4,), [dense(5), LayerNormSpec()]),
    "layer_norm first": ((4,), [LayerNormSpec(), dense(5)]),
    "layer_norm, not affine": ((4,), [dense(5), LayerNormSpec(affine=False)]),
    "layer_norm of sequences": ((4, 3), [LayerNormSpec(), LAST]),
    "rms_norm": ((4,), [dense(5), RmsNormSpec()]),
    "rms_norm, not affine": ((4,), [dense(5), RmsNormSpec(affine=False)]),
    "rms_norm of sequences": ((4, 3), [RmsNormSpec(), LAST]),
    "alpha_dropout": ((4,), [dense(5), AlphaDropoutSpec(rate=0.3)]),
    "alpha_dropout first": ((4,), [AlphaDropoutSpec(rate=0.3), dense(5)]),
    "gaussian_noise": ((4,), [dense(5), GaussianNoiseSpec(std=0.3)]),
    "gaussian_noise first": ((4,), [GaussianNoiseSpec(std=0.3), dense(5)]),
    "gru": ((4, 3), [GruSpec(units=5)]),
    "gru of a gru": ((4, 3), [GruSpec(units=5, return_sequences=True), GruSpec(units=2)]),
    "gru, one step": ((1, 3), [GruSpec(units=2, return_sequences=True), GruSpec(units=2)]),
    "gru behind dense and relu": ((4, 3), [dense(4, "relu"), GruSpec(units=3, return_sequences=True), RELU, LAST]),
    "lstm": ((4, 3), [LstmSpec(units=5)]),
    "lstm of an lstm": ((4, 3), [LstmSpec(units=5, return_sequences=True), LstmSpec(units=2)]),
    "lstm, one step": ((1, 3), [LstmSpec(units=2, return_sequences=True), LstmSpec(units=2)]),
    "lstm behind dense and relu": ((4, 3), [dense(4, "relu"), LstmSpec(units=3, return_sequences=True), RELU, LAST]),
    "residual": ((4,), [dense(5), residual(dense(6, "relu"), dense(5, "relu"))]),
    "residual first": ((4,), [residual(dense(4))]),
    "residual first, of an activation": ((4,), [residual(RELU), dense(4)]),
    "residual of an activation": ((4,), [dense(5), residual(ActivationLayerSpec(activation="tanh"))]),  # type: ignore[arg-type]
    "residual behind relu": ((4,), [dense(5, "relu"), residual(RELU, dense(5, "sigmoid")), RELU]),
    "residual with a projection": ((4,), [dense(5), residual(dense(6, "relu"), dense(3))]),
    "residual first, with a projection": ((4,), [residual(DropoutSpec(rate=0.5), dense(3))]),
    "residual in a residual": ((4,), [dense(5), residual(residual(dense(5, "relu"), RELU), dense(7), residual(RELU))]),
    "residual with norms": ((4,), [dense(5), residual(BatchNormSpec(), RELU, dense(5), LayerNormSpec(), RELU)]),
    "residual of sequences": ((4, 3), [residual(GruSpec(units=5, return_sequences=True), RmsNormSpec()), LAST]),
    "two residuals in a row": ((4,), [residual(dense(4)), residual(dense(4, "relu")), RELU]),
}
IDS: dict[str, list[LayerSpec]] = {
    "a gru": [EmbeddingSpec(vocabulary_size=6, dim=3), GruSpec(units=4)],
    "an lstm": [EmbeddingSpec(vocabulary_size=6, dim=3), LstmSpec(units=4)],
    "norms": [EmbeddingSpec(vocabulary_size=6, dim=3), LayerNormSpec(), DropoutSpec(rate=0.3), LAST],
    "a residual": [EmbeddingSpec(vocabulary_size=6, dim=3), residual(dense(3, "relu")), LAST],
}


def ids(m: int, T: int = 5, *, seed: int = 0, dtype: str = "float64") -> Array:
    return np.random.default_rng(seed).integers(6, size=(m, T)).astype(dtype)


def lively(net: Network, *, seed: int = 4, dtype: str = "float64") -> Array:
    """Parameters of which none is at its start, and positive running variances."""
    flat = net.initial_parameters(seed=seed, dtype=dtype)
    flat[: net.parameter_count] += np.random.default_rng(1).normal(scale=0.3, size=net.parameter_count)
    for name, values in net.views(flat).items():
        if name.startswith("running_"):
            values[...] = np.random.default_rng(2).uniform(0.5, 2, values.shape)
    return flat


def placed(net: Network, flat: Array, X: Array, Y: Array, **options: Any) -> Batch:
    """A batch that is filled and ready to run."""
    batch = Workspace(net, flat, rows=len(X), **options).cut(len(X))
    batch.X[...], batch.Y[...] = X, Y
    batch.workspace.at(seed=1, epoch=2, step=3)
    return batch


def batch_of(net: Network, m: int, *, X: Array | None = None, dtype: str = "float64", **options: Any) -> Batch:
    X = rows(m, net.n_in, seed=m, dtype=dtype) if X is None else X
    return placed(net, lively(net, dtype=dtype), X, targets("cross_entropy", m, 3, dtype=dtype), **options)


def pattern(batch: Batch) -> list[Array | None]:
    """On which smooth piece of its function each layer is."""
    layers = zip(batch.workspace.network.layers, batch.slots, strict=True)
    return [layer.pieces(slot) for layer, slot in layers]


def nudged(batch: Batch, numbers: Array, *, h: float = 1e-4) -> Array:
    """The mean loss's derivative by each of `numbers`, by the four-point rule; NaN where a kink was crossed.

    Every pass makes the same draws.
    """

    def loss() -> float:
        batch.forward()
        return float(batch.example_losses().mean())

    loss()
    pieces, found = pattern(batch), np.empty(numbers.size)
    for place in range(numbers.size):
        kept, losses, is_smooth = numbers.flat[place], {}, True
        for step in (-2, -1, 1, 2):
            numbers.flat[place] = kept + step * h
            losses[step] = loss()
            is_smooth &= all(np.array_equal(a, b) for a, b in zip(pieces, pattern(batch), strict=True))  # type: ignore[arg-type]
        numbers.flat[place] = kept
        slope = (8 * (losses[1] - losses[-1]) - (losses[2] - losses[-2])) / (12 * h)
        found[place] = slope if is_smooth else np.nan
    return found.reshape(numbers.shape)


def assert_gradients_are_nudges(batch: Batch) -> None:
    """Each parameter's and, where there is a derivative, each input's; the batch is of an unshared workspace."""
    workspace = batch.workspace
    batch.forward()
    batch.backward(scale=1 / batch.m)
    pairs = [(workspace.gradient.copy(), workspace.parameters[: workspace.network.parameter_count])]
    if batch.slots[0].dx is not None:
        pairs.append((batch.slots[0].dx.reshape(batch.X.shape).copy(), batch.X))
    size = max(np.abs(analytic).max() for analytic, _ in pairs)

    for analytic, numbers in pairs:
        measured = nudged(batch, numbers)
        smooth = np.isfinite(measured)
        assert smooth.mean() > 0.5
        np.testing.assert_allclose(analytic[smooth], measured[smooth], rtol=1e-7, atol=1e-8 * size)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("m", [1, 2, 7])
def test_every_stack_against_nudges(name: str, is_training: bool, m: int) -> None:
    shape, layers = STACKS[name]

    assert_gradients_are_nudges(
        batch_of(sequences(*layers, shape=shape), m, training=is_training, shared=False, input_gradient=True)
    )


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("m", [1, 2, 7])
def test_embeddings_against_nudges(name: str, m: int) -> None:
    net = sequences(*IDS[name], shape=(5,))

    assert_gradients_are_nudges(batch_of(net, m, X=ids(m), training=True, shared=False, input_gradient=True))


@pytest.mark.parametrize("name", [*STACKS, *IDS])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shared_and_unshared_workspaces_give_the_same_bits(name: str, is_training: bool, dtype: str) -> None:
    shape, layers = STACKS[name] if name in STACKS else ((5,), IDS[name])
    net = sequences(*layers, shape=shape)
    X = ids(7, dtype=dtype) if name in IDS else rows(7, net.n_in, dtype=dtype)
    found = []
    for shared in (True, False):
        batch = batch_of(net, 7, X=X, dtype=dtype, shared=shared, training=is_training)
        batch.forward()
        batch.backward(scale=1 / 7)
        found.append((batch.workspace.gradient, batch.workspace.parameters, batch.A))

    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert np.abs(found[0][0]).max() > 0
