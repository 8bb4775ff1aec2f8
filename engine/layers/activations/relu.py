"""ReLU: the positive part."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class ReluSpec(Choice):
    type: Literal["relu"] = "relu"


class Relu(Activation):
    """A = max(0, Z). At exactly 0 the derivative is not defined; 0 is taken."""

    spec = ReluSpec
    formula = "A = max(0, Z)"
    derivative = "1 where Z > 0, else 0"
    source = "Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines"
    initializer = "he_normal"

    def forward(self, slot: Slot) -> Plan:
        yield call(slot.x.clip, 0.0, np.inf, slot.y)  # lets NaN through, so that divergence is seen

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is not None:
            yield call(np.greater, slot.y, 0.0, slot.scratch["slope"])
            yield call(np.multiply, slot.dy, slot.scratch["slope"], slot.dx)

    def pieces(self, slot: Slot) -> Array:
        return slot.x > 0
