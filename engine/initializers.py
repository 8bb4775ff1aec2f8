"""How weights start: each initializer draws W so that signals neither grow nor fade on their way."""

from math import prod, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from engine.options import AutoSpec, Choice, Field, choice
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


class ZerosSpec(Choice):
    type: Literal["zeros"] = "zeros"


class Zeros(Initializer):
    """Every weight 0: every unit of a layer stays alike."""

    spec = ZerosSpec
    formula = "W = 0"
    source = "no draw; every unit of a layer stays alike"

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        return np.zeros(shape)


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


class NormalSpec(Choice):
    type: Literal["normal"] = "normal"
    std: float = Field(0.01, gt=0, le=1000, description="The standard deviation.")


class Normal(Spread):
    """Normal weights of a standard deviation that does not depend on the layer's size."""

    spec = NormalSpec
    formula = "W ~ N(0, std²)"
    source = "Krizhevsky, Sutskever & Hinton 2012, ImageNet classification with deep convolutional networks, §5"

    def __init__(self, spec: NormalSpec) -> None:
        self.std = spec.std

    def deviation(self, n_in: int, n_out: int) -> float:
        return self.std


class TruncatedNormalSpec(Choice):
    type: Literal["truncated_normal"] = "truncated_normal"
    std: float = Field(
        0.02, gt=0, le=1000, description="The standard deviation before the cut; behind it 0.88 of it is left."
    )


class TruncatedNormal(Initializer):
    """Normal weights, of which those beyond two standard deviations are drawn again."""

    spec = TruncatedNormalSpec
    formula = "W ~ N(0, std²) given |W| ≤ 2·std"
    source = "Devlin, Chang, Lee & Toutanova 2019, BERT, appendix A.2, and its code"

    def __init__(self, spec: TruncatedNormalSpec) -> None:
        self.std = spec.std

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        W = generator.standard_normal(shape)
        while (outside := np.abs(W) > 2).any():
            W[outside] = generator.standard_normal(np.count_nonzero(outside))
        return self.std * W


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


class OrthogonalSpec(Choice):
    type: Literal["orthogonal"] = "orthogonal"
    gain: float = Field(1.0, gt=0, le=1000, description="The length of every row or column, whichever are fewer.")


class Orthogonal(Initializer):
    """Weights that turn and mirror, but stretch no direction more than another.

    Q of a normal matrix, each column with the sign of its R's diagonal, so that every such matrix is equally likely
    (Mezzadri 2007, How to generate random matrices from the classical compact groups, §5). Where W has more outputs
    than inputs its rows are orthogonal, else its columns. W of more than two axes is taken as (all but the last, last).
    """

    spec = OrthogonalSpec
    formula = "WᵀW = gain²·1, or WWᵀ = gain²·1 where n_out > n_in"
    source = (
        "Saxe, McClelland & Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep networks, §3"
    )

    def __init__(self, spec: OrthogonalSpec) -> None:
        self.gain = spec.gain

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        rows, columns = prod(shape[:-1]), shape[-1]
        Q, R = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
        Q *= self.gain * np.copysign(1.0, np.diagonal(R))
        return (Q if rows >= columns else Q.T).reshape(shape)


class HeNormalSpec(Choice):
    type: Literal["he_normal"] = "he_normal"


class HeNormal(Spread):
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


class GlorotNormal(Spread):
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


class LecunNormal(Spread):
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
    "constant": Constant,
    "normal": Normal,
    "truncated_normal": TruncatedNormal,
    "uniform": Uniform,
    "orthogonal": Orthogonal,
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
    """Draw the weights W of a layer's n_in inputs to n_out outputs.

    They are drawn in float64 and rounded to W's dtype, so that both dtypes start from the same numbers.
    """
    W[...] = INITIALIZERS[init.type](init).draw(W.shape, generator, n_in=n_in, n_out=n_out)
