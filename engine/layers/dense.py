"""The dense layer: every output is a weighted sum of every input."""

import numpy as np

from engine.initializers import INITIALIZERS
from engine.layers.base import Layer, Slot
from engine.parameters import Array, Shape, Shapes
from engine.spec import DenseSpec, resolve_init


class Dense(Layer):
    """Z = X·W + b."""

    formula = "Z = X·W + b"
    derivative = "dW = Xᵀ·dZ, db = Σ rows of dZ, dX = dZ·Wᵀ"
    source = "Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors"
    backward_reads = frozenset({"x"})

    def __init__(self, input_shape: Shape, spec: DenseSpec) -> None:
        super().__init__(input_shape, spec)
        self.output_shape = (spec.units,)
        self.init = resolve_init(spec.init, spec.activation.type)

    def parameters(self) -> Shapes:
        return {"W": (*self.input_shape, *self.output_shape), "b": self.output_shape}

    def initialize(self, params: dict[str, Array], generator: np.random.Generator) -> None:
        INITIALIZERS[self.init].fill(params["W"], generator)
        params["b"].fill(0)

    def forward(self, slot: Slot) -> None:
        np.dot(slot.x, slot.params["W"], out=slot.y)
        np.add(slot.y, slot.params["b"], out=slot.y)

    def backward(self, slot: Slot) -> None:
        np.dot(slot.x.T, slot.dy, out=slot.grads["W"])
        np.add.reduce(slot.dy, axis=0, out=slot.grads["b"])
        if slot.dx is not None:
            np.dot(slot.dy, slot.params["W"].T, out=slot.dx)
