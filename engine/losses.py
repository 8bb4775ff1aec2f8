"""Losses: how far the outputs A are from the targets Y, one number per example, and its derivatives.

Every loss has two ways. Behind its canonical activation it is computed from Z, where no logarithm meets a rounded 0,
and dZ[L] = A − Y. Behind any other activation it is computed from A, and dA[L] takes the components of A as
independent; the activation's own backward pass does the rest.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.errors import DataError
from engine.parameters import Array


@dataclass(slots=True)
class Head:
    """The arrays of the last layer for one batch of m rows."""

    Z: Array
    """(m, n_out); A's own array where the last layer is not an activation."""
    A: Array
    """(m, n_out)."""
    Y: Array
    """(m, n_out)."""
    dZ: Array
    """(m, n_out); may be dA's array; empty, as dA is, in a workspace that only looks forward."""
    dA: Array
    """(m, n_out)."""
    examples: Array
    """(m,): each example's loss."""
    product: Array
    """(m, n_out), scratch."""
    row: Array
    """(m, 1), scratch."""


class Loss:
    """One loss. The methods fill the head's arrays; derivatives are those of each example's own loss, without 1/m."""

    formula: ClassVar[str]
    derivative: ClassVar[str]
    source: ClassVar[str]
    canonical: ClassVar[str]
    """The activation behind which dZ[L] = A − Y."""

    def from_Z(self, head: Head) -> None:
        """`examples` from Z, for the canonical activation; `product` and `row` are overwritten."""
        raise NotImplementedError

    def from_A(self, head: Head) -> None:
        """`examples` from A, for any activation; `product` is overwritten."""
        raise NotImplementedError

    def dA(self, head: Head) -> None:
        """The derivative by A."""
        raise NotImplementedError

    def dZ(self, head: Head) -> None:
        """The shortcut behind the canonical activation: dZ = A − Y."""
        np.subtract(head.A, head.Y, out=head.dZ)

    def check(self, Y: Array) -> None:
        """Raise DataError for targets this loss is not defined for."""


class HalfSquaredError(Loss):
    """½ Σ_k (A_k − Y_k)²: half the squared distance, summed over the outputs."""

    formula = "½ Σ_k (A_k − Y_k)²"
    derivative = "dA = A − Y; behind identity dZ = A − Y"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.14"
    canonical = "identity"

    def from_Z(self, head: Head) -> None:
        np.subtract(head.Z, head.Y, out=head.product)
        self._halve_squares(head)

    def from_A(self, head: Head) -> None:
        np.subtract(head.A, head.Y, out=head.product)
        self._halve_squares(head)

    def _halve_squares(self, head: Head) -> None:
        np.multiply(head.product, head.product, out=head.product)
        np.add.reduce(head.product, axis=1, out=head.examples)
        np.multiply(head.examples, 0.5, out=head.examples)

    def dA(self, head: Head) -> None:
        np.subtract(head.A, head.Y, out=head.dA)


class BinaryCrossEntropy(Loss):
    """−Σ_k [Y_k log A_k + (1 − Y_k) log(1 − A_k)]: every output is a yes or no of its own; summed over the outputs.

    From Z it is Σ_k [max(Z_k, 0) − Z_k·Y_k + log(1 + e^{−|Z_k|})], which neither overflows nor takes log 0.
    """

    formula = "−Σ_k [Y_k log A_k + (1 − Y_k) log(1 − A_k)]"
    derivative = "dA = (1 − Y)/(1 − A) − Y/A; behind sigmoid dZ = A − Y"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.22"
    canonical = "sigmoid"

    def from_Z(self, head: Head) -> None:
        product, examples, row = head.product, head.examples, head.row
        np.abs(head.Z, out=product)
        np.negative(product, out=product)
        np.exp(product, out=product)
        np.log1p(product, out=product)
        np.add.reduce(product, axis=1, out=examples)
        np.maximum(head.Z, 0, out=product)
        np.add.reduce(product, axis=1, keepdims=True, out=row)
        np.add(examples, row[:, 0], out=examples)
        np.multiply(head.Z, head.Y, out=product)
        np.add.reduce(product, axis=1, keepdims=True, out=row)
        np.subtract(examples, row[:, 0], out=examples)

    def from_A(self, head: Head) -> None:
        np.add(_y_log_a(head.Y, head.A), _y_log_a(1 - head.Y, 1 - head.A), out=head.product)
        np.add.reduce(head.product, axis=1, out=head.examples)
        np.negative(head.examples, out=head.examples)

    def dA(self, head: Head) -> None:
        np.subtract(_y_over_a(1 - head.Y, 1 - head.A), _y_over_a(head.Y, head.A), out=head.dA)

    def check(self, Y: Array) -> None:
        _check_shares(Y)


class CrossEntropy(Loss):
    """−Σ_k Y_k log A_k: the outputs are the probabilities of classes that exclude each other.

    From Z it is log Σ_k e^{Z_k} − Σ_k Y_k·Z_k, with the row's largest Z taken off both. Each row of Y sums to 1.
    """

    formula = "−Σ_k Y_k log A_k"
    derivative = "dA = −Y/A; behind softmax dZ = A − Y"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.24"
    canonical = "softmax"

    def from_Z(self, head: Head) -> None:
        product, examples, row = head.product, head.examples, head.row
        np.maximum.reduce(head.Z, axis=1, keepdims=True, out=row)
        np.subtract(head.Z, row, out=product)
        np.multiply(product, head.Y, out=product)
        np.add.reduce(product, axis=1, out=examples)
        np.subtract(head.Z, row, out=product)
        np.exp(product, out=product)
        np.add.reduce(product, axis=1, keepdims=True, out=row)
        np.log(row, out=row)
        np.subtract(row[:, 0], examples, out=examples)

    def from_A(self, head: Head) -> None:
        np.add.reduce(_y_log_a(head.Y, head.A), axis=1, out=head.examples)
        np.negative(head.examples, out=head.examples)

    def dA(self, head: Head) -> None:
        np.negative(_y_over_a(head.Y, head.A), out=head.dA)

    def check(self, Y: Array) -> None:
        _check_shares(Y)
        sums = Y.sum(axis=1, dtype=np.float64)
        wrong = np.flatnonzero(~(np.abs(sums - 1) <= 1e-5))
        if wrong.size:
            row = int(wrong[0])
            raise DataError(f"Y[{row}]", f"expected shares of the classes that sum to 1, got a sum of {sums[row]:g}")


def _y_log_a(Y: Array, A: Array) -> Array:
    """Y·log A with 0·log 0 = 0."""
    return np.multiply(Y, np.log(A, where=Y != 0, out=np.zeros_like(A)))


def _y_over_a(Y: Array, A: Array) -> Array:
    """Y/A with 0/0 = 0."""
    return np.divide(Y, A, where=Y != 0, out=np.zeros_like(A))


def _check_shares(Y: Array) -> None:
    outside = np.argwhere(~((Y >= 0) & (Y <= 1)))
    if outside.size:
        row, column = (int(place) for place in outside[0])
        raise DataError(f"Y[{row}][{column}]", f"expected a share from 0 to 1, got {Y[row, column]:g}")


LOSSES: dict[str, type[Loss]] = {
    "half_squared_error": HalfSquaredError,
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": CrossEntropy,
}
