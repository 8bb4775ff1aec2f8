"""Half the squared error: the loss of regression."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss
from engine.options import Choice
from engine.plans import Plan, call, sum_columns


class HalfSquaredErrorSpec(Choice):
    type: Literal["half_squared_error"] = "half_squared_error"


class HalfSquaredError(Loss):
    """½ Σ_k (A_k − Y_k)²: half the squared distance, summed over the outputs."""

    spec = HalfSquaredErrorSpec
    formula = "½ Σ_k (A_k − Y_k)²"
    derivative = "dA = A − Y; behind identity dZ = A − Y"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.14"
    canonical = "identity"
    learns = frozenset({"regression", "binary", "multiclass", "multilabel"})

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return True

    def from_Z(self, head: Head) -> Plan:
        yield call(np.subtract, head.Z, head.Y, head.product)
        yield from self._half_squares(head)

    def from_A(self, head: Head) -> Plan:
        yield call(np.subtract, head.A, head.Y, head.product)
        yield from self._half_squares(head)

    def _half_squares(self, head: Head) -> Plan:
        yield call(np.multiply, head.product, head.product, head.product)
        yield sum_columns(head.product, head.examples)
        yield call(np.multiply, head.examples, 0.5, head.examples)

    def dA(self, head: Head) -> Plan:
        yield call(np.subtract, head.A, head.Y, head.dA)
