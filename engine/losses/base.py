"""What every loss is: one number per example from outputs and targets, and its derivatives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.errors import DataError
from engine.layers.activations import Activation
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


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
    """One loss. Its plans fill the head's arrays; derivatives are those of each example's own loss, without 1/m.

    Every loss has two ways. Behind its canonical activation it is computed from Z, where no logarithm meets a rounded
    0. Behind any other activation it is computed from A, and dA[L] takes the components of A as independent; the
    activation's own backward pass does the rest.
    """

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    derivative: ClassVar[str]
    source: ClassVar[str]
    canonical: ClassVar[str]
    """The activation behind which the loss and dZ come from Z alone."""
    learns: ClassVar[frozenset[str]]
    """The kinds of target it can learn: regression, binary, multiclass, multilabel."""

    def __init__(self, spec: Any) -> None:
        pass

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        """Whether the outputs behind this activation are numbers the loss is defined for."""
        raise NotImplementedError

    def from_Z(self, head: Head) -> Plan:
        """`examples` from Z, for the canonical activation; `product` and `row` are overwritten."""
        raise NotImplementedError

    def from_A(self, head: Head) -> Plan:
        """`examples` from A, for any activation; `product` is overwritten."""
        raise NotImplementedError

    def dA(self, head: Head) -> Plan:
        """The derivative by A; `product` is overwritten."""
        raise NotImplementedError

    def dZ(self, head: Head) -> Plan:
        """The shortcut behind the canonical activation: dZ = A − Y, unless a loss says otherwise."""
        yield call(np.subtract, head.A, head.Y, head.dZ)

    def check(self, Y: Array) -> None:
        """Raise DataError for targets this loss is not defined for."""


def later(function: Callable[..., Any], *arguments: Any) -> Plan:
    """A plan of one Python function, for what is not worth its own arrays: the general way through dA."""
    yield call(function, *arguments)


def y_log_a(Y: Array, A: Array) -> Array:
    """Y·log A with 0·log 0 = 0."""
    return np.multiply(Y, np.log(A, where=Y != 0, out=np.zeros_like(A)))


def y_over_a(Y: Array, A: Array) -> Array:
    """Y/A with 0/0 = 0."""
    return np.divide(Y, A, where=Y != 0, out=np.zeros_like(A))


def check_shares(Y: Array) -> None:
    """Raise DataError for a target that is not between 0 and 1."""
    outside = np.argwhere(~((Y >= 0) & (Y <= 1)))
    if outside.size:
        row, column = (int(place) for place in outside[0])
        raise DataError(f"Y[{row}][{column}]", f"expected a share from 0 to 1, got {Y[row, column]:g}")


def check_sums(Y: Array) -> None:
    """Raise DataError for a row of targets that are not shares of one whole."""
    check_shares(Y)
    sums = Y.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= 1e-5))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"Y[{row}]", f"expected shares of the classes that sum to 1, got a sum of {sums[row]:g}")
