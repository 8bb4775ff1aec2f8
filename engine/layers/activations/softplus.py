"""Softplus: a smooth ReLU."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.activations.sigmoid import logistic_slope
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call

LARGEST = 40.0
"""Of the Z from which eᶻ is computed: from there on log(1 + eᶻ) is Z in float64 too."""


class SoftplusSpec(Choice):
    type: Literal["softplus"] = "softplus"


class Softplus(Activation):
    """A = log(1 + eᶻ), which is Z itself where Z is large."""

    spec = SoftplusSpec
    formula = "A = log(1 + eᶻ)"
    derivative = "1 − e⁻ᴬ"
    second_derivative = "σ(Z)(1 − σ(Z))"
    source = "Dugas, Bengio, Bélisle, Nadeau & Garcia 2001, Incorporating second-order functional knowledge, eq. 5"
    range = "positive"

    def forward(self, slot: Slot) -> Plan:
        small = slot.scratch["slope"]
        yield call(slot.x.clip, -np.inf, LARGEST, small)
        yield call(np.exp, small, small)
        yield call(np.log1p, small, small)
        yield call(np.maximum, slot.x, small, out=slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.negative, slot.y, slope)
        yield call(np.expm1, slope, slope)
        yield call(np.negative, slope, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        return logistic_slope(slot.x)
