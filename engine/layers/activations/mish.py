"""Mish: a number weighed with the tanh of its own softplus."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array, Shapes
from engine.plans import Plan, call

LARGEST = 20.0
"""Of the Z from which eᶻ is computed: from there on tanh(softplus Z) is 1 in float64 too."""


class MishSpec(Choice):
    type: Literal["mish"] = "mish"


class Mish(Activation):
    """A = Z·tanh(softplus Z).

    With E = eᶻ and n = E(E + 2) the tanh is n/(n + 2): one exponential, and nothing is lost for very negative Z.
    """

    spec = MishSpec
    formula = "A = Z·T, T = tanh(log(1 + eᶻ))"
    derivative = "T + Z·σ(Z)·(1 − T²)"
    second_derivative = "σ·(1 − T²)·(2 + Z·(1 − σ − 2T·σ)), σ = σ(Z)"
    source = "Misra 2020, Mish: a self regularized non-monotonic activation function, §3"
    initializer = "he_normal"
    backward_reads = frozenset({"x"})

    def scratch(self) -> Shapes:
        return dict.fromkeys(("exponential", "tanh", "slope", "sigmoid"), self.input_shape)

    def forward(self, slot: Slot) -> Plan:
        E, T, n = slot.scratch["exponential"], slot.scratch["tanh"], slot.scratch["slope"]
        yield call(slot.x.clip, -np.inf, LARGEST, E)
        yield call(np.exp, E, E)
        yield call(np.add, E, 2.0, n)
        yield call(np.multiply, n, E, n)
        yield call(np.add, n, 2.0, T)
        yield call(np.divide, n, T, T)
        yield call(np.multiply, slot.x, T, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """The forward pass has left E and T in the scratch; σ(Z) is E/(E + 1)."""
        if slot.dx is None:
            return
        E, T = slot.scratch["exponential"], slot.scratch["tanh"]
        slope, sigmoid = slot.scratch["slope"], slot.scratch["sigmoid"]
        yield call(np.add, E, 1.0, sigmoid)
        yield call(np.divide, E, sigmoid, sigmoid)
        yield call(np.multiply, T, T, slope)
        yield call(np.subtract, 1.0, slope, slope)
        yield call(np.multiply, slope, sigmoid, slope)
        yield call(np.multiply, slope, slot.x, slope)
        yield call(np.add, slope, T, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        """1 − T² is 4((E + 1)/(n + 2))²; farther out than 300 it is 0."""
        E = np.exp(slot.x.clip(-np.inf, 300))
        n = E * (E + 2)
        T, sigmoid = n / (n + 2), E / (E + 1)
        found: Array = sigmoid * 4 * np.square((E + 1) / (n + 2)) * (2 + slot.x * (1 - sigmoid - 2 * T * sigmoid))
        return found
