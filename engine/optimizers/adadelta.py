"""Adadelta: steps as long as the steps before, for gradients as large as the gradients before."""

from typing import Literal

import numpy as np

from engine.optimizers.base import Block, Linear, Optimizer
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call


class AdadeltaSpec(Choice):
    """Steps in the ratio of the running root mean squares of steps and gradients."""

    type: Literal["adadelta"] = "adadelta"
    learning_rate: float = Field(1.0, gt=0)
    rho: float = Field(0.9, ge=0, lt=1, description="How much of both running squares is kept.")
    epsilon: float = Field(1e-6, gt=0, description="Added to both; it is what the first steps grow from.")


class Adadelta(Optimizer):
    """Adadelta: a step is the gradient times the ratio of the steps' and the gradients' running root mean squares.

    So a step has the unit of the parameter, and no learning rate need be found: the usual η is 1. The kept moments are
    the textbook's divided by 1 − ρ, which saves two passes, so ε is divided by it too.
    """

    spec = AdadeltaSpec
    formula = "v ← ρv + (1 − ρ)g², Δ = √(d + ε)/√(v + ε)·g, d ← ρd + (1 − ρ)Δ², θ ← θ − η·Δ"
    source = "Zeiler 2012, ADADELTA: an adaptive learning rate method, algorithm 1"
    moments = ("V", "D")

    def __init__(self, spec: AdadeltaSpec) -> None:
        super().__init__(spec)
        self.rho, self.floor = spec.rho, spec.epsilon / (1 - spec.rho)

    def update(self, block: Block) -> Plan:
        V, D, step, other = block.moments["V"], block.moments["D"], block.spare, block.more
        yield call(np.multiply, block.g, block.g, other)
        yield call(np.multiply, V, self.rho, V)
        yield call(np.add, V, other, V)
        yield call(np.add, V, self.floor, other)
        yield call(np.add, D, self.floor, step)
        yield call(np.divide, step, other, step)
        yield call(np.sqrt, step, step)
        yield call(np.multiply, step, block.g, step)
        yield call(np.multiply, step, step, other)
        yield call(np.multiply, D, self.rho, D)
        yield call(np.add, D, other, D)
        yield call(np.multiply, step, block.scalars["rate"], step)
        yield call(np.subtract, block.theta, step, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        squares = (before["D"] + self.floor) / (after["V"] + self.floor)
        return Linear(of_gradient=scalars["rate"] * np.sqrt(squares))
