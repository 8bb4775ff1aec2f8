"""What pools have in common: they make one number of each channel's numbers in a window, and learn nothing."""

from typing import Any

from engine.errors import SpecError
from engine.layers.base import Layer
from engine.layers.windows import Axis, Margin, Size, axes_of, each, outputs
from engine.options import Choice, Field
from engine.parameters import Shape


class PoolSpec(Choice):
    """A window that slides over an image (height, width, channels) or along a sequence (time, channels)."""

    size: Size | tuple[Size, ...] = Field(2, description="Of the window, for all axes or for each.")
    stride: Size | tuple[Size, ...] | None = Field(
        None, description="How far the window moves at a time; null: by its own size."
    )
    padding: Margin | tuple[Margin, ...] = Field(
        0, description="Elements outside on either side of each axis, at most half the window's size."
    )


class Pool(Layer):
    """A window slides over X (*axes, channels) and gives Y (*windows, channels): floor((n + 2p − size)/stride) + 1.

    What no window reaches at the far end is left out.
    """

    def __init__(self, input_shape: Shape, spec: PoolSpec) -> None:
        super().__init__(input_shape, spec)
        *sizes, channels = spatial(input_shape)
        window = each(spec.size, len(sizes), "size")
        padding = each(spec.padding, len(sizes), "padding")
        if any(margin > size // 2 for margin, size in zip(padding, window, strict=True)):
            raise SpecError(
                "padding", f"expected at most half of the size {list(window)}, got {list(padding)}", code="wrong_shape"
            )
        self.axes: tuple[Axis, ...] = axes_of(
            sizes,
            window=window,
            stride=window if spec.stride is None else each(spec.stride, len(sizes), "stride"),
            dilation=(1,) * len(sizes),
            padding=padding,
            option="size",
        )
        self.output_shape = (*outputs(self.axes), channels)

    @property
    def overlaps(self) -> bool:
        """Whether windows share elements."""
        return any(axis.stride < axis.window for axis in self.axes)

    @property
    def is_padded(self) -> bool:
        """Whether windows reach outside."""
        return any(axis.before for axis in self.axes)


def spatial(input_shape: Shape) -> tuple[Any, ...]:
    """The shape of an image or a sequence. Raises SpecError for any other."""
    if len(input_shape) not in (2, 3):
        raise SpecError(
            "",
            f"expected an input of shape [height, width, channels] or [time, channels], got {list(input_shape)}; "
            "network.input or a reshape layer gives it one",
            code="wrong_shape",
        )
    return input_shape
