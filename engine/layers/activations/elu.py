"""ELU: the negative part bends towards −α, so that the mean output comes near 0."""

from typing import ClassVar, Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call


class EluSpec(Choice):
    type: Literal["elu"] = "elu"
    alpha: float = Field(1.0, gt=0, le=100, description="A comes near to −alpha for very negative Z.")


class Elu(Activation):
    """A = Z where Z > 0, else α(eᶻ − 1). At exactly 0 the derivative is taken as α."""

    spec: ClassVar[type[Choice]] = EluSpec
    formula = "A = Z where Z > 0, else α(eᶻ − 1)"
    derivative = "1 where Z > 0, else A + α"
    second_derivative = "0 where Z > 0, else αeᶻ"
    source = "Clevert, Unterthiner & Hochreiter 2016, Fast and accurate deep network learning by ELUs, §3"
    initializer = "he_normal"
    gain: ClassVar[float] = 1.0
    """The derivative where Z > 0."""

    def __init__(self, input_shape: Shape, spec: EluSpec) -> None:
        super().__init__(input_shape, spec)
        self.alpha = self.depth = spec.alpha
        """A comes near to −depth; also the derivative just below 0."""

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape, "negative": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        negative = slot.scratch["negative"]
        yield call(slot.x.clip, -np.inf, 0.0, negative)
        yield call(np.expm1, negative, negative)
        if self.depth != 1:
            yield call(np.multiply, negative, self.depth, negative)
        yield call(slot.x.clip, 0.0, np.inf, slot.y)
        if self.gain != 1:
            yield call(np.multiply, slot.y, self.gain, slot.y)
        yield call(np.add, slot.y, negative, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """The forward pass has left A's negative part in the scratch, which is 0 where Z > 0."""
        if slot.dx is None:
            return
        slope, negative = slot.scratch["slope"], slot.scratch["negative"]
        if self.depth == self.gain:
            yield call(np.add, negative, self.depth, slope)
        else:
            yield call(np.greater, slot.y, 0.0, slope)
            yield call(np.multiply, slope, self.gain - self.depth, slope)
            yield call(np.add, slope, self.depth, slope)
            yield call(np.add, slope, negative, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        return np.where(slot.x > 0, 0.0, self.depth * np.exp(np.minimum(slot.x, 0.0)))

    def pieces(self, slot: Slot) -> Array:
        return slot.x > 0
