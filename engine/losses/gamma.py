"""The gamma loss: of sizes above 0 whose spread grows with them."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, check_each
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class GammaSpec(Choice):
    type: Literal["gamma"] = "gamma"


class Gamma(Loss):
    """Σ_k [Y_k/A_k + log A_k]: the negative log-likelihood of Y with mean A, under a gamma law of shape 1.

    Another shape only multiplies it and adds what does not depend on A. From Z it is Σ_k [Y_k·e^{−Z_k} + Z_k].
    Targets keep their own unit.
    """

    spec = GammaSpec
    formula = "Σ_k [Y_k/A_k + log A_k]"
    derivative = "dA = (A − Y)/A²; behind exponential dZ = 1 − Y·e^{−Z}"
    second_derivative = "ddA = (2Y − A)/A³; behind exponential ddZ = Y·e^{−Z}"
    source = "McCullagh & Nelder 1989, Generalized Linear Models, ch. 8"
    canonical = "exponential"
    learns = frozenset({"regression"})
    standardises = False

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range != "any"

    def from_Z(self, head: Head) -> Plan:
        yield from _y_over_exp(head, head.product)
        yield call(np.add, head.product, head.Z, head.product)
        yield sum_columns(head.product, head.examples)

    def from_A(self, head: Head) -> Plan:
        yield call(np.divide, head.Y, head.A, head.product)
        yield call(np.log, head.A, head.spare)
        yield call(np.add, head.product, head.spare, head.product)
        yield sum_columns(head.product, head.examples)

    def dA(self, head: Head) -> Plan:
        yield call(np.subtract, head.A, head.Y, head.dA)
        yield call(np.divide, head.dA, head.A, head.dA)
        yield call(np.divide, head.dA, head.A, head.dA)

    def dZ(self, head: Head) -> Plan:
        yield from _y_over_exp(head, head.dZ)
        yield call(np.subtract, 1.0, head.dZ, head.dZ)

    def ddA(self, head: Head) -> Array:
        second: Array = (2 * head.Y - head.A) / head.A**3
        return second

    def ddZ(self, head: Head) -> Array:
        second: Array = head.Y * np.exp(-head.Z)
        return second

    def check(self, Y: Array) -> None:
        check_each(Y, Y > 0, "a number above 0")


def _y_over_exp(head: Head, out: Array) -> Plan:
    """out = Y·e^{−Z}."""
    yield call(np.negative, head.Z, out)
    yield call(np.exp, out, out)
    yield call(np.multiply, out, head.Y, out)
