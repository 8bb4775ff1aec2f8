"""The global average pool: the mean of each channel."""

from typing import Any, Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.layers.pools.base import spatial
from engine.options import Choice
from engine.parameters import Shape
from engine.plans import Plan, call


class GlobalAveragePoolSpec(Choice):
    """The mean of each channel over a whole image or sequence."""

    type: Literal["global_average_pool"] = "global_average_pool"


class GlobalAveragePool(Layer):
    """Y (channels,) = the mean of X (*axes, channels) over all axes but the last."""

    spec = GlobalAveragePoolSpec
    formula = "Y = (1/n)·Σ over p of X[p], n the places"
    derivative = "dX[p] = dY/n"
    source = "Lin, Chen & Yan 2014, Network in network, §3.2"
    backward_reads = frozenset()

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        super().__init__(input_shape, spec)
        self.output_shape = (spatial(input_shape)[-1],)

    def forward(self, slot: Slot) -> Plan:
        X = slot.x.reshape(len(slot.x), -1, slot.x.shape[-1])
        yield call(np.add.reduce, X, axis=1, out=slot.y)
        yield call(np.multiply, slot.y, 1 / X.shape[1], slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is not None:
            dX = slot.dx.reshape(len(slot.dx), -1, slot.dx.shape[-1])
            yield call(np.multiply, slot.dy[:, None], 1 / dX.shape[1], dX)
