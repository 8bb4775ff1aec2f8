"""The residual block: what its layers make of an input is added to that input."""

from collections.abc import Iterator
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

import engine.layers
from engine.errors import SpecError
from engine.layers.base import Layer, Slot
from engine.layers.convolutions import Conv1d, Conv1dSpec, Conv2d, Conv2dSpec
from engine.layers.dense import Dense, DenseSpec
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, copy

if TYPE_CHECKING:
    from engine.layers import LayerSpec


class ResidualSpec(Choice):
    """Y = F(X) + X, F being the layers inside, one after the other; Y = F(X) + X·W where the shapes differ."""

    type: Literal["residual"] = "residual"
    layers: "tuple[LayerSpec, ...]" = Field(min_length=1, max_length=256, description="The layers inside, in order.")

    def resolved(self) -> Self:
        return self.model_copy(update={"layers": tuple(layer.resolved() for layer in self.layers)})


class Part(Layer):
    """Where the input goes two ways: Y = X into the layers inside, and on to the layer that joins them."""

    spec = ResidualSpec
    backward_reads = frozenset({"y"})  # the joining layer reads it: no layer inside may overwrite it
    works_in_place = True

    def scratch(self) -> Shapes:
        return {"shortcut": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        yield from copy(slot.x, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """A nudge of X reaches the loss both ways, so the two derivatives are summed."""
        if slot.dx is not None:
            yield call(np.add, slot.dy, slot.scratch["shortcut"], slot.dx)


class Residual(Layer):
    """Y = F(X) + X with the layers inside as F; it stands for a layer that parts, those inside, and one that joins.

    Where F changes the last axis, X is brought to its shape by learned weights W without b, as by a dense layer (on
    several axes: along the last one, which for images is a 1×1 convolution). Where F makes a sequence or an image
    smaller too, it is a 1×1 convolution with the smallest stride that fits.
    """

    spec = ResidualSpec
    formula = "Y = F(X) + X, or F(X) + X·W where the shapes differ"
    derivative = "dX = dY·F′(X) + dY, or + dY·Wᵀ with dW = Xᵀ·dY"
    source = "He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition, eq. 1 and 2; option B of §4.1"
    backward_reads = frozenset()
    works_in_place = True

    def __init__(self, part: Part, input_shape: Shape, spec: ResidualSpec) -> None:
        super().__init__(input_shape, spec)
        self.start = part
        self.projection = _projection(part.output_shape, input_shape)

    @classmethod
    def build(cls, input_shape: Shape, spec: Any) -> Iterator[Layer]:
        part = Part(input_shape, spec)
        part.path = "part"
        inside = engine.layers.stack(spec.layers, input_shape, place="layers")
        for layer in inside:
            layer.path = f"layers.{layer.path}"
        yield part
        yield from inside
        yield cls(part, inside[-1].output_shape, spec)

    def parameters(self) -> Shapes:
        return self.projection.parameters() if self.projection else {}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        if self.projection:
            self.projection.initialize(values, generator)

    def scratch(self) -> Shapes:
        return {"projected": self.output_shape, **self.projection.scratch()} if self.projection else {}

    def fixed_scratch(self) -> Shapes:
        return self.projection.fixed_scratch() if self.projection else {}

    def forward(self, slot: Slot) -> Plan:
        if self.projection:
            projected = self._projected(slot)
            yield from self.projection.forward(projected)
            yield call(np.add, slot.x, projected.y, slot.y)
        else:
            yield call(np.add, slot.x, _start(slot).y, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """Leave the derivative by the way around the layers inside with the parting layer, whose turn comes last."""
        start = _start(slot)
        if self.projection:
            yield from self.projection.backward(self._projected(slot))
        elif start.dx is not None:
            yield from copy(slot.dy, start.scratch["shortcut"])
        if slot.dx is not None:
            yield from copy(slot.dy, slot.dx)

    def _projected(self, slot: Slot) -> Slot:
        """The projection's own slot: from the parted X to what is added."""
        start = _start(slot)
        shortcut = None if start.dx is None else start.scratch["shortcut"]
        return replace(slot, x=start.y, y=slot.scratch["projected"], dx=shortcut, start=None)


def _projection(input_shape: Shape, output_shape: Shape) -> Layer | None:
    """The layer that brings the parted X to the shape of F(X); None where it has that shape."""
    if input_shape == output_shape:
        return None
    *axes_in, _ = input_shape
    *axes_out, channels = output_shape
    if axes_in == axes_out:
        return Dense(input_shape, DenseSpec(units=channels, use_bias=False))
    stride = _stride(axes_in, axes_out)
    if stride is None:
        raise SpecError(
            "layers",
            "expected layers that keep every axis but the last, or make those of a sequence or an image shorter by one "
            f"stride each, got outputs of shape {list(output_shape)} from inputs of shape {list(input_shape)}",
        )
    if len(stride) == 1:
        return Conv1d(input_shape, Conv1dSpec(filters=channels, kernel_size=1, stride=stride[0], use_bias=False))
    return Conv2d(input_shape, Conv2dSpec(filters=channels, kernel_size=1, stride=stride, use_bias=False))


def _stride(axes_in: list[int], axes_out: list[int]) -> tuple[int, ...] | None:
    """Of each axis, the smallest stride by which a kernel of 1 makes it as short as wanted; None where none does."""
    if len(axes_in) != len(axes_out) or len(axes_in) not in (1, 2):
        return None
    strides = tuple(ceil(n_in / n_out) for n_in, n_out in zip(axes_in, axes_out, strict=True))
    shortened = [ceil(n_in / stride) for n_in, stride in zip(axes_in, strides, strict=True)]
    return strides if shortened == axes_out else None


def _start(slot: Slot) -> Slot:
    """The slot of the parting layer."""
    if slot.start is None:
        raise TypeError("expected the slot of a layer that joins")
    return slot.start
