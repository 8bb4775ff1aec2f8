"""Stochastic gradient descent."""

from typing import Literal, Self

import numpy as np

from engine.optimizers.base import Block, Linear, Optimizer
from engine.options import Choice, Field, model_validator
from engine.parameters import Array
from engine.plans import Plan, call


class SgdSpec(Choice):
    """Stochastic gradient descent, with momentum and Nesterov's look-ahead if asked for."""

    type: Literal["sgd"] = "sgd"
    learning_rate: float = Field(0.01, gt=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    dampening: float = Field(
        0.0, ge=0, lt=1, description="What the momentum leaves out of every gradient but the first."
    )
    nesterov: bool = False

    @model_validator(mode="after")
    def _momentum_has_what_it_needs(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 to look ahead with, got momentum 0")
        if self.dampening and self.momentum == 0:
            raise ValueError("dampening: expected a momentum above 0 to dampen, got momentum 0")
        if self.nesterov and self.dampening:
            raise ValueError(f"dampening: expected 0 beside nesterov, got {self.dampening}")
        return self


class Sgd(Optimizer):
    """Stochastic gradient descent: v ← μ·v + g, θ ← θ − η·v; with Nesterov's look-ahead θ ← θ − η·(g + μ·v).

    With dampening τ, v ← μ·v + (1 − τ)·g in every update but the first.
    """

    spec = SgdSpec
    formula = "v ← μ·v + (1 − τ)·g (the first: v = g), θ ← θ − η·v (Nesterov: θ ← θ − η·(g + μ·v))"
    source = "Sutskever, Martens, Dahl & Hinton 2013, On the importance of initialization and momentum in deep learning"
    scalars = ("rate", "share")

    def __init__(self, spec: SgdSpec) -> None:
        super().__init__(spec)
        self.momentum, self.dampening, self.nesterov = spec.momentum, spec.dampening, spec.nesterov
        self.moments = ("v",) if spec.momentum else ()
        self.memory, self.kept = "v" if spec.momentum else None, spec.momentum

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        return rate, 1.0 if count == 1 else 1 - self.dampening

    def update(self, block: Block) -> Plan:
        direction, change = block.g, block.spare
        if self.momentum:
            yield from self._momentum(block)
            direction = block.moments["v"]
        if self.nesterov:
            yield call(np.multiply, direction, self.momentum, change)
            yield call(np.add, change, block.g, change)
            direction = change
        yield call(np.multiply, direction, block.scalars["rate"], change)
        yield call(np.subtract, block.theta, change, block.theta)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        rate = scalars["rate"]
        if not self.momentum:
            return Linear(of_gradient=rate)
        of_gradient, of_memory = (rate, self.momentum * rate) if self.nesterov else (0.0, rate)
        return Linear(of_gradient, of_memory, entered=scalars["share"])

    def _momentum(self, block: Block) -> Plan:
        """v ← μ·v + (1 − τ)·g."""
        v, g = block.moments["v"], block.g
        yield call(np.multiply, v, self.momentum, v)
        if self.dampening:
            yield call(np.multiply, g, block.scalars["share"], block.spare)
            g = block.spare
        yield call(np.add, v, g, v)
