"""Convolutions, of sequences and of images."""

from engine.layers.convolutions.conv1d import Conv1d, Conv1dSpec
from engine.layers.convolutions.conv2d import Conv2d, Conv2dSpec

__all__ = ["Conv1d", "Conv1dSpec", "Conv2d", "Conv2dSpec"]
