"""Our numbers beside those of independent implementations: PyTorch's, stored, and scikit-learn's, computed here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

from engine.inspection import inspect
from engine.optimizers import AdamSpec, SgdSpec
from engine.training import TrainingData, train
from tests.engine.factories import dense, network, rows, start, targets, training

REFERENCE = json.loads((Path(__file__).parent / "reference" / "reference.json").read_text())
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": SgdSpec(learning_rate=0.1)},
    "momentum": {"optimizer": SgdSpec(learning_rate=0.05, momentum=0.9)},
    "nesterov": {"optimizer": SgdSpec(learning_rate=0.05, momentum=0.9, nesterov=True)},
    "adam": {"optimizer": AdamSpec(learning_rate=0.01)},
    "adam with l2": {"optimizer": AdamSpec(learning_rate=0.01, beta1=0.8, beta2=0.99, epsilon=1e-6), "l2": 0.1},
}


@pytest.mark.parametrize("name", REFERENCE["passes"])
@pytest.mark.parametrize("head", ["auto", "general"])
def test_every_tensor_is_pytorchs(name: str, head: Any) -> None:
    case = REFERENCE["passes"][name]
    tensors = {key: np.array(values) for key, values in case["tensors"].items()}
    count = len(case["activations"])
    layers = [dense(tensors[f"b.{n}"].size, case["activations"][n - 1]) for n in range(1, count + 1)]
    net = network(*layers, loss=case["loss"])
    flat = net.flatten({key: tensors[key] for key in net.shapes}, dtype="float64")

    found = inspect(net, flat, tensors["A.0"], np.array(case["Y"]), quantities=list(tensors), head=head)

    np.testing.assert_allclose(found.example_losses, case["losses"], rtol=1e-11)
    for key, tensor in tensors.items():
        np.testing.assert_allclose(found.tensors[key], tensor, rtol=1e-10, atol=1e-14, err_msg=key)


@pytest.mark.parametrize("name", REFERENCE["steps"])
def test_twenty_updates_are_pytorchs(name: str) -> None:
    case = REFERENCE["steps"][name]
    net = network()
    spec = training(epochs=20, batch_size=7, dtype="float64", early_stopping=None, **{"l2": 0.0, **OPTIMIZERS[name]})
    state = start(net, spec)
    state.parameters[...] = case["start"]

    reports = list(train(net, TrainingData(np.array(case["X"]), np.array(case["Y"])), spec, state, seed=0))

    np.testing.assert_allclose(state.parameters, case["end"], rtol=1e-10, atol=1e-13)
    losses = [report.values["train.running_loss"] for report in reports]  # type: ignore[union-attr]
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-11)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic"])
@pytest.mark.parametrize("loss", ["half_squared_error", "binary_cross_entropy", "cross_entropy"])
def test_gradients_are_scikit_learns(activation: str, loss: str) -> None:
    n_out = {"half_squared_error": 2, "binary_cross_entropy": 1, "cross_entropy": 3}[loss]
    head = {"half_squared_error": "identity", "binary_cross_entropy": "sigmoid", "cross_entropy": "softmax"}[loss]
    X, Y = rows(20), targets(loss, 20, n_out)
    net = network(dense(5, "sigmoid" if activation == "logistic" else activation), dense(n_out, head), loss=loss)
    flat = net.initial_parameters(seed=2, dtype="float64")

    found = inspect(net, flat, X, Y, quantities=["dW", "db"])

    weights = net.views(flat)
    expected = _scikit_learns(activation, loss, X, Y, weights)
    for name in ("dW.1", "dW.2", "db.1", "db.2"):
        np.testing.assert_allclose(found.tensors[name], expected[name], rtol=1e-10, atol=1e-13, err_msg=name)


def _scikit_learns(activation: str, loss: str, X: Any, Y: Any, weights: Any) -> dict[str, Any]:
    """The gradients of scikit-learn's MLP, read off one plain step of rate 1 from these weights."""
    options = {"hidden_layer_sizes": (5,), "activation": activation, "solver": "sgd", "learning_rate_init": 1.0}
    options |= {"momentum": 0.0, "alpha": 0.0, "batch_size": len(X)}
    if loss == "half_squared_error":
        model, labels, more = MLPRegressor(**options), Y, {}
    else:
        labels = Y.argmax(axis=1) if loss == "cross_entropy" else Y[:, 0]
        model, more = MLPClassifier(**options), {"classes": np.unique(labels)}
    model.partial_fit(X, labels, **more)
    model.coefs_ = [weights["W.1"].copy(), weights["W.2"].copy()]
    model.intercepts_ = [weights["b.1"].copy(), weights["b.2"].copy()]
    model.partial_fit(X, labels)
    after = dict(zip(("W.1", "W.2", "b.1", "b.2"), [*model.coefs_, *model.intercepts_], strict=True))
    return {f"d{name}": weights[name] - values for name, values in after.items()}
