"""The focal loss of one class among several: easy examples count little."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, affine, check_sums, log_softmax, y_log_a, y_over_a
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class FocalSpec(Choice):
    type: Literal["focal"] = "focal"
    gamma: float = Field(2.0, ge=0, description="How much less an example counts the surer the right answer is.")


class Focal(Loss):
    """−Σ_k Y_k·(1 − A_k)^gamma·log A_k: cross-entropy in which an example counts less the surer its class is.

    From Z, log A_k is found as in cross-entropy, and 1 − A_k as 1 − e^{log A_k}, which keeps what is small. Each row of
    Y sums to 1.
    """

    spec = FocalSpec
    formula = "−Σ_k Y_k·(1 − A_k)^gamma·log A_k"
    derivative = "dA = −Y·G/A, G = (1 − A)^gamma·(1 − gamma·A·log A/(1 − A)); behind softmax dZ = A·Σⱼ Y_j·G_j − Y·G"
    second_derivative = (
        "ddA = Y·φ″(A), φ(A) = −(1 − A)^gamma·log A; behind softmax ddZ = A²·ddA + dZ, in Eᵀ·diag(ddZ)·E, E = I − 1·Aᵀ"
    )
    source = "Lin, Goyal, Girshick, He & Dollár 2017, Focal loss for dense object detection, eq. 4, behind softmax"
    canonical = "softmax"
    learns = frozenset({"binary", "multiclass"})

    def __init__(self, spec: FocalSpec) -> None:
        self.gamma = spec.gamma

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range == "shares"

    def from_Z(self, head: Head) -> Plan:
        yield from log_softmax(head)
        yield from _one_minus_exp(head.product, head.spare)
        yield call(np.multiply, head.product, head.Y, head.product)
        yield from self._examples(head)

    def from_A(self, head: Head) -> Plan:
        yield from y_log_a(head.Y, head.A, head.product)
        yield call(np.subtract, 1.0, head.A, head.spare)
        yield from self._examples(head)

    def _examples(self, head: Head) -> Plan:
        """`examples` from Y·log A in `product` and 1 − A in `spare`."""
        product, spare = head.product, head.spare
        yield call(np.power, spare, self.gamma, spare)
        yield call(np.multiply, product, spare, product)
        yield sum_columns(product, head.examples)
        yield call(np.negative, head.examples, head.examples)

    def dA(self, head: Head) -> Plan:
        product, spare, dA = head.product, head.spare, head.dA
        yield from y_log_a(head.Y, head.A, product)
        yield call(np.subtract, 1.0, head.A, spare)
        yield call(np.maximum, spare, float(np.finfo(spare.dtype).tiny), out=spare)  # so that 0/0 is 0
        yield call(np.divide, product, spare, product)
        yield call(np.multiply, product, self.gamma, product)
        yield from y_over_a(head.Y, head.A, dA)
        yield call(np.subtract, product, dA, dA)
        yield call(np.power, spare, self.gamma, spare)
        yield call(np.multiply, dA, spare, dA)

    def dZ(self, head: Head) -> Plan:
        product, spare, row, dZ = head.product, head.spare, head.row, head.dZ
        yield from log_softmax(head)
        yield from _one_minus_exp(product, spare)
        yield call(np.maximum, spare, float(np.finfo(spare.dtype).tiny), out=spare)  # so that 0/0 is 0
        yield call(np.multiply, product, head.A, dZ)
        yield call(np.divide, dZ, spare, dZ)
        yield from affine(dZ, self.gamma, -1.0, dZ)
        yield call(np.power, spare, self.gamma, spare)
        yield call(np.multiply, dZ, spare, dZ)
        yield call(np.multiply, dZ, head.Y, dZ)
        yield sum_columns(dZ, row[:, 0])
        yield call(np.multiply, head.A, row, spare)
        yield call(np.subtract, dZ, spare, dZ)

    def ddA(self, head: Head) -> Array:
        chance = head.A + (head.Y == 0)  # where Y is 0 nothing is to be divided by A
        return head.Y * focal_second(chance, 1 - head.A, self.gamma)

    def ddZ(self, head: Head) -> Array:
        """It is the second derivative by log A, less A times the sum of the first ones; q is 1 − A."""
        gamma, tiny = self.gamma, float(np.finfo(head.Z.dtype).tiny)
        L = head.Z - head.Z.max(axis=1, keepdims=True)
        L -= np.log(np.exp(L).sum(axis=1, keepdims=True))
        A, q = np.exp(L), np.maximum(-np.expm1(L), tiny)  # so that 0/0 is 0
        pull = A * L / q
        first = head.Y * q**gamma * (gamma * pull - 1)
        second = head.Y * gamma * A * q ** (gamma - 1) * (2 + L - (gamma - 1) * pull)
        found: Array = second - A * first.sum(axis=1, keepdims=True)
        return found

    def check(self, Y: Array) -> None:
        check_sums(Y)


def _one_minus_exp(logarithm: Array, out: Array) -> Plan:
    """out = 1 − e^logarithm."""
    yield call(np.expm1, logarithm, out)
    yield call(np.negative, out, out)


def focal_second(p: Array, q: Array, gamma: float) -> Array:
    """φ″(p) of φ(p) = −q^gamma·log p with q = 1 − p."""
    q = np.maximum(q, float(np.finfo(q.dtype).tiny))  # so that 0/0 is 0
    power = q ** (gamma - 1)
    found: Array = gamma * power * (2 / p - (gamma - 1) * np.log(p) / q) + power * q / np.square(p)
    return found
