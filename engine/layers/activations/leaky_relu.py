"""Leaky ReLU: the negative part goes on, made small."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice, Field
from engine.parameters import Array, Shape
from engine.plans import Plan, call


class LeakyReluSpec(Choice):
    type: Literal["leaky_relu"] = "leaky_relu"
    slope: float = Field(0.01, ge=0, lt=1, description="The derivative where Z ≤ 0.")


class LeakyRelu(Activation):
    """A = Z where Z > 0, else slope·Z. At exactly 0 the derivative is taken as slope."""

    spec = LeakyReluSpec
    formula = "A = max(Z, slope·Z)"
    derivative = "1 where Z > 0, else slope"
    source = "Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models"
    initializer = "he_normal"

    def __init__(self, input_shape: Shape, spec: LeakyReluSpec) -> None:
        super().__init__(input_shape, spec)
        self.slope = spec.slope

    def forward(self, slot: Slot) -> Plan:
        yield call(np.multiply, slot.x, self.slope, slot.scratch["slope"])
        yield call(np.maximum, slot.x, slot.scratch["slope"], out=slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.greater, slot.y, 0.0, slope)
        yield call(np.multiply, slope, 1 - self.slope, slope)
        yield call(np.add, slope, self.slope, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def pieces(self, slot: Slot) -> Array:
        return slot.x > 0
