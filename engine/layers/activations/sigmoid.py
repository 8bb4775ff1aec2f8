"""Sigmoid: a number squeezed into a probability."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class SigmoidSpec(Choice):
    type: Literal["sigmoid"] = "sigmoid"


class Sigmoid(Activation):
    """A = 1/(1 + e⁻ᶻ). Where e⁻ᶻ overflows, A is 0, as it should be."""

    spec = SigmoidSpec
    formula = "A = 1/(1 + e⁻ᶻ)"
    derivative = "A(1 − A)"
    second_derivative = "A(1 − A)(1 − 2A)"
    source = "the logistic function; Rumelhart, Hinton & Williams 1986, eq. 2"
    range = "probability"

    def forward(self, slot: Slot) -> Plan:
        yield call(np.negative, slot.x, slot.y)
        yield call(np.exp, slot.y, slot.y)
        yield call(np.add, slot.y, 1.0, slot.y)
        yield call(np.reciprocal, slot.y, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.subtract, 1.0, slot.y, slope)
        yield call(np.multiply, slope, slot.y, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        """1 − 2A is −tanh(Z/2)."""
        found: Array = -logistic_slope(slot.x) * np.tanh(slot.x / 2)
        return found


def logistic_slope(Z: Array) -> Array:
    """σ(Z)·(1 − σ(Z)) = e^{−|Z|}/(1 + e^{−|Z|})², which stays above 0 where σ(Z) is rounded to 1."""
    E = np.exp(-np.abs(Z))
    slope: Array = E / np.square(1 + E)
    return slope
