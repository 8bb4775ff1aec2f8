"""RMSprop: steps divided by the root of the gradient's running square."""

from math import sqrt
from typing import Literal

import numpy as np

from engine.optimizers.base import Block, Linear, Optimizer
from engine.options import Choice, Field
from engine.parameters import Array
from engine.plans import Plan, call


class RmspropSpec(Choice):
    """Steps divided by the root of the gradient's running square."""

    type: Literal["rmsprop"] = "rmsprop"
    learning_rate: float = Field(0.01, gt=0)
    alpha: float = Field(0.99, ge=0, lt=1, description="How much of the running square is kept.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root that a step is divided by.")
    momentum: float = Field(0.0, ge=0, lt=1, description="How much of the last step is taken again.")
    centered: bool = Field(False, description="Divide by the running standard deviation instead.")


class Rmsprop(Optimizer):
    """RMSprop: each step is the gradient divided by the root of its running square.

    `centered` takes the square of the running mean off the running square, which leaves the variance; where rounding
    makes that negative, its size is taken. The kept moments are the textbook's divided by 1 − α, which saves a pass
    each, so ε and η are divided by √(1 − α) too.
    """

    spec = RmspropSpec
    formula = (
        "v ← αv + (1 − α)g², θ ← θ − η·g/(√v + ε); with momentum b ← μ·b + g/(√v + ε), θ ← θ − η·b; centered, "
        "m ← αm + (1 − α)g and √(v − m²) in √v's place"
    )
    source = (
        "Tieleman & Hinton 2012, lecture 6.5 of Neural networks for machine learning; centered: Graves 2013, eq. 38"
    )

    def __init__(self, spec: RmspropSpec) -> None:
        super().__init__(spec)
        self.alpha, self.momentum, self.centered = spec.alpha, spec.momentum, spec.centered
        self.unit = sqrt(1 - spec.alpha)
        self.floor = spec.epsilon / self.unit
        self.memory, self.kept = "b" if spec.momentum else None, spec.momentum
        self.moments = ("V", *(("M",) if spec.centered else ()), *(("b",) if spec.momentum else ()))

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        return (rate / self.unit,)

    def update(self, block: Block) -> Plan:
        V, change = block.moments["V"], block.spare
        yield call(np.multiply, block.g, block.g, change)
        yield call(np.multiply, V, self.alpha, V)
        yield call(np.add, V, change, V)
        yield from self._variance(block) if self.centered else ()
        yield call(np.sqrt, change if self.centered else V, change)
        yield call(np.add, change, self.floor, change)
        yield call(np.divide, block.g, change, change)
        if self.momentum:
            b = block.moments["b"]
            yield call(np.multiply, b, self.momentum, b)
            yield call(np.add, b, change, b)
            yield call(np.multiply, b, block.scalars["rate"], change)
        else:
            yield call(np.multiply, change, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        V = after["V"]
        squares = np.abs(V - (1 - self.alpha) * np.square(after["M"])) if self.centered else V
        divided = 1 / (np.sqrt(squares) + self.floor)
        if not self.momentum:
            return Linear(of_gradient=scalars["rate"] * divided)
        return Linear(of_memory=scalars["rate"], entered=divided)

    def _variance(self, block: Block) -> Plan:
        """change = |V − (1 − α)·M²|."""
        M, V, change = block.moments["M"], block.moments["V"], block.spare
        yield call(np.multiply, M, self.alpha, M)
        yield call(np.add, M, block.g, M)
        yield call(np.multiply, M, M, change)
        yield call(np.multiply, change, 1 - self.alpha, change)
        yield call(np.subtract, V, change, change)
        yield call(np.abs, change, change)
