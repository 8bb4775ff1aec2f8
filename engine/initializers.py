"""How weights start: each initializer draws W (n_in, n_out) so that signals neither grow nor fade on their way."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np

from engine.parameters import Array


@dataclass(frozen=True)
class Initializer:
    """Zero-mean weights of one standard deviation, normally or uniformly distributed.

    `deviation(n_in, n_out)` is that standard deviation; a uniform draw from [−a, a] has it at a = √3·deviation.
    """

    formula: str
    source: str
    deviation: Callable[[int, int], float]
    uniform: bool = False

    def fill(self, W: Array, generator: np.random.Generator) -> None:
        """Draw in float64 and round to W's dtype, so that both dtypes start from the same numbers."""
        deviation = self.deviation(*W.shape)
        if self.uniform:
            W[...] = generator.uniform(-sqrt(3) * deviation, sqrt(3) * deviation, W.shape)
        else:
            W[...] = deviation * generator.standard_normal(W.shape)


def _he(n_in: int, n_out: int) -> float:
    return sqrt(2 / n_in)


def _glorot(n_in: int, n_out: int) -> float:
    return sqrt(2 / (n_in + n_out))


def _lecun(n_in: int, n_out: int) -> float:
    return sqrt(1 / n_in)


_HE = "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, eq. 10"
_GLOROT = (
    "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, eq. 12 and 16"
)
_LECUN = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, §4.6"

INITIALIZERS: dict[str, Initializer] = {
    "zeros": Initializer("W = 0", "no draw; every unit of a layer stays alike", lambda n_in, n_out: 0.0),
    "he_normal": Initializer("W ~ N(0, 2/n_in)", _HE, _he),
    "he_uniform": Initializer("W ~ U(−√(6/n_in), √(6/n_in))", _HE, _he, uniform=True),
    "glorot_normal": Initializer("W ~ N(0, 2/(n_in + n_out))", _GLOROT, _glorot),
    "glorot_uniform": Initializer("W ~ U(−√(6/(n_in + n_out)), √(6/(n_in + n_out)))", _GLOROT, _glorot, uniform=True),
    "lecun_normal": Initializer("W ~ N(0, 1/n_in)", _LECUN, _lecun),
    "lecun_uniform": Initializer("W ~ U(−√(3/n_in), √(3/n_in))", _LECUN, _lecun, uniform=True),
}
