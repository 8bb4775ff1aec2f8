"""Windows: how a kernel slides along the axes of an image or a sequence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Annotated, Literal

from engine.errors import SpecError
from engine.options import Field
from engine.parameters import Array, Shape

MAXIMUM_SIZE = 65_536

Size = Annotated[int, Field(ge=1, le=MAXIMUM_SIZE, strict=True)]
Margin = Annotated[int, Field(ge=0, le=MAXIMUM_SIZE, strict=True)]


@dataclass(frozen=True)
class Axis:
    """One axis of `size` elements with zeros before and after, and the windows along it."""

    size: int
    window: int
    stride: int = 1
    dilation: int = 1
    """How many elements lie between neighbours in a window, counted with the later one."""
    before: int = 0
    after: int = 0

    @property
    def span(self) -> int:
        """How many elements a window reaches over."""
        return self.dilation * (self.window - 1) + 1

    @property
    def padded(self) -> int:
        """How many elements there are with the zeros."""
        return self.before + self.size + self.after

    @property
    def outputs(self) -> int:
        """How many windows fit, below 1 where none does."""
        return (self.padded - self.span) // self.stride + 1

    @property
    def own(self) -> slice:
        """Where the elements themselves lie among the padded ones."""
        return slice(self.before, self.before + self.size)

    def reached(self, offset: int) -> slice:
        """What all windows hold at this offset, among the padded elements."""
        start = offset * self.dilation
        return slice(start, start + self.stride * (self.outputs - 1) + 1, self.stride)

    def inside(self, offset: int) -> tuple[slice, slice]:
        """Which windows hold an element, not padding, at this offset, and which elements these are."""
        start = offset * self.dilation - self.before
        first = max(0, -(start // self.stride))
        last = min(self.outputs - 1, (self.size - 1 - start) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        return slice(first, last + 1), slice(start + first * self.stride, start + last * self.stride + 1, self.stride)


def axes_of(
    sizes: Sequence[int],
    *,
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Literal["valid", "same"] | Sequence[int],
    option: str,
) -> tuple[Axis, ...]:
    """The axes of an input, `option` being what the spec calls the window. Raises SpecError where no window fits.

    `valid` adds no zeros; `same` as many as make ceil(size / stride) windows, the odd one after.
    """
    found = []
    for place, size in enumerate(sizes):
        axis = Axis(size, window[place], stride[place], dilation[place])
        if padding == "same":
            zeros = max(0, axis.stride * (-(-size // axis.stride) - 1) + axis.span - size)
            before, after = zeros // 2, zeros - zeros // 2
        else:
            before = after = 0 if padding == "valid" else int(padding[place])
        found.append(Axis(size, window[place], stride[place], dilation[place], before, after))
    if any(axis.outputs < 1 for axis in found):
        raise SpecError(
            option,
            f"expected a window that fits into an input of {_by(axis.padded for axis in found)} with its padding, got "
            f"one that reaches over {_by(axis.span for axis in found)}",
            code="wrong_shape",
        )
    return tuple(found)


def each(value: int | Sequence[int], count: int, option: str) -> tuple[int, ...]:
    """One number for each of `count` axes: the same for all, or as listed."""
    if isinstance(value, int):
        return (value,) * count
    if len(value) != count:
        raise SpecError(
            option, f"expected one number, or {count}, one for each axis, got {len(value)}", code="wrong_shape"
        )
    return tuple(value)


def offsets(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """Every place in a window, the last axis running fastest."""
    return product(*(range(axis.window) for axis in axes))


def outputs(axes: Sequence[Axis]) -> Shape:
    """How many windows there are along each axis."""
    return tuple(axis.outputs for axis in axes)


def inside(axes: Sequence[Axis], windows: Array, elements: Array) -> Iterator[tuple[Array, Array]]:
    """For each place in a window, of one array (m, *windows, C) and one (m, *elements, C) the parts that meet there.

    What a window holds of the padding meets nothing.
    """
    for offset in offsets(axes):
        met = [axis.inside(number) for axis, number in zip(axes, offset, strict=True)]
        mine, theirs = (tuple(each_axis[side] for each_axis in met) for side in (0, 1))
        part = windows[:, *mine]
        if part.size:
            yield part, elements[:, *theirs]


def positions(axes: Sequence[Axis]) -> int:
    """How many windows there are in all."""
    return prod(outputs(axes))


def _by(numbers: Iterator[int]) -> str:
    return " × ".join(map(str, numbers))
