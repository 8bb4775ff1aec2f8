"""Uniform: weights evenly from an interval."""

from typing import Literal

import numpy as np

from engine.initializers.base import Initializer
from engine.options import Choice, Field
from engine.parameters import Array, Shape


class UniformSpec(Choice):
    type: Literal["uniform"] = "uniform"
    limit: float = Field(0.05, gt=0, le=1000, description="No weight is further from 0.")


class Uniform(Initializer):
    """Weights evenly from an interval that does not depend on the layer's size."""

    spec = UniformSpec
    formula = "W ~ U(−limit, limit)"
    source = (
        "Rumelhart, Hinton & Williams 1986, Learning internal representations by error propagation: small and random"
    )

    def __init__(self, spec: UniformSpec) -> None:
        self.limit = spec.limit

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        return generator.uniform(-self.limit, self.limit, shape)
