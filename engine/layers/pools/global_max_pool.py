"""The global max pool: the largest of each channel."""

from typing import Any, Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.layers.pools.base import spatial
from engine.options import Choice
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call


class GlobalMaxPoolSpec(Choice):
    """The largest number of each channel over a whole image or sequence."""

    type: Literal["global_max_pool"] = "global_max_pool"


class GlobalMaxPool(Layer):
    """Y (channels,) = the largest of X (*axes, channels) over all axes but the last; among equals the first counts."""

    spec = GlobalMaxPoolSpec
    formula = "Y = max over p of X[p]"
    derivative = "dX at the first largest = dY, 0 elsewhere"
    source = "Collobert et al. 2011, Natural language processing (almost) from scratch, §3.3.2"
    backward_reads = frozenset({"x", "y"})

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        super().__init__(input_shape, spec)
        self.output_shape = (spatial(input_shape)[-1],)

    def scratch(self) -> Shapes:
        return {"rank": self.input_shape, "first": self.output_shape}

    def forward(self, slot: Slot) -> Plan:
        yield call(np.maximum.reduce, _listed(slot.x), axis=1, out=slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        rank, first = _listed(slot.scratch["rank"]), slot.scratch["first"]
        count = rank.shape[1]
        yield call(np.equal, _listed(slot.x), slot.y[:, None], out=rank)
        yield call(np.multiply, rank, np.arange(count, 0, -1, dtype=rank.dtype)[:, None], rank)
        yield call(np.maximum.reduce, rank, axis=1, out=first)
        yield call(np.equal, rank, first[:, None], out=rank)
        yield call(np.multiply, rank, slot.dy[:, None], _listed(slot.dx))

    def pieces(self, slot: Slot) -> Array:
        place: Array = _listed(slot.x).argmax(axis=1)
        return place


def _listed(array: Array) -> Array:
    """(m, *axes, channels) as (m, places, channels)."""
    return array.reshape(len(array), -1, array.shape[-1])
