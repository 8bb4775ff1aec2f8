"""Constant: every weight is the same number."""

from typing import Literal

import numpy as np

from engine.initializers.base import Initializer
from engine.options import Choice, Field
from engine.parameters import Array, Shape


class ConstantSpec(Choice):
    type: Literal["constant"] = "constant"
    value: float = Field(ge=-1000, le=1000, description="What every weight starts at.")


class Constant(Initializer):
    """Every weight the same number: every unit of a layer stays alike."""

    spec = ConstantSpec
    formula = "W = value"
    source = "no draw; every unit of a layer stays alike"

    def __init__(self, spec: ConstantSpec) -> None:
        self.value = spec.value

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        return np.full(shape, self.value)
