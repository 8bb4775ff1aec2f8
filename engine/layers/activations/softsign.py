"""Softsign: squeezed between −1 and 1 like tanh, but slower to saturate."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array, Shapes
from engine.plans import Plan, call


class SoftsignSpec(Choice):
    type: Literal["softsign"] = "softsign"


class Softsign(Activation):
    """A = Z/(1 + |Z|). The derivative fades as 1/Z², where tanh's fades as e^{−2|Z|}."""

    spec = SoftsignSpec
    formula = "A = Z/(1 + |Z|)"
    derivative = "1/(1 + |Z|)²"
    second_derivative = "−2 sign(Z)/(1 + |Z|)³, 0 at 0, where it jumps from 2 to −2"
    source = "Bergstra, Desjardins, Lamblin & Bengio 2009, Quadratic polynomials learn better image features"
    backward_reads = frozenset()

    def scratch(self) -> Shapes:
        return {"divisor": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        divisor = slot.scratch["divisor"]
        yield call(np.abs, slot.x, divisor)
        yield call(np.add, divisor, 1.0, divisor)
        yield call(np.divide, slot.x, divisor, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """The forward pass has left 1 + |Z| in the scratch."""
        if slot.dx is not None:
            yield call(np.divide, slot.dy, slot.scratch["divisor"], slot.dx)
            yield call(np.divide, slot.dx, slot.scratch["divisor"], slot.dx)

    def second(self, slot: Slot) -> Array:
        found: Array = -2 * np.sign(slot.x) / (1 + np.abs(slot.x)) ** 3
        return found

    def pieces(self, slot: Slot) -> Array:
        return slot.x > 0
