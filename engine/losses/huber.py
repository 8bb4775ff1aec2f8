"""The Huber loss: squared near the target, absolute far from it."""

from typing import Literal

import numpy as np

from engine.losses.base import Head
from engine.losses.residual import ResidualLoss
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call


class HuberSpec(Choice):
    type: Literal["huber"] = "huber"
    delta: float = Field(1.0, gt=0, description="The residual from which on the loss grows no faster than itself.")


class Huber(ResidualLoss):
    """Σ_k of ½R² where |R| ≤ delta, else delta·(|R| − ½delta), with R = A − Y: outliers pull no harder than delta.

    With C = min(|R|, delta) it is C·(|R| − ½C) on both sides.
    """

    spec = HuberSpec
    formula = "Σ_k of ½R² where |R| ≤ delta, else delta·(|R| − ½delta), R = A − Y"
    derivative = "dA = A − Y, kept within ±delta; behind identity dZ the same"
    second_derivative = "1 where |R| ≤ delta, else 0"
    source = "Huber 1964, Robust estimation of a location parameter"

    def __init__(self, spec: HuberSpec) -> None:
        self.delta = spec.delta

    def values(self, R: Array, spare: Array) -> Plan:
        yield call(np.abs, R, R)
        yield call(np.minimum, R, self.delta, out=spare)
        yield call(np.multiply, R, spare, R)
        yield call(np.multiply, spare, spare, spare)
        yield call(np.multiply, spare, 0.5, spare)
        yield call(np.subtract, R, spare, R)

    def slopes(self, R: Array) -> Plan:
        yield call(np.minimum, R, self.delta, out=R)
        yield call(np.maximum, R, -self.delta, out=R)

    def bends(self, R: Array) -> Array:
        return (np.abs(R) <= self.delta).astype(R.dtype)

    def pieces(self, head: Head) -> Array:
        is_far: Array = np.abs(head.A - head.Y) > self.delta
        return is_far
