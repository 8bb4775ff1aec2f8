"""What convolutions have in common: one kernel slides over the input, and every window is a row of a dense layer.

The windows are written out side by side and multiplied at once (im2col). That is done for a few examples at a time, so
that the windows are still in the cache when they are multiplied, and their room does not grow with the batch.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.lib.stride_tricks import as_strided

from engine.errors import SpecError
from engine.initializers import InitializerSpec, initialize, resolve_init
from engine.layers.activations import ACTIVATIONS, ActivationSpec, IdentitySpec
from engine.layers.base import Layer, Slot
from engine.layers.windows import Axis, axes_of, each, offsets, outputs, positions
from engine.options import AutoSpec, Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Call, Plan, call, sum_rows

BLOCK_NUMBERS = 2**18
"""About how many numbers of windows are written out at a time."""
MAXIMUM_FILTERS = 65_536


class ConvolutionSpec(Choice):
    """What every convolution's spec says; each names its own axes."""

    filters: int = Field(ge=1, le=MAXIMUM_FILTERS, strict=True, description="How many channels the layer gives.")
    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: Literal["valid", "same"] | int | tuple[int, ...] = "valid"
    dilation: int | tuple[int, ...] = 1
    groups: int = Field(
        1, ge=1, strict=True, description="In how many parts channels and filters are kept from each other."
    )
    activation: ActivationSpec = IdentitySpec()
    use_bias: bool = Field(True, description="Whether there is a b.")
    init: InitializerSpec = Field(AutoSpec(), description="How W starts; `auto` is what the activation prefers.")

    def resolved(self) -> Self:
        return self.model_copy(update={"init": resolve_init(self.init, ACTIVATIONS[self.activation.type].initializer)})


class Convolution(Layer):
    """Z[p] = Σ_o X[stride·p + dilation·o − padding]·W[o] + b, with X = 0 outside.

    X is (*axes, channels), W (*kernel_size, channels / groups, filters), Z (*windows, filters). With groups, each
    group of filters sees its own channels only.
    """

    backward_reads = frozenset({"x"})
    axis_names: ClassVar[tuple[str, ...]]

    def __init__(self, input_shape: Shape, spec: ConvolutionSpec) -> None:
        super().__init__(input_shape, spec)
        count = len(self.axis_names)
        if len(input_shape) != count + 1:
            raise SpecError(
                "",
                f"expected an input of shape [{', '.join((*self.axis_names, 'channels'))}], got {list(input_shape)}; "
                "network.input or a reshape layer gives it one",
                code="wrong_shape",
            )
        *sizes, channels = input_shape
        for what, number in (("channels of the input", channels), ("filters", spec.filters)):
            if number % spec.groups:
                raise SpecError("groups", f"expected a divisor of the {number} {what}, got {spec.groups}")
        self.axes: tuple[Axis, ...] = axes_of(
            sizes,
            window=each(spec.kernel_size, count, "kernel_size"),
            stride=each(spec.stride, count, "stride"),
            dilation=each(spec.dilation, count, "dilation"),
            padding=spec.padding if isinstance(spec.padding, str) else each(spec.padding, count, "padding"),
            option="kernel_size",
        )
        self.output_shape = (*outputs(self.axes), spec.filters)
        self.groups, self.use_bias = spec.groups, spec.use_bias
        self.kernel = tuple(axis.window for axis in self.axes)
        self.depth = channels // spec.groups
        self.window = prod(self.kernel) * self.depth
        """How many numbers of one window a filter sees."""
        padded = prod(axis.padded for axis in self.axes) * channels
        self.block = max(1, BLOCK_NUMBERS // max(positions(self.axes) * self.groups * self.window, padded))
        """How many examples are worked on at a time."""
        self.init = resolve_init(spec.init, ACTIVATIONS[spec.activation.type].initializer)

    @classmethod
    def build(cls, input_shape: Shape, spec: Any) -> Iterator[Layer]:
        layer = cls(input_shape, spec)
        yield layer
        yield ACTIVATIONS[spec.activation.type](layer.output_shape, spec.activation)

    def parameters(self) -> Shapes:
        filters = self.output_shape[-1]
        W = {"W": (*self.kernel, self.depth, filters)}
        return {**W, "b": (filters,)} if self.use_bias else W

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        n_out = prod(self.kernel) * self.output_shape[-1] // self.groups
        initialize(values["W"], self.init, generator, n_in=self.window, n_out=n_out)

    def fixed_scratch(self) -> Shapes:
        padded = (self.block, *(axis.padded for axis in self.axes), self.input_shape[-1])
        shapes: Shapes = {
            "windows": (self.block * positions(self.axes) * self.groups * self.window,),
            "part": (self.block * positions(self.axes) * self.input_shape[-1],),
            "W": self.parameters()["W"],
            "b": self.output_shape[-2:],
        }
        return {**shapes, "padded": padded, "spread": padded} if self._is_padded else shapes

    def forward(self, slot: Slot) -> Plan:
        W = self._by_group(slot.params["W"].reshape(self.window, -1))
        for rows in self._blocks(len(slot.x)):
            windows, write = self._windows(slot, rows)
            yield from write
            yield call(np.matmul, windows, W, self._filters(slot.y[rows]))
        if self.use_bias:  # added to whole lines of windows, which takes a third of the time of filter by filter
            line = slot.scratch["b"]
            yield call(np.copyto, line, slot.params["b"])
            Z = slot.y.reshape(-1, line.size)
            yield call(np.add, Z, line.reshape(-1), Z)

    def backward(self, slot: Slot) -> Plan:
        dW, part = (self._by_group(array.reshape(self.window, -1)) for array in (slot.grads["W"], slot.scratch["W"]))
        blocks = self._blocks(len(slot.x))
        for rows in reversed(blocks):
            windows, write = self._windows(slot, rows)
            dZ = self._filters(slot.dy[rows])
            if rows is blocks[-1]:  # whose windows still stand where the forward pass wrote them
                yield call(np.matmul, windows.transpose(0, 2, 1), dZ, dW)
            else:
                yield from write
                yield call(np.matmul, windows.transpose(0, 2, 1), dZ, part)
                yield call(np.add, dW, part, dW)
            if slot.dx is not None:
                yield from self._spread(slot, dZ, slot.dx[rows])
        if self.use_bias:
            yield sum_rows(slot.dy.reshape(-1, self.output_shape[-1]), slot.grads["b"])

    def _spread(self, slot: Slot, dZ: Array, dX: Array) -> Plan:
        """Add to dX, offset by offset, what each window's dZ gives it back (col2im)."""
        n, channels = len(dX), self.input_shape[-1]
        spread = slot.scratch["spread"][:n] if self._is_padded else dX
        part = slot.scratch["part"][: n * positions(self.axes) * channels].reshape(n, *outputs(self.axes), channels)
        yield call(spread.fill, 0)
        for offset in offsets(self.axes):
            W = slot.params["W"][offset]
            reached = spread[:, *(axis.reached(number) for axis, number in zip(self.axes, offset, strict=True))]
            yield call(np.matmul, dZ, self._by_group(W).transpose(0, 2, 1), self._by_group(part.reshape(-1, channels)))
            yield call(np.add, reached, part, reached)
        if self._is_padded:
            yield call(np.copyto, dX, spread[:, *(axis.own for axis in self.axes)])

    @property
    def _is_padded(self) -> bool:
        return any(axis.padded > axis.size for axis in self.axes)

    def _blocks(self, m: int) -> list[slice]:
        return [slice(start, min(start + self.block, m)) for start in range(0, m, self.block)]

    def _windows(self, slot: Slot, rows: slice) -> tuple[Array, list[Call]]:
        """The windows of some rows (groups, rows·windows, numbers of a window), and the calls that write them out."""
        X, calls = slot.x[rows], list[Call]()
        n = len(X)
        if self._is_padded:
            padded = slot.scratch["padded"][:n]
            calls.append(call(np.copyto, padded[:, *(axis.own for axis in self.axes)], X))
            X = padded
        windows, (first, *between, last) = outputs(self.axes), X.strides
        seen = as_strided(
            X,
            (n, *windows, *self.kernel, self.groups, self.depth),
            (
                first,
                *(axis.stride * step for axis, step in zip(self.axes, between, strict=True)),
                *(axis.dilation * step for axis, step in zip(self.axes, between, strict=True)),
                self.depth * last,
                last,
            ),
        )
        seen = np.moveaxis(seen, -2, 0)
        room = slot.scratch["windows"][: seen.size]
        count = 1 + len(windows)
        if 2 * self.kernel[-1] * self.depth <= windows[-1]:  # then it is faster to copy along the windows
            places, numbers = seen.shape[1 : 1 + count], seen.shape[1 + count :]
            written = np.moveaxis(room.reshape(self.groups, *numbers, *places), range(-count, 0), range(1, 1 + count))
            calls.append(call(np.copyto, written, seen))
            return room.reshape(self.groups, self.window, -1).transpose(0, 2, 1), calls
        calls.append(call(np.copyto, room.reshape(seen.shape), seen))
        return room.reshape(self.groups, -1, self.window), calls

    def _filters(self, Z: Array) -> Array:
        """Z (rows, *windows, filters) as (groups, rows·windows, filters / groups)."""
        return self._by_group(Z.reshape(-1, self.output_shape[-1]))

    def _by_group(self, array: Array) -> Array:
        """(n, groups·k) as (groups, n, k)."""
        return array.reshape(len(array), self.groups, -1).transpose(1, 0, 2)
