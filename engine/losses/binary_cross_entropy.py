"""Binary cross-entropy: the loss of yes or no."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, check_shares, later, y_log_a, y_over_a
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class BinaryCrossEntropySpec(Choice):
    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"


class BinaryCrossEntropy(Loss):
    """−Σ_k [Y_k log A_k + (1 − Y_k) log(1 − A_k)]: every output is a yes or no of its own; summed over the outputs.

    From Z it is Σ_k [max(Z_k, 0) − Z_k·Y_k + log(1 + e^{−|Z_k|})], which neither overflows nor takes log 0.
    """

    spec = BinaryCrossEntropySpec
    formula = "−Σ_k [Y_k log A_k + (1 − Y_k) log(1 − A_k)]"
    derivative = "dA = (1 − Y)/(1 − A) − Y/A; behind sigmoid dZ = A − Y"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.22"
    canonical = "sigmoid"
    learns = frozenset({"binary", "multilabel"})

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range in ("probability", "shares")

    def from_Z(self, head: Head) -> Plan:
        product, examples, row = head.product, head.examples, head.row[:, 0]
        yield call(np.abs, head.Z, product)
        yield call(np.negative, product, product)
        yield call(np.exp, product, product)
        yield call(np.log1p, product, product)
        yield sum_columns(product, examples)
        yield call(np.maximum, head.Z, 0.0, out=product)
        yield sum_columns(product, row)
        yield call(np.add, examples, row, examples)
        yield call(np.multiply, head.Z, head.Y, product)
        yield sum_columns(product, row)
        yield call(np.subtract, examples, row, examples)

    def from_A(self, head: Head) -> Plan:
        yield from later(self._from_A, head)

    def _from_A(self, head: Head) -> None:
        A, Y = head.A, head.Y
        np.add(y_log_a(Y, A), y_log_a(1 - Y, 1 - A), out=head.product)
        np.add.reduce(head.product, axis=1, out=head.examples)
        np.negative(head.examples, out=head.examples)

    def dA(self, head: Head) -> Plan:
        yield from later(self._dA, head)

    def _dA(self, head: Head) -> None:
        np.subtract(y_over_a(1 - head.Y, 1 - head.A), y_over_a(head.Y, head.A), out=head.dA)

    def check(self, Y: Array) -> None:
        check_shares(Y)
