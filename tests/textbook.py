"""The textbook's equations, written out with examples in columns: the independent witness of our own passes.

W[l] is n_l × n_(l−1), b[l] is n_l × 1, X is n_0 × m. dZ and dA are each example's own derivatives, and the factor
1/m stands in dW and db.
"""

import numpy as np

from engine.parameters import Array

Values = dict[str, Array]


def sigmoid(Z: Array) -> Array:
    return 1 / (1 + np.exp(-Z))


def softmax(Z: Array) -> Array:
    return np.exp(Z) / np.exp(Z).sum(axis=0, keepdims=True)


ACTIVATIONS = {
    "identity": lambda Z: Z,
    "tanh": np.tanh,
    "relu": lambda Z: np.maximum(0, Z),
    "sigmoid": sigmoid,
    "softmax": softmax,
}
SLOPES = {
    "identity": np.ones_like,
    "tanh": lambda Z: 1 - np.tanh(Z) ** 2,
    "relu": lambda Z: (Z > 0) * 1.0,
    "sigmoid": lambda Z: sigmoid(Z) * (1 - sigmoid(Z)),
}
LOSSES = {
    "identity": lambda A, Y: (0.5 * (A - Y) ** 2).sum(axis=0),
    "sigmoid": lambda A, Y: -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum(axis=0),
    "softmax": lambda A, Y: -(Y * np.log(A)).sum(axis=0),
}
DERIVATIVES = {
    "identity": lambda A, Y: A - Y,
    "sigmoid": lambda A, Y: (A - Y) / (A * (1 - A)),
    "softmax": lambda A, Y: -Y / A,
}
"""dA[L] of the loss that belongs to each head."""


def backpropagation(parameters: Values, activations: list[str], X: Array, Y: Array) -> Values:
    """Every Z, A, dZ, dA, dW, db, the examples' losses and their mean, by name; `parameters` are in columns form."""
    L, m = len(activations), X.shape[1]
    found = {"A.0": X}
    for layer, activation in enumerate(activations, start=1):
        found[f"Z.{layer}"] = parameters[f"W.{layer}"] @ found[f"A.{layer - 1}"] + parameters[f"b.{layer}"].reshape(
            -1, 1
        )
        found[f"A.{layer}"] = ACTIVATIONS[activation](found[f"Z.{layer}"])
    head = activations[-1]
    found["losses"] = LOSSES[head](found[f"A.{L}"], Y)
    found["loss"] = found["losses"].mean()
    found[f"dA.{L}"] = DERIVATIVES[head](found[f"A.{L}"], Y)
    for layer in range(L, 0, -1):
        if layer == L:
            found[f"dZ.{layer}"] = found[f"A.{layer}"] - Y
        else:
            found[f"dZ.{layer}"] = found[f"dA.{layer}"] * SLOPES[activations[layer - 1]](found[f"Z.{layer}"])
        found[f"dW.{layer}"] = found[f"dZ.{layer}"] @ found[f"A.{layer - 1}"].T / m
        found[f"db.{layer}"] = found[f"dZ.{layer}"].sum(axis=1) / m
        found[f"dA.{layer - 1}"] = parameters[f"W.{layer}"].T @ found[f"dZ.{layer}"]
    return found
