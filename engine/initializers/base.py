"""What every initializer is: how the weights of one layer are drawn."""

from math import sqrt
from typing import Any, ClassVar

import numpy as np

from engine.options import Choice
from engine.parameters import Array, Shape


class Initializer:
    """How one layer's W starts."""

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, spec: Any) -> None:
        pass

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        """Weights from n_in inputs to n_out outputs, in float64."""
        raise NotImplementedError


class Spread(Initializer):
    """Zero-mean weights of one standard deviation, normally or uniformly distributed.

    A uniform draw from [−a, a] has that standard deviation at a = √3·deviation.
    """

    is_uniform: ClassVar[bool] = False

    def deviation(self, n_in: int, n_out: int) -> float:
        """The standard deviation for weights from n_in inputs to n_out outputs."""
        raise NotImplementedError

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        deviation = self.deviation(n_in, n_out)
        if self.is_uniform:
            return generator.uniform(-sqrt(3) * deviation, sqrt(3) * deviation, shape)
        return deviation * generator.standard_normal(shape)
