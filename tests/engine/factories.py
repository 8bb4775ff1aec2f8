"""Small networks and batches for the engine's tests; every argument has a default that most tests keep."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.layers import DenseSpec, LayerSpec
from engine.losses import LOSSES
from engine.network import Network
from engine.options import Choice
from engine.parameters import Array
from engine.spec import TrainingSpec
from engine.training import TrainingData, TrainingState

HEADS = {"identity": "half_squared_error", "sigmoid": "binary_cross_entropy", "softmax": "cross_entropy"}
"""The textbook's heads, each with its loss."""


def dense(units: int, activation: Any = "tanh", **more: Any) -> DenseSpec:
    return DenseSpec(units=units, activation=activation, **more)


def network(*layers: LayerSpec, n_in: int = 4, loss: str | Choice = "cross_entropy") -> Network:
    layers = layers or (dense(5), dense(3, "softmax"))
    return Network.build(layers, input_shape=(n_in,), loss=loss_of(loss) if isinstance(loss, str) else loss)


def loss_of(name: str, **options: Any) -> Choice:
    """A loss's spec, with its defaults unless said otherwise."""
    return LOSSES[name].spec.model_validate({"type": name, **options})


def head_of(loss: str) -> str:
    """The activation a loss is canonical with."""
    return LOSSES[loss].canonical


def rows(m: int = 60, n_in: int = 4, *, seed: int = 0, dtype: str = "float64") -> Array:
    return np.random.default_rng(seed).normal(size=(m, n_in)).astype(dtype)


def one_hot(classes: Sequence[int] | Array, count: int = 3, *, dtype: str = "float64") -> Array:
    return np.eye(count, dtype=dtype)[np.asarray(classes)]


def targets(loss: str, m: int, n_out: int, *, seed: int = 1, dtype: str = "float64") -> Array:
    """Targets the loss is defined for."""
    random, kind = np.random.default_rng(seed), LOSSES[loss]
    if "regression" in kind.learns:
        return (random.normal(size=(m, n_out)) if kind.standardises else random.gamma(2, size=(m, n_out))).astype(dtype)
    if kind.canonical == "softmax":
        return one_hot(random.integers(n_out, size=m), n_out, dtype=dtype)
    return random.integers(2, size=(m, n_out)).astype(dtype)


def clusters(m: int = 120, *, dtype: str = "float32", validation: int = 30) -> TrainingData:
    """Three classes that a small net can tell apart, but not at once."""
    random = np.random.default_rng(5)
    classes = np.arange(m) % 3
    X = (random.normal(size=(m, 4)) + np.eye(3, 4)[classes] * 2).astype(dtype)
    Y = one_hot(classes, dtype=dtype)
    return TrainingData(X[validation:], Y[validation:], X[:validation], Y[:validation])


def training(**changes: Any) -> TrainingSpec:
    return TrainingSpec(**{"loss": "cross_entropy", "epochs": 4, "batch_size": 16, **changes})


def start(net: Network, spec: TrainingSpec, *, seed: int = 7) -> TrainingState:
    return TrainingState.start(net, spec, seed=seed)
