"""Tanh: a number squeezed between −1 and 1."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.activations.sigmoid import logistic_slope
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class TanhSpec(Choice):
    type: Literal["tanh"] = "tanh"


class Tanh(Activation):
    """A = tanh Z."""

    spec = TanhSpec
    formula = "A = tanh Z"
    derivative = "1 − A²"
    second_derivative = "−2A(1 − A²)"
    source = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, §4.4"

    def forward(self, slot: Slot) -> Plan:
        yield call(np.tanh, slot.x, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.multiply, slot.y, slot.y, slope)
        yield call(np.subtract, 1.0, slope, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        """1 − A² is 4σ(2Z)·(1 − σ(2Z))."""
        found: Array = -8 * slot.y * logistic_slope(2 * slot.x)
        return found
