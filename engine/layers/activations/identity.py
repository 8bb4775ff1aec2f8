"""Identity: no activation at all."""

from typing import Literal

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Shapes
from engine.plans import Plan, copy


class IdentitySpec(Choice):
    type: Literal["identity"] = "identity"


class Identity(Activation):
    """A = Z: no activation at all."""

    spec = IdentitySpec
    formula = "A = Z"
    derivative = "1"
    source = "the textbook's linear output unit"
    backward_reads = frozenset()

    def scratch(self) -> Shapes:
        return {}

    def forward(self, slot: Slot) -> Plan:
        yield from copy(slot.x, slot.y)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is not None:
            yield from copy(slot.dy, slot.dx)
