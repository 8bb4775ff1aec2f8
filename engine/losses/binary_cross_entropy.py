"""Binary cross-entropy: the loss of yes or no."""

from typing import Literal

import numpy as np

from engine.layers.activations import Activation, logistic_slope
from engine.losses.base import Head, Loss, affine, check_shares, smoothed, softened, y_log_a, y_over_a, y_over_square
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class BinaryCrossEntropySpec(Choice):
    type: Literal["binary_cross_entropy"] = "binary_cross_entropy"
    pos_weight: float = Field(1.0, gt=0, description="What a yes counts, where a no counts 1.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="The share of each target that is spread over yes and no."
    )


class BinaryCrossEntropy(Loss):
    """−Σ_k [p·T_k log A_k + (1 − T_k) log(1 − A_k)]: every output is a yes or no of its own; summed over the outputs.

    T is Y, or with a label_smoothing s it is (1 − s)·Y + s/2; p is pos_weight. From Z it is
    Σ_k [max(Z_k, 0) − Z_k·T_k + log(1 + e^{−|Z_k|})], which neither overflows nor takes log 0, and for each yes
    (p − 1)·log(1 + e^{−Z_k}) more.
    """

    spec = BinaryCrossEntropySpec
    formula = "−Σ_k [p·T_k log A_k + (1 − T_k) log(1 − A_k)], T = (1 − s)·Y + s/2"
    derivative = (
        "dA = (1 − T)/(1 − A) − p·T/A; behind sigmoid dZ = (1 − T)·A − p·T·(1 − A), which is A − Y for p 1, s 0"
    )
    second_derivative = "ddA = p·T/A² + (1 − T)/(1 − A)²; behind sigmoid ddZ = (p·T + 1 − T)·A(1 − A)"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.22; Szegedy et al. 2016, §7 (smoothing)"
    canonical = "sigmoid"
    learns = frozenset({"binary", "multilabel"})

    def __init__(self, spec: BinaryCrossEntropySpec) -> None:
        self.pos_weight, self.label_smoothing = spec.pos_weight, spec.label_smoothing

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range in ("probability", "shares")

    def from_Z(self, head: Head) -> Plan:
        product, spare = head.product, head.spare
        T = yield from smoothed(head.Y, self.label_smoothing, 2, spare)
        yield call(np.multiply, head.Z, T, spare)
        yield call(np.maximum, head.Z, 0.0, out=product)
        yield call(np.subtract, product, spare, product)
        yield from _log_1_plus_exp(head.Z, spare)
        yield call(np.add, product, spare, product)
        yield sum_columns(product, head.examples)
        if self.pos_weight != 1:
            yield from self._more_for_yes(head)

    def _more_for_yes(self, head: Head) -> Plan:
        """examples += (p − 1)·Σ_k T_k·log(1 + e^{−Z_k})."""
        product, spare, row = head.product, head.spare, head.row[:, 0]
        yield from _log_1_plus_exp(head.Z, product)
        yield call(np.minimum, head.Z, 0.0, out=spare)
        yield call(np.subtract, product, spare, product)
        T = yield from smoothed(head.Y, self.label_smoothing, 2, spare)
        yield call(np.multiply, product, T, product)
        yield sum_columns(product, row)
        yield call(np.multiply, row, self.pos_weight - 1, row)
        yield call(np.add, head.examples, row, head.examples)

    def from_A(self, head: Head) -> Plan:
        product, spare, examples, row = head.product, head.spare, head.examples, head.row[:, 0]
        T = yield from smoothed(head.Y, self.label_smoothing, 2, spare)
        yield from y_log_a(T, head.A, product)
        yield sum_columns(product, examples)
        yield call(np.multiply, examples, -self.pos_weight, examples)
        yield from self._no(head)
        yield call(np.log, spare, spare)
        yield call(np.multiply, product, spare, product)
        yield sum_columns(product, row)
        yield call(np.subtract, examples, row, examples)

    def dA(self, head: Head) -> Plan:
        product, spare = head.product, head.spare
        yield from self._no(head)
        yield call(np.divide, product, spare, head.dA)
        T = yield from smoothed(head.Y, self.label_smoothing, 2, spare)
        yield from y_over_a(T, head.A, product)
        yield call(np.multiply, product, self.pos_weight, product)
        yield call(np.subtract, head.dA, product, head.dA)

    def _no(self, head: Head) -> Plan:
        """product = 1 − T and spare = 1 − A, or 2 − A where a 0 is to be divided or multiplied."""
        product, spare, s = head.product, head.spare, self.label_smoothing
        yield from affine(head.Y, s - 1, 1 - s / 2, product)
        yield call(np.equal, product, 0.0, spare)
        yield call(np.add, spare, 1.0, spare)
        yield call(np.subtract, spare, head.A, spare)

    def dZ(self, head: Head) -> Plan:
        product, dZ, p = head.product, head.dZ, self.pos_weight
        T = yield from smoothed(head.Y, self.label_smoothing, 2, dZ)
        if p == 1:
            yield call(np.subtract, head.A, T, dZ)
            return
        yield from affine(T, p - 1, 1.0, product)
        yield call(np.multiply, product, head.A, product)
        yield call(np.multiply, T, p, dZ)
        yield call(np.subtract, product, dZ, dZ)

    def ddA(self, head: Head) -> Array:
        T = softened(head.Y, self.label_smoothing, 2)
        second: Array = self.pos_weight * y_over_square(T, head.A) + y_over_square(1 - T, 1 - head.A)
        return second

    def ddZ(self, head: Head) -> Array:
        T = softened(head.Y, self.label_smoothing, 2)
        second: Array = (1 + (self.pos_weight - 1) * T) * logistic_slope(head.Z)
        return second

    def check(self, Y: Array) -> None:
        check_shares(Y)


def _log_1_plus_exp(Z: Array, out: Array) -> Plan:
    """out = log(1 + e^{−|Z|})."""
    yield call(np.abs, Z, out)
    yield call(np.negative, out, out)
    yield call(np.exp, out, out)
    yield call(np.log1p, out, out)
