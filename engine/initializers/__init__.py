"""The table of initializers, by the `type` a spec names them with: how weights start, so that no signal fades away."""

from typing import TYPE_CHECKING

import numpy as np

from engine.initializers.base import Initializer
from engine.initializers.constant import Constant
from engine.initializers.glorot import GlorotNormal, GlorotUniform
from engine.initializers.he import HeNormal, HeUniform
from engine.initializers.lecun import LecunNormal, LecunUniform
from engine.initializers.normal import Normal
from engine.initializers.orthogonal import Orthogonal
from engine.initializers.truncated_normal import TruncatedNormal
from engine.initializers.uniform import Uniform
from engine.initializers.zeros import Zeros
from engine.options import AutoSpec, Choice, choice
from engine.parameters import Array

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
