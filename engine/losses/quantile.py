"""The quantile loss: what is too low costs otherwise than what is too high."""

from typing import Literal

import numpy as np

from engine.losses.base import Head
from engine.losses.residual import ResidualLoss
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call


class QuantileSpec(Choice):
    type: Literal["quantile"] = "quantile"
    quantile: float = Field(0.5, gt=0, lt=1, description="The share of the targets that the outputs shall exceed.")


class Quantile(ResidualLoss):
    """Σ_k max(q·(Y_k − A_k), (1 − q)·(A_k − Y_k)), the pinball loss: its least is the quantile q of Y.

    At exactly 0 the derivative is taken as 0.
    """

    spec = QuantileSpec
    formula = "Σ_k max(q·(Y_k − A_k), (1 − q)·(A_k − Y_k)), q = quantile"
    derivative = "dA = 1 − q where A > Y, −q where A < Y; behind identity dZ the same"
    second_derivative = "0"
    source = "Koenker & Bassett 1978, Regression quantiles"

    def __init__(self, spec: QuantileSpec) -> None:
        self.quantile = spec.quantile

    def values(self, R: Array, spare: Array) -> Plan:
        yield call(np.multiply, R, -self.quantile, spare)
        yield call(np.multiply, R, 1 - self.quantile, R)
        yield call(np.maximum, R, spare, out=R)

    def slopes(self, R: Array) -> Plan:
        yield call(np.heaviside, R, self.quantile, R)
        yield call(np.subtract, R, self.quantile, R)

    def pieces(self, head: Head) -> Array:
        return head.A > head.Y
