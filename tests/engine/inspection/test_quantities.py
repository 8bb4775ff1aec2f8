"""The catalogue's quantities, each against the plain way to compute it."""

import numpy as np

from engine.inspection import inspect
from engine.layers import DenseSpec
from engine.losses import CrossEntropySpec
from engine.network import Network

NETWORK = Network.build(
    [DenseSpec(units=4, activation={"type": "tanh"}), DenseSpec(units=3, activation={"type": "softmax"})],
    input_shape=(5,),
    loss=CrossEntropySpec(),
)


def test_example_norms_are_those_of_each_examples_own_gradient() -> None:
    random = np.random.default_rng(1)
    parameters = NETWORK.initial_parameters(seed=1, dtype="float64")
    X, Y = random.normal(size=(6, 5)), np.eye(3)[random.integers(0, 3, 6)]

    found = inspect(NETWORK, parameters, X, Y, quantities=["example_norm"]).tensors

    for i in range(6):
        alone = inspect(NETWORK, parameters, X[i : i + 1], Y[i : i + 1], quantities=["dW", "db"]).tensors
        norm = np.sqrt(sum(np.square(each).sum() for each in alone.values()))
        np.testing.assert_allclose(found["example_norm"][i], norm, rtol=1e-12)
        np.testing.assert_allclose(found["example_norm.W.1"][i], np.linalg.norm(alone["dW.1"]), rtol=1e-12)
