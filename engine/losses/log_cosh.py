"""The log-cosh loss: a Huber loss without a seam."""

from typing import Literal

import numpy as np

from engine.layers.activations import logistic_slope
from engine.losses.residual import ResidualLoss
from engine.options import Choice
from engine.parameters import Array
from engine.plans import Plan, call


class LogCoshSpec(Choice):
    type: Literal["log_cosh"] = "log_cosh"


class LogCosh(ResidualLoss):
    """Σ_k log cosh(A_k − Y_k): about ½R² for a small R = A − Y, about |R| − log 2 for a large one.

    It is computed as |R| + log(1 + ½(e^{−2|R|} − 1)), which neither overflows nor loses small residuals.
    """

    spec = LogCoshSpec
    formula = "Σ_k log cosh(A_k − Y_k)"
    derivative = "dA = tanh(A − Y); behind identity dZ the same"
    second_derivative = "1 − tanh²(A − Y)"
    source = "Green 1990, Bayesian reconstructions from emission tomography data (log cosh as a potential)"

    def values(self, R: Array, spare: Array) -> Plan:
        yield call(np.abs, R, R)
        yield call(np.multiply, R, -2.0, spare)
        yield call(np.expm1, spare, spare)
        yield call(np.multiply, spare, 0.5, spare)
        yield call(np.log1p, spare, spare)
        yield call(np.add, R, spare, R)

    def slopes(self, R: Array) -> Plan:
        yield call(np.tanh, R, R)

    def bends(self, R: Array) -> Array:
        """1 − tanh² R is 4σ(2R)·(1 − σ(2R))."""
        return 4 * logistic_slope(2 * R)
