"""What every loss is: one number per example from outputs and targets, and its derivatives."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.errors import DataError
from engine.layers.activations import Activation
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Call, Plan, call, sum_rows


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
    spare: Array
    """(m, n_out), scratch."""
    row: Array
    """(m, 1), scratch."""
    weights: Array | None
    """(m, 1): how much each example counts, 1 on average; None where all count alike."""


class Loss:
    """One loss. Its plans fill the head's arrays; derivatives are those of each example's own loss, without 1/m.

    Every loss has two ways. Behind its canonical activation it is computed from Z, where no logarithm meets a rounded
    0. Behind any other activation it is computed from A, and dA[L] takes the components of A as independent; the
    activation's own backward pass does the rest.
    """

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    derivative: ClassVar[str]
    second_derivative: ClassVar[str]
    """On each piece; at a kink, on the piece whose derivative is taken there."""
    source: ClassVar[str]
    canonical: ClassVar[str]
    """The activation behind which the loss and dZ come from Z alone."""
    learns: ClassVar[frozenset[str]]
    """The kinds of target it can learn: regression, binary, multiclass, multilabel."""
    scores: ClassVar[bool] = False
    """Whether it teaches classes scores, of which the sign or the largest decides, instead of probabilities."""
    standardises: ClassVar[bool] = True
    """Whether the numbers of a regression are standardised for it; if not, they keep their own unit."""

    def __init__(self, spec: Any) -> None:
        pass

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        """Whether the outputs behind this activation are numbers the loss is defined for."""
        raise NotImplementedError

    def from_Z(self, head: Head) -> Plan:
        """`examples` from Z, for the canonical activation; the head's scratch is overwritten."""
        raise NotImplementedError

    def from_A(self, head: Head) -> Plan:
        """`examples` from A, for any activation; the head's scratch is overwritten."""
        raise NotImplementedError

    def dA(self, head: Head) -> Plan:
        """The derivative by A; the head's scratch is overwritten."""
        raise NotImplementedError

    def dZ(self, head: Head) -> Plan:
        """The shortcut behind the canonical activation: dZ = A − Y, unless a loss says otherwise."""
        yield call(np.subtract, head.A, head.Y, head.dZ)

    def ddA(self, head: Head) -> Array:
        """The second derivative by each A (m, n_out).

        A loss is a sum over A's components, so there are no mixed ones.
        """
        raise NotImplementedError

    def ddZ(self, head: Head) -> Array:
        """Behind the canonical activation, the second derivative by each Z (m, n_out).

        Behind softmax, where there are mixed ones, it is the r of Eᵀ·diag(r)·E with E = I − 1·Aᵀ.
        """
        raise NotImplementedError

    def pieces(self, head: Head) -> Array | None:
        """After a forward pass, for each output which smooth piece of the loss it is on; None where all is smooth."""
        return None

    def check(self, Y: Array) -> None:
        """Raise DataError for targets this loss is not defined for."""


def affine(Y: Array, factor: float, shift: float, out: Array) -> Plan:
    """out = factor·Y + shift."""
    yield call(np.multiply, Y, factor, out)
    yield call(np.add, out, shift, out)


def softened(Y: Array, smoothing: float, classes: int) -> Array:
    """The targets with a share of them spread evenly over the classes."""
    found: Array = (1 - smoothing) * Y + smoothing / classes
    return found


def smoothed(Y: Array, smoothing: float, classes: int, spare: Array) -> Generator[Call, None, Array]:
    """The targets with a share of them spread evenly over the classes, in `spare`; Y itself where none is."""
    if not smoothing:
        return Y
    yield from affine(Y, 1 - smoothing, smoothing / classes, spare)
    return spare


def y_over_square(Y: Array, A: Array) -> Array:
    """Y/A² with 0/0 = 0."""
    found: Array = Y / np.square(A + (Y == 0))
    return found


def y_log_a(Y: Array, A: Array, out: Array) -> Plan:
    """out = Y·log A with 0·log 0 = 0: where Y is 0, the logarithm is that of A + 1."""
    yield call(np.equal, Y, 0.0, out)
    yield call(np.add, out, A, out)
    yield call(np.log, out, out)
    yield call(np.multiply, out, Y, out)


def y_over_a(Y: Array, A: Array, out: Array) -> Plan:
    """out = Y/A with 0/0 = 0: where Y is 0, it is divided by A + 1."""
    yield call(np.equal, Y, 0.0, out)
    yield call(np.add, out, A, out)
    yield call(np.divide, Y, out, out)


def log_softmax(head: Head) -> Plan:
    """product = log softmax Z, with the row's largest Z taken off first; `spare` and `row` are overwritten.

    It is done to Z turned on its side: NumPy then goes along many rows at once instead of along the few classes of one.
    """
    row, turned = head.row[:, 0], head.Z.shape[::-1]
    L, E = head.spare.reshape(turned), head.product.reshape(turned)
    yield call(np.copyto, L, head.Z.T)
    yield call(np.maximum.reduce, L, 0, None, row)
    yield call(np.subtract, L, row, L)
    yield call(np.exp, L, E)
    yield sum_rows(E, row)
    yield call(np.log, row, row)
    yield call(np.subtract, L, row, L)
    yield call(np.copyto, head.product, L.T)


def check_each(Y: Array, holds: Array, expected: str) -> None:
    """Raise DataError for the first target for which `holds` is false."""
    wrong = np.argwhere(~holds)
    if wrong.size:
        row, column = (int(place) for place in wrong[0])
        raise DataError(f"Y[{row}][{column}]", f"expected {expected}, got {Y[row, column]:g}")


def check_labels(Y: Array) -> None:
    """Raise DataError for a target that is neither 0 nor 1."""
    check_each(Y, (Y == 0) | (Y == 1), "0 or 1")


def check_shares(Y: Array) -> None:
    """Raise DataError for a target that is not between 0 and 1."""
    check_each(Y, (Y >= 0) & (Y <= 1), "a share from 0 to 1")


def check_sums(Y: Array) -> None:
    """Raise DataError for a row of targets that are not shares of one whole."""
    check_shares(Y)
    sums = Y.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= 1e-5))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"Y[{row}]", f"expected shares of the classes that sum to 1, got a sum of {sums[row]:g}")
