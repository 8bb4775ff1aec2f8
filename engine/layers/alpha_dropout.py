"""Alpha dropout: dropout that keeps the mean and the variance of what it meets, made for SELU."""

from math import sqrt
from typing import Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.options import Choice, Field
from engine.parameters import Shape, Shapes
from engine.plans import Plan, call, copy

SATURATION = -1.7580993408473766
"""α′ = −λα of SELU: what its outputs saturate at."""


class AlphaDropoutSpec(Choice):
    """While training, each input becomes α′ with probability `rate`; then all are scaled to the mean and variance."""

    type: Literal["alpha_dropout"] = "alpha_dropout"
    rate: float = Field(ge=0, lt=1, description="The probability of being dropped.")


class AlphaDropout(Layer):
    """While training each input becomes α′ = −1.7581 with probability `rate`, and then Y = a·X + b for all.

    With q = 1 − rate, a = (q + α′²·q·(1 − q))^(−1/2) and b = −a·(1 − q)·α′ keep inputs of mean 0 and variance 1 at
    these. The mask is drawn anew at every step, from (seed, epoch, step, place of the layer). Outside training Y = X.
    """

    spec = AlphaDropoutSpec
    formula = "Y = a·(X ⊙ D + α′·(1 − D)) + b, D = 0 with probability rate, else 1"
    derivative = "dX = a·dY ⊙ D"
    source = "Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-normalizing neural networks, §3"
    backward_reads = frozenset()
    works_in_place = True
    is_random = True

    def __init__(self, input_shape: Shape, spec: AlphaDropoutSpec) -> None:
        super().__init__(input_shape, spec)
        self.rate, q = spec.rate, 1 - spec.rate
        self.slope = 1 / sqrt(q + SATURATION**2 * q * (1 - q))
        self.dropped = self.slope * SATURATION - self.slope * (1 - q) * SATURATION
        """What a dropped input becomes."""

    def scratch(self) -> Shapes:
        return {"mask": self.input_shape, "shift": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        if slot.draw is None:
            yield from copy(slot.x, slot.y)
            return
        draw, mask, shift = slot.draw, slot.scratch["mask"], slot.scratch["shift"]
        yield lambda: draw().random(dtype=mask.dtype, out=mask)
        yield call(np.greater_equal, mask, self.rate, mask)
        yield call(np.multiply, mask, self.slope, mask)
        yield call(np.multiply, mask, -SATURATION, shift)
        yield call(np.add, shift, self.dropped, shift)
        yield call(np.multiply, slot.x, mask, slot.y)
        yield call(np.add, slot.y, shift, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        if slot.draw is None:
            yield from copy(slot.dy, slot.dx)
        else:
            yield call(np.multiply, slot.dy, slot.scratch["mask"], slot.dx)
