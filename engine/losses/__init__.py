"""The table of losses, by the `type` a spec names them with: how far the outputs A are from the targets Y."""

from typing import TYPE_CHECKING

from engine.losses.base import Head, Loss
from engine.losses.binary_cross_entropy import BinaryCrossEntropy, BinaryCrossEntropySpec
from engine.losses.cross_entropy import CrossEntropy, CrossEntropySpec
from engine.losses.half_squared_error import HalfSquaredError, HalfSquaredErrorSpec
from engine.options import AutoSpec, Choice, choice

LOSSES: dict[str, type[Loss]] = {
    "half_squared_error": HalfSquaredError,
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": CrossEntropy,
}

if TYPE_CHECKING:
    LossSpec = Choice
    AnyLossSpec = Choice
else:
    LossSpec = choice(LOSSES)
    AnyLossSpec = choice(LOSSES, AutoSpec)

__all__ = [
    "LOSSES",
    "AnyLossSpec",
    "BinaryCrossEntropySpec",
    "CrossEntropySpec",
    "HalfSquaredErrorSpec",
    "Head",
    "Loss",
    "LossSpec",
]
