"""The average pool: the mean of each window."""

from typing import Literal

import numpy as np

from engine.layers.base import Slot
from engine.layers.pools.base import Pool, PoolSpec
from engine.layers.windows import inside, offsets
from engine.parameters import Shapes
from engine.plans import Plan, call


class AveragePoolSpec(PoolSpec):
    """The mean of each window, channel by channel; what lies outside counts as 0."""

    type: Literal["average_pool"] = "average_pool"


class AveragePool(Pool):
    """Y[p] = the mean of X over window p, channel by channel, the zeros outside counted too."""

    spec = AveragePoolSpec
    formula = "Y[p] = (1/n)·Σ over o of X[stride·p + o − padding], n the numbers of a window"
    derivative = "dX[stride·p + o − padding] += dY[p]/n"
    source = "LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document recognition, §II.B"
    backward_reads = frozenset()

    def scratch(self) -> Shapes:
        return {"share": self.output_shape}

    def forward(self, slot: Slot) -> Plan:
        yield call(slot.y.fill, 0)
        for y, x in inside(self.axes, slot.y, slot.x):
            yield call(np.add, y, x, y)
        yield call(np.multiply, slot.y, self._weight, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        share = slot.scratch["share"]
        yield call(np.multiply, slot.dy, self._weight, share)
        yield call(slot.dx.fill, 0)
        for part, dx in inside(self.axes, share, slot.dx):
            yield call(np.add, dx, part, dx)

    @property
    def _weight(self) -> float:
        return 1 / sum(1 for _ in offsets(self.axes))
