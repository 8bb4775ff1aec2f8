"""Reshape: the same numbers in the same order, with other axes."""

from math import prod
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from engine.errors import SpecError
from engine.layers.base import Layer, Slot
from engine.options import Choice, Field
from engine.parameters import Shape
from engine.plans import Plan, call


class ReshapeSpec(Choice):
    """The same numbers with other axes."""

    type: Literal["reshape"] = "reshape"
    shape: tuple[Annotated[int, Field(strict=True)], ...] = Field(
        min_length=1, max_length=4, description="Of one row; one axis may be −1: what the others leave."
    )


class Reshape(Layer):
    """Y holds X's numbers in X's order, the last axis running fastest, in the shape asked for."""

    spec: ClassVar[type[Choice]] = ReshapeSpec
    formula = "Y = X, reshaped"
    derivative = "dX = dY, reshaped"
    source = "an order of the same numbers, so the chain rule is that order back"
    backward_reads = frozenset()

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        super().__init__(input_shape, spec)
        self.output_shape = self.shape(spec)

    def shape(self, spec: Any) -> Shape:
        """The shape of one row's output."""
        count, known = prod(self.input_shape), prod(size for size in spec.shape if size != -1)
        if any(size < 1 and size != -1 for size in spec.shape) or spec.shape.count(-1) > 1:
            raise SpecError("shape", f"expected sizes from 1, at most one of them −1, got {list(spec.shape)}")
        if count % known or (-1 not in spec.shape and count != known):
            raise SpecError(
                "shape",
                f"expected a shape that holds the {count} numbers of {list(self.input_shape)}, got {list(spec.shape)}",
                code="wrong_shape",
            )
        return tuple(count // known if size == -1 else size for size in spec.shape)

    def forward(self, slot: Slot) -> Plan:
        yield call(np.copyto, slot.y, slot.x.reshape(slot.y.shape))

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is not None:
            yield call(np.copyto, slot.dx, slot.dy.reshape(slot.dx.shape))
