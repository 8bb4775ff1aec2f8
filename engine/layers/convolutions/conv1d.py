"""The convolution of sequences."""

from typing import Literal

from engine.layers.convolutions.base import Convolution, ConvolutionSpec
from engine.layers.windows import Margin, Size
from engine.options import Field


class Conv1dSpec(ConvolutionSpec):
    """A kernel slides along a sequence (time, channels), then the activation."""

    type: Literal["conv1d"] = "conv1d"
    kernel_size: Size | tuple[Size] = Field(description="How many steps the kernel sees.")
    stride: Size | tuple[Size] = Field(1, description="How far the kernel moves at a time.")
    padding: Literal["valid", "same"] | Margin | tuple[Margin] = Field(
        "valid", description="Zeros at either side; valid: none; same: as many as make ceil(time / stride) windows."
    )
    dilation: Size | tuple[Size] = Field(1, description="From one step the kernel sees to the next.")


class Conv1d(Convolution):
    """Every output step is a weighted sum of the window of steps under the kernel, the same weights everywhere.

    X is (time, channels), W (kernel size, channels / groups, filters).
    """

    spec = Conv1dSpec
    formula = "Z[t] = Σ_u X[s·t + d·u − p]·W[u] + b"
    derivative = "dW[u] = Σ_t X[s·t + d·u − p]ᵀ·dZ[t], db = Σ dZ, dX[s·t + d·u − p] += dZ[t]·W[u]ᵀ"
    source = "Waibel et al. 1989, Phoneme recognition using time-delay neural networks"
    axis_names = ("time",)
