"""What the losses of a margin have in common: Σ_k ρ(V_k), where V is how far a score falls short of it."""

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss, affine, check_labels
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class MarginLoss(Loss):
    """Σ_k ρ(max(0, 1 − t_k·A_k)), where t is 1 for a yes (Y = 1) and −1 for a no (Y = 0).

    Several classes are learned each against the rest. Behind identity Z is A, so both ways are one.
    """

    canonical = "identity"
    learns = frozenset({"binary", "multiclass", "multilabel"})
    scores = True

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return activation.range == "any"

    def values(self, V: Array) -> Plan:
        """V becomes ρ(V)."""
        raise NotImplementedError

    def slopes(self, V: Array) -> Plan:
        """V becomes ρ′(V)."""
        raise NotImplementedError

    def bends(self, V: Array) -> Array:
        """ρ″(V), which is 0 where V is."""
        return np.zeros_like(V)

    def from_Z(self, head: Head) -> Plan:
        yield from self._examples(head.Z, head)

    def from_A(self, head: Head) -> Plan:
        yield from self._examples(head.A, head)

    def _examples(self, A: Array, head: Head) -> Plan:
        yield from _shortfalls(A, head, head.product)
        yield from self.values(head.product)
        yield sum_columns(head.product, head.examples)

    def dA(self, head: Head) -> Plan:
        yield from self._derivative(head, head.dA)

    def dZ(self, head: Head) -> Plan:
        yield from self._derivative(head, head.dZ)

    def _derivative(self, head: Head, out: Array) -> Plan:
        yield from _shortfalls(head.A, head, out)
        yield from self.slopes(out)
        yield call(np.multiply, out, head.spare, out)

    def ddA(self, head: Head) -> Array:
        return self.bends(np.maximum(1 + (1 - 2 * head.Y) * head.A, 0.0))

    def ddZ(self, head: Head) -> Array:
        return self.ddA(head)

    def pieces(self, head: Head) -> Array:
        return (1 - 2 * head.Y) * head.A > -1

    def check(self, Y: Array) -> None:
        check_labels(Y)


def _shortfalls(A: Array, head: Head, out: Array) -> Plan:
    """out = max(0, 1 − t·A); spare = −t."""
    yield from affine(head.Y, -2.0, 1.0, head.spare)
    yield call(np.multiply, head.spare, A, out)
    yield call(np.add, out, 1.0, out)
    yield call(np.maximum, out, 0.0, out=out)
