"""Glorot: the size of signals stays forward, and that of gradients backward."""

from math import sqrt
from typing import ClassVar, Literal

from engine.initializers.base import Spread
from engine.options import Choice


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
