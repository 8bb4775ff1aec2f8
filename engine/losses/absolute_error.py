"""The absolute error: the loss of the median."""

from typing import Literal

import numpy as np

from engine.losses.base import Head
from engine.losses.residual import ResidualLoss
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class AbsoluteErrorSpec(Choice):
    type: Literal["absolute_error"] = "absolute_error"


class AbsoluteError(ResidualLoss):
    """Σ_k |A_k − Y_k|: the distance, summed over the outputs. At exactly 0 the derivative is taken as 0."""

    spec = AbsoluteErrorSpec
    formula = "Σ_k |A_k − Y_k|"
    derivative = "dA = sign(A − Y); behind identity dZ the same"
    second_derivative = "0"
    source = "Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, §10.6"

    def values(self, R: Array, spare: Array) -> Plan:
        yield call(np.abs, R, R)

    def slopes(self, R: Array) -> Plan:
        yield call(np.sign, R, R)

    def pieces(self, head: Head) -> Array:
        return head.A > head.Y
