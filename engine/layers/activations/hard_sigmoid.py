"""Hard sigmoid: a sigmoid made of three straight lines."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class HardSigmoidSpec(Choice):
    type: Literal["hard_sigmoid"] = "hard_sigmoid"


class HardSigmoid(Activation):
    """A = relu6(Z + 3)/6, as in PyTorch: 0 up to −3, 1 from 3. At exactly −3 and 3 the derivative is taken as 0."""

    spec = HardSigmoidSpec
    formula = "A = min(max(0, Z + 3), 6)/6"
    derivative = "1/6 where −3 < Z < 3, else 0"
    source = "Howard et al. 2019, Searching for MobileNetV3, §5.2"
    range = "probability"

    def forward(self, slot: Slot) -> Plan:
        yield call(np.add, slot.x, 3.0, slot.y)
        yield call(slot.y.clip, 0.0, 6.0, slot.y)
        yield call(np.divide, slot.y, 6.0, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        yield call(np.square, slot.y, slope)
        yield call(np.less, slope, slot.y, slope)  # A² < A where 0 < A < 1 alone
        yield call(np.divide, slope, 6.0, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def pieces(self, slot: Slot) -> Array:
        return np.add(slot.x > -3, slot.x >= 3, dtype=np.int8)
