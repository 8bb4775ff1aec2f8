"""Stochastic gradient descent."""

from typing import Literal, Self

import numpy as np

from engine.optimizers.base import Block, Optimizer
from engine.options import Choice, Field, model_validator
from engine.plans import Plan, call


class SgdSpec(Choice):
    """Stochastic gradient descent, with momentum and Nesterov's look-ahead if asked for."""

    type: Literal["sgd"] = "sgd"
    learning_rate: float = Field(0.01, gt=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 to look ahead with, got momentum 0")
        return self


class Sgd(Optimizer):
    """Stochastic gradient descent: v ← μ·v + g, θ ← θ − η·v; with Nesterov's look-ahead θ ← θ − η·(g + μ·v)."""

    spec = SgdSpec
    formula = "v ← μ·v + g, θ ← θ − η·v (Nesterov: θ ← θ − η·(g + μ·v))"
    source = "Sutskever, Martens, Dahl & Hinton 2013, On the importance of initialization and momentum in deep learning"
    moments = ("v",)

    def __init__(self, spec: SgdSpec) -> None:
        super().__init__(spec)
        self.momentum, self.nesterov = spec.momentum, spec.nesterov

    def update(self, block: Block) -> Plan:
        direction, v, change = block.g, block.moments["v"], block.spare
        if self.momentum:
            yield call(np.multiply, v, self.momentum, v)
            yield call(np.add, v, block.g, v)
            direction = v
        if self.nesterov:
            yield call(np.multiply, v, self.momentum, change)
            yield call(np.add, change, block.g, change)
            direction = change
        yield call(np.multiply, direction, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)
