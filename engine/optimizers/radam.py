"""RAdam: Adam that first steps without its second moment, until that is known well enough."""

from math import sqrt
from typing import Literal

import numpy as np

from engine.optimizers.adam import Adam, AdamOptions
from engine.optimizers.base import Block, Linear
from engine.parameters import Array
from engine.plans import Plan, call


class RadamSpec(AdamOptions):
    """Adam with a rectified variance: a warm-up that follows from β₂."""

    type: Literal["radam"] = "radam"


class Radam(Adam):
    """RAdam: Adam whose steps grow from 0 as its second moment becomes certain; before that, plain momentum.

    Both are one update of Adam's kept moments, θ ← θ − rate·M/(share·√V + floor): before rectification share is 0 and
    floor 1, afterwards share is 1. ε is added to √v, as in PyTorch.
    """

    spec = RadamSpec
    formula = (
        "m, v as Adam's, θ ← θ − η·r·m̂·√(1 − β₂ᵗ)/(√v + ε) where ρ > 5, else θ ← θ − η·m̂; ρ∞ = 2/(1 − β₂) − 1, "
        "ρ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ), r = √((ρ − 4)(ρ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρ))"
    )
    source = (
        "Liu et al. 2020, On the variance of the adaptive learning rate and beyond, algorithm 2; ρ > 5 as in PyTorch"
    )
    scalars = ("rate", "share", "floor")

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        power = self.beta2**count
        mean = rate * (1 - self.beta1) / (1 - self.beta1**count)
        most = 2 / (1 - self.beta2) - 1
        rho = most - 2 * count * power / (1 - power)
        if rho <= 5:
            return mean, 0.0, 1.0
        rectified = sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
        unit = sqrt(1 - self.beta2)
        return mean * rectified * sqrt(1 - power) / unit, 1.0, self.epsilon / unit

    def update(self, block: Block) -> Plan:
        M, V, change = block.moments["M"], block.moments["V"], block.spare
        yield from self.remember(block)
        yield call(np.sqrt, V, change)
        yield call(np.multiply, change, block.scalars["share"], change)
        yield call(np.add, change, block.scalars["floor"], change)
        yield call(np.divide, M, change, change)
        yield call(np.multiply, change, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        return Linear(of_memory=scalars["rate"] / (scalars["share"] * np.sqrt(after["V"]) + scalars["floor"]))
