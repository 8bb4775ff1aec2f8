"""Batch normalization: every channel is brought to mean 0 and variance 1 over the batch."""

from typing import Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, copy, matrix, sum_rows


class BatchNormSpec(Choice):
    """Y = γ·(X − μ)/√(σ² + ε) + β with each channel's mean and variance: the batch's in training, else running ones."""

    type: Literal["batch_norm"] = "batch_norm"
    momentum: float = Field(0.1, gt=0, le=1, description="A batch's share in the running mean and variance.")
    epsilon: float = Field(1e-5, gt=0, le=1, description="Added to the variance.")
    affine: bool = Field(True, description="Whether γ and β are learned; else they are 1 and 0.")


class BatchNorm(Layer):
    """Y = γ·X̂ + β, X̂ = (X − μ)/√(σ² + ε), channel by channel; the channels are the last axis.

    In training μ and σ² are those of all numbers of a channel in the batch (in each shard, where there are several),
    σ² being the mean square (biased). They also move the running ones: running ← running + momentum·(batch's −
    running), the variance there times n/(n − 1) (unbiased), as in PyTorch. A single number has variance 0, so Y = β
    and nothing flows back; it says nothing about the running variance, which stays as it is.

    Outside training μ and σ² are the running ones. Those do not depend on X, so that the backward pass is another:
    a row's derivative is its own alone. It is what inspection shows.
    """

    spec = BatchNormSpec
    formula = "Y = γ·X̂ + β, X̂ = (X − μ)/√(σ² + ε)"
    derivative = "dγ = Σ dY ⊙ X̂, dβ = Σ dY, dX = γ/√(σ² + ε)·(dY − dβ/n − X̂·dγ/n); outside training γ/√(σ² + ε)·dY"
    source = "Ioffe & Szegedy 2015, Batch normalization, algorithm 1 and §3"
    backward_reads = frozenset()
    works_in_place = True

    def __init__(self, input_shape: Shape, spec: BatchNormSpec) -> None:
        super().__init__(input_shape, spec)
        self.momentum, self.epsilon, self.affine = spec.momentum, spec.epsilon, spec.affine
        self.channels = (input_shape[-1],)

    def parameters(self) -> Shapes:
        return {"gamma": self.channels, "beta": self.channels} if self.affine else {}

    def statistics(self) -> Shapes:
        return {"running_mean": self.channels, "running_var": self.channels}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        for name in values.keys() & {"gamma", "running_var"}:
            values[name].fill(1)

    def scratch(self) -> Shapes:
        return {"normal": self.input_shape, "product": self.input_shape}

    def fixed_scratch(self) -> Shapes:
        return dict.fromkeys(("mean", "variance", "factor", "spare", "sum", "sum_of_products"), self.channels)

    def forward(self, slot: Slot) -> Plan:
        X, Y, normal = matrix(slot.x), matrix(slot.y), matrix(slot.scratch["normal"])
        mean, variance, factor = (slot.scratch[name] for name in ("mean", "variance", "factor"))
        if slot.is_training:
            yield sum_rows(X, mean)
            yield call(np.multiply, mean, 1 / len(X), mean)
            yield call(np.subtract, X, mean, normal)
            yield call(np.multiply, normal, normal, Y)
            yield sum_rows(Y, variance)
            yield call(np.multiply, variance, 1 / len(X), variance)
            yield from self._move(slot, len(X))
        else:
            mean, variance = slot.state["running_mean"], slot.state["running_var"]
            yield call(np.subtract, X, mean, normal)
        yield call(np.add, variance, self.epsilon, factor)
        yield call(np.sqrt, factor, factor)
        yield call(np.reciprocal, factor, factor)
        yield call(np.multiply, normal, factor, normal)
        if self.affine:
            yield call(np.multiply, normal, slot.params["gamma"], Y)
            yield call(np.add, Y, slot.params["beta"], Y)
        else:
            yield from copy(normal, Y)

    def _move(self, slot: Slot, n: int) -> Plan:
        """Let the running statistics follow a batch of n numbers a channel."""
        spare = slot.scratch["spare"]
        followed = [("mean", "running_mean", 1.0)]
        if n > 1:
            followed.append(("variance", "running_var", n / (n - 1)))
        for name, running, correction in followed:
            yield call(np.multiply, slot.scratch[name], correction, spare)
            yield call(np.subtract, spare, slot.state[running], spare)
            yield call(np.multiply, spare, self.momentum, spare)
            yield call(np.add, slot.state[running], spare, slot.state[running])

    def backward(self, slot: Slot) -> Plan:
        dY, normal, product = matrix(slot.dy), matrix(slot.scratch["normal"]), matrix(slot.scratch["product"])
        factor, spare = slot.scratch["factor"], slot.scratch["spare"]
        summed = slot.grads.get("beta", slot.scratch["sum"])
        of_products = slot.grads.get("gamma", slot.scratch["sum_of_products"])
        yield call(np.multiply, dY, normal, product)
        yield sum_rows(product, of_products)
        yield sum_rows(dY, summed)
        if slot.dx is None:
            return
        dX = matrix(slot.dx)
        if slot.is_training:
            yield call(np.multiply, of_products, 1 / len(dY), spare)
            yield call(np.multiply, normal, spare, product)
            yield call(np.subtract, dY, product, dX)
            yield call(np.multiply, summed, 1 / len(dY), spare)
            yield call(np.subtract, dX, spare, dX)
        else:
            yield from copy(dY, dX)
        if self.affine:
            yield call(np.multiply, slot.params["gamma"], factor, spare)
            yield call(np.multiply, dX, spare, dX)
        else:
            yield call(np.multiply, dX, factor, dX)
