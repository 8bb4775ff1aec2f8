"""The max pool: the largest of each window."""

from typing import Literal

import numpy as np

from engine.layers.base import Slot
from engine.layers.pools.base import Pool, PoolSpec
from engine.layers.windows import inside
from engine.parameters import Array, Shapes
from engine.plans import Plan, call


class MaxPoolSpec(PoolSpec):
    """The largest number of each window, channel by channel; what lies outside never is."""

    type: Literal["max_pool"] = "max_pool"


class MaxPool(Pool):
    """Y[p] = the largest X in window p, channel by channel. Among equals the first counts, row by row."""

    spec = MaxPoolSpec
    formula = "Y[p] = max over o of X[stride·p + o − padding]"
    derivative = "dX at the first largest of window p += dY[p]"
    source = "Ranzato, Huang, Boureau & LeCun 2007, Unsupervised learning of invariant feature hierarchies"
    backward_reads = frozenset({"x", "y"})

    def scratch(self) -> Shapes:
        return {"left": self.output_shape, "given": self.output_shape}

    def forward(self, slot: Slot) -> Plan:
        met = inside(self.axes, slot.y, slot.x)
        if self.is_padded:
            yield call(slot.y.fill, -np.inf)
        else:
            y, x = next(met)
            yield call(np.copyto, y, x)
        for y, x in met:
            yield call(np.maximum, y, x, out=y)  # lets NaN through, so that divergence is seen

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        left, given = slot.scratch["left"], slot.scratch["given"]
        yield call(np.copyto, left, slot.dy)
        yield call(slot.dx.fill, 0)
        pairs = (inside(self.axes, array, slot.x) for array in (slot.y, left, given))
        for (y, x), (rest, _), (gift, _), (_, dx) in zip(*pairs, inside(self.axes, slot.y, slot.dx), strict=True):
            yield call(np.equal, x, y, out=gift)
            yield call(np.multiply, gift, rest, gift)
            yield call(np.subtract, rest, gift, rest)  # once given to the first of equals, nothing is left
            if self.overlaps:
                yield call(np.add, dx, gift, dx)
            else:
                yield call(np.copyto, dx, gift)

    def pieces(self, slot: Slot) -> Array:
        found = np.full(slot.y.shape, -1)
        for number, ((y, x), (place, _)) in enumerate(
            zip(inside(self.axes, slot.y, slot.x), inside(self.axes, found, slot.x), strict=True)
        ):
            place[(x == y) & (place < 0)] = number
        return found
