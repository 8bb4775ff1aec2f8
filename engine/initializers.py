"""How weights start: each initializer draws W so that signals neither grow nor fade on their way."""

from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from engine.options import AutoSpec, Choice, choice
from engine.parameters import Array


class Initializer:
    """Zero-mean weights of one standard deviation, normally or uniformly distributed.

    A uniform draw from [−a, a] has that standard deviation at a = √3·deviation.
    """

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    source: ClassVar[str]
    is_uniform: ClassVar[bool] = False

    def __init__(self, spec: Any) -> None:
        pass

    def deviation(self, n_in: int, n_out: int) -> float:
        """The standard deviation for weights from n_in inputs to n_out outputs."""
        raise NotImplementedError

    def fill(self, W: Array, generator: np.random.Generator, *, n_in: int, n_out: int) -> None:
        """Draw in float64 and round to W's dtype, so that both dtypes start from the same numbers."""
        deviation = self.deviation(n_in, n_out)
        if self.is_uniform:
            W[...] = generator.uniform(-sqrt(3) * deviation, sqrt(3) * deviation, W.shape)
        else:
            W[...] = deviation * generator.standard_normal(W.shape)


class ZerosSpec(Choice):
    type: Literal["zeros"] = "zeros"


class Zeros(Initializer):
    """Every weight 0: every unit of a layer stays alike."""

    spec = ZerosSpec
    formula = "W = 0"
    source = "no draw; every unit of a layer stays alike"

    def deviation(self, n_in: int, n_out: int) -> float:
        return 0.0


class HeNormalSpec(Choice):
    type: Literal["he_normal"] = "he_normal"


class HeNormal(Initializer):
    """Keeps the size of signals behind ReLUs."""

    spec: ClassVar[type[Choice]] = HeNormalSpec
    formula = "W ~ N(0, 2/n_in)"
    source = "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers, eq. 10"

    def deviation(self, n_in: int, n_out: int) -> float:
        return sqrt(2 / n_in)


class HeUniformSpec(Choice):
    type: Literal["he_uniform"] = "he_uniform"


class HeUniform(HeNormal):
    """Keeps the size of signals behind ReLUs."""

    spec = HeUniformSpec
    formula = "W ~ U(−√(6/n_in), √(6/n_in))"
    is_uniform = True


class GlorotNormalSpec(Choice):
    type: Literal["glorot_normal"] = "glorot_normal"


class GlorotNormal(Initializer):
    """Keeps the size of signals forward and of gradients backward, as far as both can be."""

    spec: ClassVar[type[Choice]] = GlorotNormalSpec
    formula = "W ~ N(0, 2/(n_in + n_out))"
    source = "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, eq. 12"

    def deviation(self, n_in: int, n_out: int) -> float:
        return sqrt(2 / (n_in + n_out))


class GlorotUniformSpec(Choice):
    type: Literal["glorot_uniform"] = "glorot_uniform"


class GlorotUniform(GlorotNormal):
    """Keeps the size of signals forward and of gradients backward, as far as both can be."""

    spec = GlorotUniformSpec
    formula = "W ~ U(−√(6/(n_in + n_out)), √(6/(n_in + n_out)))"
    source = "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, eq. 16"
    is_uniform = True


class LecunNormalSpec(Choice):
    type: Literal["lecun_normal"] = "lecun_normal"


class LecunNormal(Initializer):
    """Keeps the size of signals through units that are linear near 0."""

    spec: ClassVar[type[Choice]] = LecunNormalSpec
    formula = "W ~ N(0, 1/n_in)"
    source = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, §4.6"

    def deviation(self, n_in: int, n_out: int) -> float:
        return sqrt(1 / n_in)


class LecunUniformSpec(Choice):
    type: Literal["lecun_uniform"] = "lecun_uniform"


class LecunUniform(LecunNormal):
    """Keeps the size of signals through units that are linear near 0."""

    spec = LecunUniformSpec
    formula = "W ~ U(−√(3/n_in), √(3/n_in))"
    is_uniform = True


INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "he_normal": HeNormal,
    "he_uniform": HeUniform,
    "glorot_normal": GlorotNormal,
    "glorot_uniform": GlorotUniform,
    "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform,
}


if TYPE_CHECKING:
    InitializerSpec = Choice
else:
    InitializerSpec = choice(INITIALIZERS, AutoSpec)


def resolve_init(init: Choice, preferred: str) -> Choice:
    """The initializer asked for; `auto` is the one the activation behind prefers."""
    return INITIALIZERS[preferred].spec.model_validate({}) if isinstance(init, AutoSpec) else init


def initialize(W: Array, init: Choice, generator: np.random.Generator, *, n_in: int, n_out: int) -> None:
    """Draw the weights W of a layer's n_in inputs to n_out outputs."""
    INITIALIZERS[init.type](init).fill(W, generator, n_in=n_in, n_out=n_out)
