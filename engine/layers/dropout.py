"""Dropout: while training, some inputs are left out at random, so that no unit can rely on another."""

from typing import Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.options import Choice, Field
from engine.parameters import Shape, Shapes
from engine.plans import Plan, call, copy


class DropoutSpec(Choice):
    """While training, each input is zeroed with probability `rate` and the others are divided by 1 − rate."""

    type: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1)


class Dropout(Layer):
    """While training each input is zeroed with probability `rate` and the others grow by 1/(1 − rate).

    The mask is drawn anew at every step, from (seed, epoch, step, place of the layer). Outside training Y = X.
    """

    spec = DropoutSpec
    formula = "Y = X ⊙ M, M = 0 with probability rate, else 1/(1 − rate)"
    derivative = "dX = dY ⊙ M"
    source = "Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, Dropout, §10 (the inverted form)"
    backward_reads = frozenset()
    works_in_place = True
    is_random = True

    def __init__(self, input_shape: Shape, spec: DropoutSpec) -> None:
        super().__init__(input_shape, spec)
        self.rate = spec.rate

    def scratch(self) -> Shapes:
        return {"mask": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        if slot.draw is None:
            yield from copy(slot.x, slot.y)
            return
        draw, mask = slot.draw, slot.scratch["mask"]
        yield lambda: draw().random(dtype=mask.dtype, out=mask)
        yield call(np.greater_equal, mask, self.rate, mask)
        yield call(np.multiply, mask, 1 / (1 - self.rate), mask)
        yield call(np.multiply, slot.x, mask, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        if slot.draw is None:
            yield from copy(slot.dy, slot.dx)
        else:
            yield call(np.multiply, slot.dy, slot.scratch["mask"], slot.dx)
