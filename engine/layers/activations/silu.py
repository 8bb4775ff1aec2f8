"""SiLU, also called Swish: a number weighed with its own sigmoid."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.activations.sigmoid import logistic_slope
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Array, Shapes
from engine.plans import Plan, call


class SiluSpec(Choice):
    type: Literal["silu"] = "silu"


class Silu(Activation):
    """A = Z·σ(Z), also called Swish."""

    spec = SiluSpec
    formula = "A = Z·σ(Z), σ(Z) = 1/(1 + e⁻ᶻ)"
    derivative = "σ(Z) + A(1 − σ(Z))"
    second_derivative = "σ(1 − σ)(2 + Z(1 − 2σ)), σ = σ(Z)"
    source = "Elfwing, Uchibe & Doya 2018, Sigmoid-weighted linear units for neural network function approximation"
    initializer = "he_normal"

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape, "sigmoid": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        sigmoid = slot.scratch["sigmoid"]
        yield call(np.negative, slot.x, sigmoid)
        yield call(np.exp, sigmoid, sigmoid)
        yield call(np.add, sigmoid, 1.0, sigmoid)
        yield call(np.reciprocal, sigmoid, sigmoid)
        yield call(np.multiply, slot.x, sigmoid, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """The forward pass has left σ(Z) in the scratch, so that A may overwrite Z."""
        if slot.dx is None:
            return
        slope, sigmoid = slot.scratch["slope"], slot.scratch["sigmoid"]
        yield call(np.subtract, 1.0, sigmoid, slope)
        yield call(np.multiply, slope, slot.y, slope)
        yield call(np.add, slope, sigmoid, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        """1 − 2σ(Z) is −tanh(Z/2)."""
        found: Array = logistic_slope(slot.x) * (2 - slot.x * np.tanh(slot.x / 2))
        return found
