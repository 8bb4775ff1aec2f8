"""Adam: steps scaled by running estimates of the gradient's first and second moment."""

from math import sqrt
from typing import ClassVar, Literal

import numpy as np

from engine.optimizers.base import Block, Linear, Optimizer
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call


class AdamOptions(Choice):
    """What Adam and its kin have in common."""

    learning_rate: float = Field(0.001, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1, description="How much of the gradient's running mean is kept.")
    beta2: float = Field(0.999, ge=0, lt=1, description="How much of its running square is kept.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root that a step is divided by.")


class AdamSpec(AdamOptions):
    """Adam: steps scaled by running estimates of the gradient's first and second moment."""

    type: Literal["adam"] = "adam"


class Adam(Optimizer):
    """Adam: steps along the gradient's running mean, scaled by the root of its running square, both bias-corrected.

    The kept moments are the textbook's divided by 1 − β, which saves two passes: M ← β₁·M + g, V ← β₂·V + g². The
    bias corrections are folded into the step's length and ε: with k = √((1 − β₂ᵗ)/(1 − β₂)),
    θ ← θ − η·k·(1 − β₁)/(1 − β₁ᵗ) · M/(√V + ε·k). This equals the published update.
    """

    spec: ClassVar[type[AdamOptions]] = AdamSpec
    formula = "m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − η·m̂/(√v̂ + ε), m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ)"
    source = "Kingma & Ba 2015, Adam: a method for stochastic optimization, algorithm 1 and the end of §2"
    moments: tuple[str, ...] = ("M", "V")
    scalars: ClassVar[tuple[str, ...]] = ("rate", "floor")

    def __init__(self, spec: AdamOptions) -> None:
        super().__init__(spec)
        self.beta1, self.beta2, self.epsilon = spec.beta1, spec.beta2, spec.epsilon
        self.memory, self.kept = "M", spec.beta1

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        k = sqrt((1 - self.beta2**count) / (1 - self.beta2))
        return rate * k * (1 - self.beta1) / (1 - self.beta1**count), self.epsilon * k

    def update(self, block: Block) -> Plan:
        yield from self.remember(block)
        yield from self.descend(block, block.moments["V"])

    def remember(self, block: Block) -> Plan:
        """M ← β₁·M + g, V ← β₂·V + g²."""
        M, V, square = block.moments["M"], block.moments["V"], block.spare
        yield call(np.multiply, M, self.beta1, M)
        yield call(np.add, M, block.g, M)
        yield call(np.multiply, block.g, block.g, square)
        yield call(np.multiply, V, self.beta2, V)
        yield call(np.add, V, square, V)

    def descend(self, block: Block, V: Array) -> Plan:
        """θ ← θ − rate·M/(√V + floor)."""
        M, change = block.moments["M"], block.spare
        yield call(np.sqrt, V, change)
        yield call(np.add, change, block.scalars["floor"], change)
        yield call(np.divide, M, change, change)
        yield call(np.multiply, change, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        return Linear(of_memory=scalars["rate"] / (np.sqrt(after["V"]) + scalars["floor"]))
