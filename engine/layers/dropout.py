"""Dropout: while training, some inputs are left out at random, so that no unit can rely on another."""

import numpy as np

from engine.layers.base import Layer, Slot
from engine.parameters import Shape, Shapes
from engine.spec import DropoutSpec


class Dropout(Layer):
    """While training each input is zeroed with probability `rate` and the others grow by 1/(1 − rate).

    The mask is drawn anew at every step, from (seed, epoch, step, place of the layer). Outside training Y = X.
    """

    formula = "Y = X ⊙ M, M = 0 with probability rate, else 1/(1 − rate)"
    derivative = "dX = dY ⊙ M"
    source = "Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, Dropout, §10 (the inverted form)"
    backward_reads = frozenset()
    works_in_place = True

    def __init__(self, input_shape: Shape, spec: DropoutSpec) -> None:
        super().__init__(input_shape, spec)
        self.rate = spec.rate

    def scratch(self) -> Shapes:
        return {"mask": self.input_shape}

    def forward(self, slot: Slot) -> None:
        if slot.draw is None:
            if slot.y is not slot.x:
                np.copyto(slot.y, slot.x)
            return
        mask = slot.scratch["mask"]
        slot.draw().random(dtype=mask.dtype, out=mask)
        np.greater_equal(mask, self.rate, out=mask)
        np.multiply(mask, 1 / (1 - self.rate), out=mask)
        np.multiply(slot.x, mask, out=slot.y)

    def backward(self, slot: Slot) -> None:
        if slot.dx is None:
            return
        if slot.draw is None:
            np.copyto(slot.dx, slot.dy)
        else:
            np.multiply(slot.dy, slot.scratch["mask"], out=slot.dx)
