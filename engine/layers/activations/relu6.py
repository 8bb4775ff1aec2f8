"""ReLU6: the positive part, up to 6."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class Relu6Spec(Choice):
    type: Literal["relu6"] = "relu6"


class Relu6(Activation):
    """A = min(max(0, Z), 6). At exactly 0 and 6 the derivative is taken as 0."""

    spec = Relu6Spec
    formula = "A = min(max(0, Z), 6)"
    derivative = "1 where 0 < Z < 6, else 0"
    source = "Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10"
    initializer = "he_normal"

    def forward(self, slot: Slot) -> Plan:
        yield call(slot.x.clip, 0.0, 6.0, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.greater, slot.y, 0.0, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)
        yield call(np.less, slot.y, 6.0, slope)
        yield call(np.multiply, slot.dx, slope, slot.dx)

    def pieces(self, slot: Slot) -> Array:
        return np.add(slot.x > 0, slot.x >= 6, dtype=np.int8)
