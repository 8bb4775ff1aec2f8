"""NAdam: Adam with Nesterov's look-ahead."""

from math import sqrt
from typing import Literal

import numpy as np

from engine.optimizers.adam import Adam, AdamOptions
from engine.optimizers.base import Block, Linear
from engine.options import Field
from engine.parameters import Array
from engine.plans import Plan, call


class NadamSpec(AdamOptions):
    """Adam with Nesterov's look-ahead and a momentum that warms up."""

    type: Literal["nadam"] = "nadam"
    learning_rate: float = Field(0.002, gt=0)
    momentum_decay: float = Field(0.004, ge=0, description="ψ: how fast the momentum grows from β₁/2 to β₁.")


class Nadam(Adam):
    """NAdam: Adam that steps along the mean the next update would see, with momentum μₜ = β₁(1 − ½·0.96^(t·ψ)).

    With Adam's kept moments M and V, and Pₜ = μ₁·μ₂⋯μₜ, the published update is θ ← θ − rate·(g + ahead·M)/(√V + floor)
    with rate = η·k·(1 − μₜ)/(1 − Pₜ) and ahead = (1 − β₁)·μₜ₊₁/(1 − Pₜ₊₁) · (1 − Pₜ)/(1 − μₜ).
    """

    spec = NadamSpec
    formula = "m, v as Adam's, θ ← θ − η·(μₜ₊₁·m/(1 − Pₜ₊₁) + (1 − μₜ)·g/(1 − Pₜ))/(√v̂ + ε), Pₜ = μ₁⋯μₜ"
    source = "Dozat 2016, Incorporating Nesterov momentum into Adam, algorithm 2; μₜ as in §3 there and in PyTorch"
    scalars = ("rate", "floor", "ahead")

    def __init__(self, spec: NadamSpec) -> None:
        super().__init__(spec)
        self.momentum_decay = spec.momentum_decay
        self._walked, self._product = 0, 1.0

    def momentum(self, count: int) -> float:
        """μₜ."""
        missing: float = 0.5 * 0.96 ** (count * self.momentum_decay)
        return self.beta1 * (1 - missing)

    def product(self, count: int) -> float:
        """Pₜ, always multiplied in the same order: walked on from the last one asked for, until it vanishes."""
        if count < self._walked:
            self._walked, self._product = 0, 1.0
        while self._walked < count and self._product > 0:
            self._walked += 1
            self._product *= self.momentum(self._walked)
        return self._product

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        k = sqrt((1 - self.beta2**count) / (1 - self.beta2))
        now, following, product = self.momentum(count), self.momentum(count + 1), self.product(count)
        of_g = (1 - now) / (1 - product)
        of_M = (1 - self.beta1) * following / (1 - product * following)
        return rate * k * of_g, self.epsilon * k, of_M / of_g

    def update(self, block: Block) -> Plan:
        M, V, root, change = block.moments["M"], block.moments["V"], block.spare, block.more
        yield from self.remember(block)
        yield call(np.sqrt, V, root)
        yield call(np.add, root, block.scalars["floor"], root)
        yield call(np.multiply, M, block.scalars["ahead"], change)
        yield call(np.add, change, block.g, change)
        yield call(np.divide, change, root, change)
        yield call(np.multiply, change, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        of_gradient = scalars["rate"] / (np.sqrt(after["V"]) + scalars["floor"])
        return Linear(of_gradient, of_gradient * scalars["ahead"])
