"""The Kullback–Leibler divergence: how far shares are from the shares they should be."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, check_sums, log_softmax, y_over_a, y_over_square
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class KullbackLeiblerSpec(Choice):
    type: Literal["kullback_leibler"] = "kullback_leibler"


class KullbackLeibler(Loss):
    """Σ_k Y_k log(Y_k/A_k), with 0·log 0 = 0: cross-entropy less the entropy of Y, so that a perfect answer costs 0.

    Each row of Y sums to 1.
    """

    spec = KullbackLeiblerSpec
    formula = "Σ_k Y_k log(Y_k/A_k)"
    derivative = "dA = −Y/A; behind softmax dZ = A − Y"
    second_derivative = (
        "ddA = Y/A²; behind softmax ddZ = A, in Eᵀ·diag(ddZ)·E with E = I − 1·Aᵀ, which is diag(A) − A·Aᵀ"
    )
    source = "Kullback & Leibler 1951, On information and sufficiency, eq. 2.2"
    canonical = "softmax"
    learns = frozenset({"binary", "multiclass"})

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range == "shares"

    def from_Z(self, head: Head) -> Plan:
        yield from log_softmax(head)
        yield call(np.equal, head.Y, 0.0, head.spare)
        yield call(np.add, head.spare, head.Y, head.spare)
        yield call(np.log, head.spare, head.spare)
        yield call(np.subtract, head.spare, head.product, head.product)
        yield from self._examples(head)

    def from_A(self, head: Head) -> Plan:
        yield call(np.equal, head.Y, 0.0, head.spare)
        yield call(np.add, head.spare, head.A, head.product)
        yield call(np.add, head.spare, head.Y, head.spare)
        yield call(np.divide, head.spare, head.product, head.product)
        yield call(np.log, head.product, head.product)
        yield from self._examples(head)

    def _examples(self, head: Head) -> Plan:
        yield call(np.multiply, head.product, head.Y, head.product)
        yield sum_columns(head.product, head.examples)

    def dA(self, head: Head) -> Plan:
        yield from y_over_a(head.Y, head.A, head.dA)
        yield call(np.negative, head.dA, head.dA)

    def ddA(self, head: Head) -> Array:
        return y_over_square(head.Y, head.A)

    def ddZ(self, head: Head) -> Array:
        return head.A

    def check(self, Y: Array) -> None:
        check_sums(Y)
