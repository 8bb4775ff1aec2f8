"""Cross-entropy: the loss of one class among several."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, check_sums, later, y_log_a, y_over_a
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class CrossEntropySpec(Choice):
    type: Literal["cross_entropy"] = "cross_entropy"


class CrossEntropy(Loss):
    """−Σ_k Y_k log A_k: the outputs are the probabilities of classes that exclude each other.

    From Z it is log Σ_k e^{Z_k} − Σ_k Y_k·Z_k, with the row's largest Z taken off both. Each row of Y sums to 1.
    """

    spec = CrossEntropySpec
    formula = "−Σ_k Y_k log A_k"
    derivative = "dA = −Y/A; behind softmax dZ = A − Y"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.24"
    canonical = "softmax"
    learns = frozenset({"binary", "multiclass"})

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range == "shares"

    def from_Z(self, head: Head) -> Plan:
        product, examples, row = head.product, head.examples, head.row
        yield call(np.maximum.reduce, head.Z, 1, None, row, True)
        yield call(np.subtract, head.Z, row, product)
        yield call(np.multiply, product, head.Y, product)
        yield sum_columns(product, examples)
        yield call(np.subtract, head.Z, row, product)
        yield call(np.exp, product, product)
        yield sum_columns(product, row[:, 0])
        yield call(np.log, row, row)
        yield call(np.subtract, row[:, 0], examples, examples)

    def from_A(self, head: Head) -> Plan:
        yield from later(self._from_A, head)

    def _from_A(self, head: Head) -> None:
        np.add.reduce(y_log_a(head.Y, head.A), axis=1, out=head.examples)
        np.negative(head.examples, out=head.examples)

    def dA(self, head: Head) -> Plan:
        yield from later(self._dA, head)

    def _dA(self, head: Head) -> None:
        np.negative(y_over_a(head.Y, head.A), out=head.dA)

    def check(self, Y: Array) -> None:
        check_sums(Y)
