"""Exponential: a number turned into one above 0, such as a rate."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array, Shapes
from engine.plans import Plan, call


class ExponentialSpec(Choice):
    type: Literal["exponential"] = "exponential"


class Exponential(Activation):
    """A = eᶻ: what the log link stands before in a Poisson regression."""

    spec = ExponentialSpec
    formula = "A = eᶻ"
    derivative = "A"
    second_derivative = "A"
    source = "McCullagh & Nelder 1989, Generalized linear models, §2.2 (the inverse of the log link)"
    range = "positive"

    def scratch(self) -> Shapes:
        return {}

    def forward(self, slot: Slot) -> Plan:
        yield call(np.exp, slot.x, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is not None:
            yield call(np.multiply, slot.dy, slot.y, slot.dx)

    def second(self, slot: Slot) -> Array:
        return slot.y
