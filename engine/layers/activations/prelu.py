"""Parametric ReLU: a leaky ReLU that learns how much of the negative part goes on."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, sum_rows


class PreluSpec(Choice):
    type: Literal["prelu"] = "prelu"
    slope: float = Field(0.25, ge=-1, le=1, description="What the learned derivative where Z ≤ 0 starts from.")
    shared: bool = Field(False, description="One slope for all units, instead of one for each along the last axis.")


class Prelu(Activation):
    """A = Z where Z > 0, else slope·Z, where each unit learns its slope. At exactly 0 the derivative is the slope.

    The slope is no weight, so no penalty draws it to 0, as in the source.
    """

    spec = PreluSpec
    formula = "A = max(0, Z) + slope·min(0, Z)"
    derivative = "1 where Z > 0, else slope; dslope = Σ rows of dA·min(0, Z)"
    source = "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, eq. 1, 8"
    initializer = "he_normal"
    backward_reads = frozenset({"x"})

    def __init__(self, input_shape: Shape, spec: PreluSpec) -> None:
        super().__init__(input_shape, spec)
        self.slope = spec.slope
        self.count = 1 if spec.shared else input_shape[-1]

    def parameters(self) -> Shapes:
        return {"slope": (self.count,)}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        values["slope"][...] = self.slope

    def scratch(self) -> Shapes:
        return {"negative": self.input_shape, "slope": self.input_shape}

    def fixed_scratch(self) -> Shapes:
        return {"rest": (self.count,)}

    def forward(self, slot: Slot) -> Plan:
        negative, slope = slot.scratch["negative"], slot.scratch["slope"]
        yield call(slot.x.clip, -np.inf, 0.0, negative)
        yield call(np.multiply, negative, slot.params["slope"], slope)
        yield call(slot.x.clip, 0.0, np.inf, slot.y)
        yield call(np.add, slot.y, slope, slot.y)

    def backward(self, slot: Slot) -> Plan:
        slope, rest = slot.scratch["slope"], slot.scratch["rest"]
        yield call(np.multiply, slot.scratch["negative"], slot.dy, slope)
        yield sum_rows(slope.reshape(-1, self.count), slot.grads["slope"])
        if slot.dx is not None:
            yield call(np.subtract, 1.0, slot.params["slope"], rest)
            yield call(np.greater, slot.x, 0.0, slope)
            yield call(np.multiply, slope, rest, slope)
            yield call(np.add, slope, slot.params["slope"], slope)
            yield call(np.multiply, slot.dy, slope, slot.dx)

    def pieces(self, slot: Slot) -> Array:
        return slot.x > 0
