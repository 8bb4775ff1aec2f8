"""Cross-entropy: the loss of one class among several."""

from collections.abc import Generator
from typing import Literal

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, check_sums, log_softmax, smoothed, softened, y_log_a, y_over_a, y_over_square
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Call, Plan, call, sum_columns


class CrossEntropySpec(Choice):
    type: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="The share of each target that is spread over all classes."
    )


class CrossEntropy(Loss):
    """−Σ_k T_k log A_k: the outputs are the probabilities of classes that exclude each other.

    T is Y, or with a label_smoothing s and K classes it is (1 − s)·Y + s/K. From Z, log A_k is
    Z_k − log Σⱼ e^{Z_j}, with the row's largest Z taken off first. Each row of Y sums to 1.
    """

    spec = CrossEntropySpec
    formula = "−Σ_k T_k log A_k, T = (1 − s)·Y + s/K"
    derivative = "dA = −T/A; behind softmax dZ = A − T"
    second_derivative = (
        "ddA = T/A²; behind softmax ddZ = A, in Eᵀ·diag(ddZ)·E with E = I − 1·Aᵀ, which is diag(A) − A·Aᵀ"
    )
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.24; Szegedy et al. 2016, §7 (smoothing)"
    canonical = "softmax"
    learns = frozenset({"binary", "multiclass"})

    def __init__(self, spec: CrossEntropySpec) -> None:
        self.label_smoothing = spec.label_smoothing

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range == "shares"

    def _targets(self, head: Head, spare: Array) -> Generator[Call, None, Array]:
        return smoothed(head.Y, self.label_smoothing, head.Y.shape[1], spare)

    def from_Z(self, head: Head) -> Plan:
        yield from log_softmax(head)
        T = yield from self._targets(head, head.spare)
        yield call(np.multiply, head.product, T, head.product)
        yield sum_columns(head.product, head.examples)
        yield call(np.negative, head.examples, head.examples)

    def from_A(self, head: Head) -> Plan:
        T = yield from self._targets(head, head.spare)
        yield from y_log_a(T, head.A, head.product)
        yield sum_columns(head.product, head.examples)
        yield call(np.negative, head.examples, head.examples)

    def dA(self, head: Head) -> Plan:
        T = yield from self._targets(head, head.spare)
        yield from y_over_a(T, head.A, head.dA)
        yield call(np.negative, head.dA, head.dA)

    def dZ(self, head: Head) -> Plan:
        T = yield from self._targets(head, head.dZ)
        yield call(np.subtract, head.A, T, head.dZ)

    def ddA(self, head: Head) -> Array:
        T = softened(head.Y, self.label_smoothing, head.Y.shape[1])
        return y_over_square(T, head.A)

    def ddZ(self, head: Head) -> Array:
        return head.A

    def check(self, Y: Array) -> None:
        check_sums(Y)
