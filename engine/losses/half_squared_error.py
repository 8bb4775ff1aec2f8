"""Half the squared error: the loss of regression."""

from typing import Literal

import numpy as np

from engine.losses.residual import ResidualLoss
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class HalfSquaredErrorSpec(Choice):
    type: Literal["half_squared_error"] = "half_squared_error"


class HalfSquaredError(ResidualLoss):
    """½ Σ_k (A_k − Y_k)²: half the squared distance, summed over the outputs."""

    spec = HalfSquaredErrorSpec
    formula = "½ Σ_k (A_k − Y_k)²"
    derivative = "dA = A − Y; behind identity dZ = A − Y"
    second_derivative = "1"
    source = "Bishop 2006, Pattern Recognition and Machine Learning, eq. 5.14"
    learns = frozenset({"regression", "binary", "multiclass", "multilabel"})

    def values(self, R: Array, spare: Array) -> Plan:
        yield call(np.multiply, R, R, R)
        yield call(np.multiply, R, 0.5, R)

    def slopes(self, R: Array) -> Plan:
        yield from ()

    def bends(self, R: Array) -> Array:
        return np.ones_like(R)
