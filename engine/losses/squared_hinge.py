"""The squared hinge loss: a hinge that bends smoothly."""

from typing import Literal

import numpy as np

from engine.losses.margin import MarginLoss
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class SquaredHingeSpec(Choice):
    type: Literal["squared_hinge"] = "squared_hinge"


class SquaredHinge(MarginLoss):
    """Σ_k max(0, 1 − t_k·A_k)², where t is 1 for a yes and −1 for a no: the hinge loss with a slope that fades.

    Outputs are scores, whose sign decides; of several classes, each learned against the rest, the largest does.
    """

    spec = SquaredHingeSpec
    formula = "Σ_k max(0, 1 − t_k·A_k)², t = 2Y − 1"
    derivative = "dA = −2t·max(0, 1 − t·A); behind identity dZ the same"
    second_derivative = "2 where t·A < 1, else 0"
    source = "Tang 2013, Deep learning using linear support vector machines, eq. 6"

    def values(self, V: Array) -> Plan:
        yield call(np.multiply, V, V, V)

    def slopes(self, V: Array) -> Plan:
        yield call(np.add, V, V, V)

    def bends(self, V: Array) -> Array:
        return 2.0 * (V > 0).astype(V.dtype)
