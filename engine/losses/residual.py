"""What the losses of a residual R = A − Y have in common: Σ_k ρ(R_k), summed over the outputs."""

import numpy as np

from engine.layers.activations import Activation
from engine.losses.base import Head, Loss
from engine.parameters import Array
from engine.plans import Plan, call, sum_columns


class ResidualLoss(Loss):
    """Σ_k ρ(A_k − Y_k). Behind identity Z is A, so both ways are one."""

    canonical = "identity"
    learns = frozenset({"regression"})

    @classmethod
    def suits(cls, activation: type[Activation]) -> bool:
        return True

    def values(self, R: Array, spare: Array) -> Plan:
        """R becomes ρ(R)."""
        raise NotImplementedError

    def slopes(self, R: Array) -> Plan:
        """R becomes ρ′(R)."""
        raise NotImplementedError

    def bends(self, R: Array) -> Array:
        """ρ″(R)."""
        return np.zeros_like(R)

    def from_Z(self, head: Head) -> Plan:
        yield from self._examples(head.Z, head)

    def from_A(self, head: Head) -> Plan:
        yield from self._examples(head.A, head)

    def _examples(self, A: Array, head: Head) -> Plan:
        yield call(np.subtract, A, head.Y, head.product)
        yield from self.values(head.product, head.spare)
        yield sum_columns(head.product, head.examples)

    def dA(self, head: Head) -> Plan:
        yield call(np.subtract, head.A, head.Y, head.dA)
        yield from self.slopes(head.dA)

    def dZ(self, head: Head) -> Plan:
        yield call(np.subtract, head.A, head.Y, head.dZ)
        yield from self.slopes(head.dZ)

    def ddA(self, head: Head) -> Array:
        return self.bends(head.A - head.Y)

    def ddZ(self, head: Head) -> Array:
        return self.ddA(head)
