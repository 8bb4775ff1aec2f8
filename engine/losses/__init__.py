"""The table of losses, by the `type` a spec names them with: how far the outputs A are from the targets Y."""

from typing import TYPE_CHECKING

from engine.losses.absolute_error import AbsoluteError
from engine.losses.base import Head, Loss
from engine.losses.binary_cross_entropy import BinaryCrossEntropy, BinaryCrossEntropySpec
from engine.losses.binary_focal import BinaryFocal
from engine.losses.cross_entropy import CrossEntropy, CrossEntropySpec
from engine.losses.focal import Focal
from engine.losses.gamma import Gamma
from engine.losses.half_squared_error import HalfSquaredError, HalfSquaredErrorSpec
from engine.losses.hinge import Hinge
from engine.losses.huber import Huber
from engine.losses.kullback_leibler import KullbackLeibler
from engine.losses.log_cosh import LogCosh
from engine.losses.poisson import Poisson
from engine.losses.quantile import Quantile
from engine.losses.squared_error import SquaredError
from engine.losses.squared_hinge import SquaredHinge
from engine.options import AutoSpec, Choice, choice

LOSSES: dict[str, type[Loss]] = {
    "half_squared_error": HalfSquaredError,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "quantile": Quantile,
    "poisson": Poisson,
    "gamma": Gamma,
    "binary_cross_entropy": BinaryCrossEntropy,
    "cross_entropy": CrossEntropy,
    "kullback_leibler": KullbackLeibler,
    "binary_focal": BinaryFocal,
    "focal": Focal,
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
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
