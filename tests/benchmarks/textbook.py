"""A network and its training as a textbook writes them down in NumPy: one line for each equation, nothing saved.

Rows are examples. Every hidden layer is a ReLU; the head is softmax with cross-entropy for classes, and the sum itself
with half the squared error for numbers. Behind both, dZ of the last layer is A − Y.
"""

from collections.abc import Sequence

import numpy as np

from engine.parameters import Array

LEARNING_RATE, BETA1, BETA2, EPSILON = 0.001, 0.9, 0.999, 1e-8


def relu(Z: Array) -> Array:
    return np.maximum(0, Z)


def softmax(Z: Array) -> Array:
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def cross_entropy(A: Array, Y: Array) -> float:
    """Of one-hot Y: the logarithm of the probability of each row's own class."""
    return float(-np.log((Y * A).sum(axis=1)).mean())


def half_squared_error(A: Array, Y: Array) -> float:
    return float((0.5 * (A - Y) ** 2).sum(axis=1).mean())


class TextbookNetwork:
    """The layers' W (n_in, n_out) and b (n_out,), trained by backpropagation and Adam."""

    def __init__(self, W: Sequence[Array], b: Sequence[Array], *, is_classification: bool) -> None:
        self.W, self.b, self.is_classification = list(W), list(b), is_classification
        self.updates = 0
        self.means = [np.zeros_like(each) for each in [*W, *b]]
        self.squares = [np.zeros_like(each) for each in [*W, *b]]

    def train_epoch(self, X: Array, Y: Array, order: Array, *, batch_size: int) -> float:
        """One pass over the rows in this order; gives the mean of the batches' losses."""
        losses = []
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            Z, A = self.forward(X[rows])
            losses.append(self.loss(A[-1], Y[rows]))
            dW, db = self.backward(Z, A, Y[rows])
            self.adam([*dW, *db])
        return sum(losses) / len(losses)

    def forward(self, X: Array) -> tuple[list[Array], list[Array]]:
        """Z of every layer, and A of every layer with A[0] = X."""
        Z, A = [], [X]
        for W, b in zip(self.W, self.b, strict=True):
            Z.append(A[-1] @ W + b)
            A.append(relu(Z[-1]))
        A[-1] = softmax(Z[-1]) if self.is_classification else Z[-1]
        return Z, A

    def loss(self, A: Array, Y: Array) -> float:
        return cross_entropy(A, Y) if self.is_classification else half_squared_error(A, Y)

    def backward(self, Z: list[Array], A: list[Array], Y: Array) -> tuple[list[Array], list[Array]]:
        """dW and db of the batch's mean loss, from the last layer to the first."""
        dW, db = [], []
        dZ = (A[-1] - Y) / len(Y)
        for layer in reversed(range(len(self.W))):
            dW.insert(0, A[layer].T @ dZ)
            db.insert(0, dZ.sum(axis=0))
            if layer > 0:
                dA = dZ @ self.W[layer].T
                dZ = dA * (Z[layer - 1] > 0)
        return dW, db

    def adam(self, gradients: list[Array]) -> None:
        """Kingma & Ba 2015, algorithm 1."""
        self.updates += 1
        for i, (parameter, g) in enumerate(zip([*self.W, *self.b], gradients, strict=True)):
            self.means[i] = BETA1 * self.means[i] + (1 - BETA1) * g
            self.squares[i] = BETA2 * self.squares[i] + (1 - BETA2) * g**2
            mean = self.means[i] / (1 - BETA1**self.updates)
            square = self.squares[i] / (1 - BETA2**self.updates)
            parameter -= LEARNING_RATE * mean / (np.sqrt(square) + EPSILON)
