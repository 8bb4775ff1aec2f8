"""Sigmoid: a number squeezed into a probability."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.plans import Plan, call


class SigmoidSpec(Choice):
    type: Literal["sigmoid"] = "sigmoid"


class Sigmoid(Activation):
    """A = 1/(1 + e⁻ᶻ). Where e⁻ᶻ overflows, A is 0, as it should be."""

    spec = SigmoidSpec
    formula = "A = 1/(1 + e⁻ᶻ)"
    derivative = "A(1 − A)"
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
