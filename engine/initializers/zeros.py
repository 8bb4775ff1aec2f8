"""Zeros: every weight is 0."""

from typing import Literal

import numpy as np

from engine.initializers.base import Initializer
from engine.options import Choice
from engine.parameters import Array, Shape


class ZerosSpec(Choice):
    type: Literal["zeros"] = "zeros"


class Zeros(Initializer):
    """Every weight 0: every unit of a layer stays alike."""

    spec = ZerosSpec
    formula = "W = 0"
    source = "no draw; every unit of a layer stays alike"

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        return np.zeros(shape)
