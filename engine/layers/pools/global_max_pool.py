"""The global max pool: the largest of each channel."""

from typing import Any, Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.layers.pools.base import spatial
from engine.options import Choice
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, room


class GlobalMaxPoolSpec(Choice):
    """The largest number of each channel over a whole image or sequence."""

    type: Literal["global_max_pool"] = "global_max_pool"


class GlobalMaxPool(Layer):
    """Y (channels,) = the largest of X (*axes, channels) over all axes but the last; among equals the first counts."""

    spec = GlobalMaxPoolSpec
    formula = "Y = max over p of X[p]"
    derivative = "dX at the first largest = dY, 0 elsewhere"
    source = "Collobert et al. 2011, Natural language processing (almost) from scratch, §3.3.2"
    backward_reads = frozenset({"x"})

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        super().__init__(input_shape, spec)
        self.output_shape = (spatial(input_shape)[-1],)

    def scratch(self) -> Shapes:
        return {"place": (2, *self.output_shape)}

    def forward(self, slot: Slot) -> Plan:
        yield call(np.maximum.reduce, _listed(slot.x), axis=1, out=slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        m, count, channels = _listed(slot.dx).shape
        place = room(slot.scratch["place"], np.dtype(np.intp), (m, channels))
        row = np.arange(m)[:, None] * count * channels
        yield call(np.argmax, _listed(slot.x), axis=1, out=place)
        yield call(np.multiply, place, channels, place)
        yield call(np.add, place, row, place)
        yield call(np.add, place, np.arange(channels), place)
        yield call(slot.dx.fill, 0)
        yield call(slot.dx.reshape(-1).put, place, slot.dy, mode="clip")

    def pieces(self, slot: Slot) -> Array:
        place: Array = _listed(slot.x).argmax(axis=1)
        return place


def _listed(array: Array) -> Array:
    """(m, *axes, channels) as (m, places, channels)."""
    return array.reshape(len(array), -1, array.shape[-1])
