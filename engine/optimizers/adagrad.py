"""Adagrad: steps divided by the root of the sum of all squared gradients."""

from typing import Literal

import numpy as np

from engine.optimizers.base import Block, Linear, Optimizer
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call


class AdagradSpec(Choice):
    """Steps divided by the root of the sum of all squared gradients so far."""

    type: Literal["adagrad"] = "adagrad"
    learning_rate: float = Field(0.01, gt=0)
    lr_decay: float = Field(0.0, ge=0, description="The t-th update's rate is η/(1 + (t − 1)·lr_decay).")
    initial_accumulator_value: float = Field(0.0, ge=0, description="What the sum of squares begins with.")
    epsilon: float = Field(1e-10, gt=0, description="Added to the root that a step is divided by.")


class Adagrad(Optimizer):
    """Adagrad: each parameter's steps shrink with the root of the sum of its squared gradients.

    Parameters that rarely have a gradient keep long steps, which suits sparse inputs.
    """

    spec = AdagradSpec
    formula = "s ← s + g², θ ← θ − ηₜ·g/(√s + ε), ηₜ = η/(1 + (t − 1)·lr_decay)"
    source = "Duchi, Hazan & Singer 2011, Adaptive subgradient methods for online learning, the diagonal update of §1.1"
    moments = ("S",)

    def __init__(self, spec: AdagradSpec) -> None:
        super().__init__(spec)
        self.lr_decay, self.epsilon, self.initial = spec.lr_decay, spec.epsilon, spec.initial_accumulator_value

    def start(self, parameters: Array) -> dict[str, Array]:
        return {"S": np.full_like(parameters, self.initial)}

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        return (rate / (1 + (count - 1) * self.lr_decay),)

    def update(self, block: Block) -> Plan:
        S, change = block.moments["S"], block.spare
        yield call(np.multiply, block.g, block.g, change)
        yield call(np.add, S, change, S)
        yield call(np.sqrt, S, change)
        yield call(np.add, change, self.epsilon, change)
        yield call(np.divide, block.g, change, change)
        yield call(np.multiply, change, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        return Linear(of_gradient=scalars["rate"] / (np.sqrt(after["S"]) + self.epsilon))
