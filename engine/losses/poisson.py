"""The Poisson loss: of counts."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, check_each, y_log_a, y_over_a, y_over_square
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class PoissonSpec(Choice):
    type: Literal["poisson"] = "poisson"


class Poisson(Loss):
    """Σ_k [A_k − Y_k·log A_k]: the negative log-likelihood of counts Y whose mean is A, but for log Y!.

    From Z it is Σ_k [e^{Z_k} − Y_k·Z_k]. Targets keep their own unit.
    """

    spec = PoissonSpec
    formula = "Σ_k [A_k − Y_k·log A_k]"
    derivative = "dA = 1 − Y/A; behind exponential dZ = A − Y"
    second_derivative = "ddA = Y/A²; behind exponential ddZ = A"
    source = "McCullagh & Nelder 1989, Generalized Linear Models, ch. 6"
    canonical = "exponential"
    learns = frozenset({"regression"})
    standardises = False

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range != "any"

    def from_Z(self, head: Head) -> Plan:
        yield call(np.multiply, head.Y, head.Z, head.product)
        yield from self._examples(head)

    def from_A(self, head: Head) -> Plan:
        yield from y_log_a(head.Y, head.A, head.product)
        yield from self._examples(head)

    def _examples(self, head: Head) -> Plan:
        yield call(np.subtract, head.A, head.product, head.product)
        yield sum_columns(head.product, head.examples)

    def dA(self, head: Head) -> Plan:
        yield from y_over_a(head.Y, head.A, head.dA)
        yield call(np.subtract, 1.0, head.dA, head.dA)

    def ddA(self, head: Head) -> Array:
        return y_over_square(head.Y, head.A)

    def ddZ(self, head: Head) -> Array:
        return head.A

    def check(self, Y: Array) -> None:
        check_each(Y, Y >= 0, "a number from 0 on")
