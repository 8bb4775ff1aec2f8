"""Activations: A = g(Z), element by element, but for softmax, which works on whole rows.

Here x is Z, y is A, dy is dA and dx is dZ. Each backward pass reads A instead of Z, so that A may overwrite Z.
"""

import numpy as np

from engine.layers.base import Layer, Slot
from engine.parameters import Shape, Shapes
from engine.spec import LeakyReluSpec


class Identity(Layer):
    """A = Z: no activation at all."""

    formula = "A = Z"
    derivative = "1"
    source = "the textbook's linear output unit"
    backward_reads = frozenset()
    works_in_place = True

    def forward(self, slot: Slot) -> None:
        if slot.y is not slot.x:
            np.copyto(slot.y, slot.x)

    def backward(self, slot: Slot) -> None:
        if slot.dx is not None and slot.dx is not slot.dy:
            np.copyto(slot.dx, slot.dy)


class Relu(Layer):
    """A = max(0, Z). At exactly 0 the derivative is not defined; 0 is taken."""

    formula = "A = max(0, Z)"
    derivative = "1 where Z > 0, else 0"
    source = "Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines"
    backward_reads = frozenset({"y"})
    works_in_place = True
    has_kink = True

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape}

    def forward(self, slot: Slot) -> None:
        np.maximum(slot.x, 0, out=slot.y)  # lets NaN through, so that divergence is seen

    def backward(self, slot: Slot) -> None:
        if slot.dx is not None:
            np.sign(slot.y, out=slot.scratch["slope"])
            np.multiply(slot.dy, slot.scratch["slope"], out=slot.dx)


class LeakyRelu(Layer):
    """A = Z where Z > 0, else slope·Z. At exactly 0 the derivative is taken as slope."""

    formula = "A = max(Z, slope·Z)"
    derivative = "1 where Z > 0, else slope"
    source = "Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models"
    backward_reads = frozenset({"y"})
    works_in_place = True
    has_kink = True

    def __init__(self, input_shape: Shape, spec: LeakyReluSpec) -> None:
        super().__init__(input_shape, spec)
        self.slope = spec.slope

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape}

    def forward(self, slot: Slot) -> None:
        np.multiply(slot.x, self.slope, out=slot.scratch["slope"])
        np.maximum(slot.x, slot.scratch["slope"], out=slot.y)

    def backward(self, slot: Slot) -> None:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        np.greater(slot.y, 0, out=slope)
        np.multiply(slope, 1 - self.slope, out=slope)
        np.add(slope, self.slope, out=slope)
        np.multiply(slot.dy, slope, out=slot.dx)


class Sigmoid(Layer):
    """A = 1/(1 + e⁻ᶻ). Where e⁻ᶻ overflows, A is 0, as it should be."""

    formula = "A = 1/(1 + e⁻ᶻ)"
    derivative = "A(1 − A)"
    source = "the logistic function; Rumelhart, Hinton & Williams 1986, eq. 2"
    backward_reads = frozenset({"y"})
    works_in_place = True

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape}

    def forward(self, slot: Slot) -> None:
        np.negative(slot.x, out=slot.y)
        np.exp(slot.y, out=slot.y)
        np.add(slot.y, 1, out=slot.y)
        np.reciprocal(slot.y, out=slot.y)

    def backward(self, slot: Slot) -> None:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        np.subtract(1, slot.y, out=slope)
        np.multiply(slope, slot.y, out=slope)
        np.multiply(slot.dy, slope, out=slot.dx)


class Tanh(Layer):
    """A = tanh Z."""

    formula = "A = tanh Z"
    derivative = "1 − A²"
    source = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, §4.4"
    backward_reads = frozenset({"y"})
    works_in_place = True

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape}

    def forward(self, slot: Slot) -> None:
        np.tanh(slot.x, out=slot.y)

    def backward(self, slot: Slot) -> None:
        if slot.dx is None:
            return
        slope = slot.scratch["slope"]
        np.multiply(slot.y, slot.y, out=slope)
        np.subtract(1, slope, out=slope)
        np.multiply(slot.dy, slope, out=slot.dx)


class Softmax(Layer):
    """A_k = e^{Z_k} / Σⱼ e^{Z_j} along each row. The row's largest Z is taken off first, which changes nothing else.

    Every Z of a row moves every A of it, so the backward pass applies the row's full Jacobian.
    """

    formula = "A_k = e^{Z_k} / Σⱼ e^{Z_j}"
    derivative = "dZ = A ⊙ (dA − Σⱼ dA_j·A_j)"
    source = "Bridle 1990, Probabilistic interpretation of feedforward classification network outputs"
    backward_reads = frozenset({"y"})
    works_in_place = True

    def scratch(self) -> Shapes:
        return {"product": self.input_shape, "row": (1,)}

    def forward(self, slot: Slot) -> None:
        row = slot.scratch["row"]
        np.maximum.reduce(slot.x, axis=1, keepdims=True, out=row)
        np.subtract(slot.x, row, out=slot.y)
        np.exp(slot.y, out=slot.y)
        np.add.reduce(slot.y, axis=1, keepdims=True, out=row)
        np.divide(slot.y, row, out=slot.y)

    def backward(self, slot: Slot) -> None:
        if slot.dx is None:
            return
        product, row = slot.scratch["product"], slot.scratch["row"]
        np.multiply(slot.dy, slot.y, out=product)
        np.add.reduce(product, axis=1, keepdims=True, out=row)
        np.subtract(slot.dy, row, out=slot.dx)
        np.multiply(slot.dx, slot.y, out=slot.dx)
