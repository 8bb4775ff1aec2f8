"""The convolution of images."""

from typing import Literal

from engine.layers.convolutions.base import Convolution, ConvolutionSpec
from engine.layers.windows import Margin, Size
from engine.options import Field


class Conv2dSpec(ConvolutionSpec):
    """A kernel slides over an image (height, width, channels), then the activation."""

    type: Literal["conv2d"] = "conv2d"
    kernel_size: Size | tuple[Size, Size] = Field(description="Height and width of the kernel, or one number for both.")
    stride: Size | tuple[Size, Size] = Field(1, description="How far the kernel moves at a time, down and across.")
    padding: Literal["valid", "same"] | Margin | tuple[Margin, Margin] = Field(
        "valid",
        description="Zeros at either side of each axis; valid: none; same: as many as make ceil(n / stride) windows.",
    )
    dilation: Size | tuple[Size, Size] = Field(1, description="From one element the kernel sees to the next.")


class Conv2d(Convolution):
    """Every output pixel is a weighted sum of the window of pixels under the kernel, the same weights everywhere.

    X is (height, width, channels), W (kernel height, kernel width, channels / groups, filters).
    """

    spec = Conv2dSpec
    formula = "Z[i, j] = Σ_uv X[s·i + d·u − p, s·j + d·v − p]·W[u, v] + b"
    derivative = "dW[u, v] = Σ_ij X[s·i + d·u − p, …]ᵀ·dZ[i, j], db = Σ dZ, dX[s·i + d·u − p, …] += dZ[i, j]·W[u, v]ᵀ"
    source = "LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition; Dumoulin & Visin 2016, §2"
    axis_names = ("height", "width")
