"""The hinge loss: of a support vector machine."""

from typing import Literal

import numpy as np

from engine.losses.margin import MarginLoss
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class HingeSpec(Choice):
    type: Literal["hinge"] = "hinge"


class Hinge(MarginLoss):
    """Σ_k max(0, 1 − t_k·A_k), where t is 1 for a yes and −1 for a no: nothing once a score is on the right side of 1.

    Outputs are scores, whose sign decides; of several classes, each learned against the rest, the largest does. At the
    hinge the derivative is taken as 0.
    """

    spec = HingeSpec
    formula = "Σ_k max(0, 1 − t_k·A_k), t = 2Y − 1"
    derivative = "dA = −t where t·A < 1, else 0; behind identity dZ the same"
    second_derivative = "0"
    source = "Cortes & Vapnik 1995, Support-vector networks"

    def values(self, V: Array) -> Plan:
        yield from ()

    def slopes(self, V: Array) -> Plan:
        yield call(np.greater, V, 0.0, V)
