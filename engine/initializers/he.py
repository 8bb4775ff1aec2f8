"""He: the size of signals stays behind ReLUs."""

from math import sqrt
from typing import ClassVar, Literal

from engine.initializers.base import Spread
from engine.options import Choice


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
