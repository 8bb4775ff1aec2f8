"""Gaussian noise: while training, every input is blurred, so that the network can't rely on its exact value."""

from typing import Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.options import Choice, Field
from engine.parameters import Shape, Shapes
from engine.plans import Plan, call, copy


class GaussianNoiseSpec(Choice):
    """While training, normal noise of mean 0 and this standard deviation is added to each input."""

    type: Literal["gaussian_noise"] = "gaussian_noise"
    std: float = Field(ge=0, le=1e6, description="The noise's standard deviation.")


class GaussianNoise(Layer):
    """While training Y = X + N with N normal of mean 0 and standard deviation `std`; outside training Y = X.

    The noise is drawn anew at every step, from (seed, epoch, step, place of the layer).
    """

    spec = GaussianNoiseSpec
    formula = "Y = X + N, N ~ N(0, std²)"
    derivative = "dX = dY"
    source = "Sietsma & Dow 1991, Creating artificial neural networks that generalize; Bishop 1995, Training with noise"
    backward_reads = frozenset()
    works_in_place = True
    is_random = True

    def __init__(self, input_shape: Shape, spec: GaussianNoiseSpec) -> None:
        super().__init__(input_shape, spec)
        self.std = spec.std

    def scratch(self) -> Shapes:
        return {"noise": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        if slot.draw is None:
            yield from copy(slot.x, slot.y)
            return
        draw, noise = slot.draw, slot.scratch["noise"]
        yield lambda: draw().standard_normal(dtype=noise.dtype, out=noise)
        yield call(np.multiply, noise, self.std, noise)
        yield call(np.add, slot.x, noise, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is not None:
            yield from copy(slot.dy, slot.dx)
