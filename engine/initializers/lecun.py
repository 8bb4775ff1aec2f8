"""LeCun: the size of signals stays through units that are linear near 0."""

from math import sqrt
from typing import ClassVar, Literal

from engine.initializers.base import Spread
from engine.options import Choice


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
