"""Hard tanh: a tanh made of three straight lines."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class HardTanhSpec(Choice):
    type: Literal["hard_tanh"] = "hard_tanh"


class HardTanh(Activation):
    """A = min(max(−1, Z), 1). At exactly −1 and 1 the derivative is taken as 0."""

    spec = HardTanhSpec
    formula = "A = min(max(−1, Z), 1)"
    derivative = "1 where −1 < Z < 1, else 0"
    source = "Collobert 2004, Large scale machine learning, ch. 3"

    def forward(self, slot: Slot) -> Plan:
        yield call(slot.x.clip, -1.0, 1.0, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.abs, slot.y, slope)
        yield call(np.less, slope, 1.0, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def pieces(self, slot: Slot) -> Array:
        return np.add(slot.x > -1, slot.x >= 1, dtype=np.int8)
