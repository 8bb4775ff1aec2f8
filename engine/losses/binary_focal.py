"""The focal loss of yes or no: easy examples count little."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, affine, check_labels
from engine.losses.focal import focal_second
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class BinaryFocalSpec(Choice):
    type: Literal["binary_focal"] = "binary_focal"
    gamma: float = Field(2.0, ge=0, description="How much less an example counts the surer the right answer is.")
    alpha: float | None = Field(0.25, gt=0, lt=1, description="What a yes counts, a no 1 − alpha; null: both count 1.")


class BinaryFocal(Loss):
    """−Σ_k w·(1 − p)^gamma·log p, where p is A for a yes, 1 − A for a no, and w is alpha for a yes, 1 − alpha for a no.

    With M = −Z for a yes, Z for a no: from Z, −log p is log(1 + e^M) and −log(1 − p) is log(1 + e^{−M}).
    """

    spec = BinaryFocalSpec
    formula = "−Σ_k w·(1 − p)^gamma·log p, p = A and w = alpha for a yes, 1 − A and 1 − alpha for a no"
    derivative = "behind sigmoid dZ = ∓w·(1 − p)^gamma·(1 − p − gamma·p·log p), minus for a yes"
    second_derivative = (
        "ddA = w·φ″(p), φ(p) = −(1 − p)^gamma·log p; behind sigmoid with q = 1 − p "
        "ddZ = w·q^gamma·p·(gamma·log p·(q − gamma·p) + (2gamma + 1)·q)"
    )
    source = "Lin, Goyal, Girshick, He & Dollár 2017, Focal loss for dense object detection, eq. 5"
    canonical = "sigmoid"
    learns = frozenset({"binary", "multilabel"})

    def __init__(self, spec: BinaryFocalSpec) -> None:
        self.gamma = spec.gamma
        self.no, self.yes = (1.0, 1.0) if spec.alpha is None else (1 - spec.alpha, spec.alpha)

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range in ("probability", "shares")

    def from_Z(self, head: Head) -> Plan:
        product, spare = head.product, head.spare
        yield from self._logs(head)
        yield call(np.multiply, spare, self.gamma, spare)
        yield call(np.exp, spare, spare)
        yield call(np.multiply, product, spare, product)
        yield from affine(head.Y, self.yes - self.no, self.no, spare)
        yield call(np.multiply, product, spare, product)
        yield sum_columns(product, head.examples)

    def dZ(self, head: Head) -> Plan:
        """With q = 1 − p, q^gamma·(q − gamma·p·log p) is q^(gamma + 1) − [q^gamma − q^(gamma + 1)]·gamma·log p."""
        product, spare, dZ = head.product, head.spare, head.dZ
        yield from self._logs(head)
        yield call(np.multiply, product, self.gamma, product)
        yield call(np.multiply, spare, self.gamma + 1, dZ)
        yield call(np.exp, dZ, dZ)
        yield call(np.multiply, spare, self.gamma, spare)
        yield call(np.exp, spare, spare)
        yield call(np.subtract, spare, dZ, spare)
        yield call(np.multiply, product, spare, product)
        yield call(np.add, dZ, product, dZ)
        yield from affine(head.Y, -self.yes - self.no, self.no, spare)
        yield call(np.multiply, dZ, spare, dZ)

    def _logs(self, head: Head) -> Plan:
        """product = −log p, spare = log(1 − p)."""
        product, spare = head.product, head.spare
        yield from affine(head.Y, -2.0, 1.0, spare)
        yield call(np.multiply, spare, head.Z, spare)
        yield call(np.abs, spare, product)
        yield call(np.negative, product, product)
        yield call(np.exp, product, product)
        yield call(np.log1p, product, product)
        yield call(np.maximum, spare, 0.0, out=spare)
        yield call(np.add, product, spare, product)
        yield from affine(head.Y, -2.0, 1.0, spare)
        yield call(np.multiply, spare, head.Z, spare)
        yield call(np.subtract, spare, product, spare)

    def from_A(self, head: Head) -> Plan:
        product, spare = head.product, head.spare
        yield from self._chances(head)
        yield call(np.log, product, product)
        yield call(np.power, spare, self.gamma, spare)
        yield call(np.multiply, product, spare, product)
        yield from affine(head.Y, self.no - self.yes, -self.no, spare)
        yield call(np.multiply, product, spare, product)
        yield sum_columns(product, head.examples)

    def dA(self, head: Head) -> Plan:
        """The derivative by p is w·(1 − p)^gamma·(gamma·log p/(1 − p) − 1/p)."""
        product, spare, dA = head.product, head.spare, head.dA
        yield from self._chances(head)
        yield call(np.maximum, spare, float(np.finfo(spare.dtype).tiny), out=spare)  # so that 0/0 is 0
        yield call(np.log, product, dA)
        yield call(np.divide, dA, spare, dA)
        yield call(np.multiply, dA, self.gamma, dA)
        yield call(np.reciprocal, product, product)
        yield call(np.subtract, dA, product, dA)
        yield call(np.power, spare, self.gamma, spare)
        yield call(np.multiply, dA, spare, dA)
        yield from affine(head.Y, self.yes + self.no, -self.no, spare)
        yield call(np.multiply, dA, spare, dA)

    def ddA(self, head: Head) -> Array:
        p = 1 - head.Y + (2 * head.Y - 1) * head.A
        found: Array = self._weights(head) * focal_second(p, head.Y - (2 * head.Y - 1) * head.A, self.gamma)
        return found

    def ddZ(self, head: Head) -> Array:
        M, gamma = (1 - 2 * head.Y) * head.Z, self.gamma
        log_p, log_q = -np.logaddexp(0.0, M), -np.logaddexp(0.0, -M)
        p, q = np.exp(log_p), np.exp(log_q)
        bend = gamma * log_p * (q - gamma * p) + (2 * gamma + 1) * q
        found: Array = self._weights(head) * np.exp(gamma * log_q) * p * bend
        return found

    def _weights(self, head: Head) -> Array:
        """w."""
        weights: Array = self.no + (self.yes - self.no) * head.Y
        return weights

    def _chances(self, head: Head) -> Plan:
        """product = p, spare = 1 − p, neither rounded where it is small."""
        product, spare = head.product, head.spare
        yield from affine(head.Y, 2.0, -1.0, spare)
        yield call(np.multiply, spare, head.A, spare)
        yield from affine(head.Y, -1.0, 1.0, product)
        yield call(np.add, product, spare, product)
        yield call(np.subtract, head.Y, spare, spare)

    def check(self, Y: Array) -> None:
        check_labels(Y)
