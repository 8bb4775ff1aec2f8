"""The squared error, without the ½ that makes its derivative plain."""

from typing import Literal

import numpy as np

from engine.losses.residual import ResidualLoss
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class SquaredErrorSpec(Choice):
    type: Literal["squared_error"] = "squared_error"


class SquaredError(ResidualLoss):
    """Σ_k (A_k − Y_k)²: the squared distance, summed over the outputs."""

    spec = SquaredErrorSpec
    formula = "Σ_k (A_k − Y_k)²"
    derivative = "dA = 2(A − Y); behind identity dZ the same"
    second_derivative = "2"
    source = "Legendre 1805, Nouvelles méthodes pour la détermination des orbites des comètes (least squares)"
    learns = frozenset({"regression", "binary", "multiclass", "multilabel"})

    def values(self, R: Array, spare: Array) -> Plan:
        yield call(np.multiply, R, R, R)

    def slopes(self, R: Array) -> Plan:
        yield call(np.add, R, R, R)

    def bends(self, R: Array) -> Array:
        return np.full_like(R, 2.0)
