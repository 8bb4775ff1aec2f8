"""RMS normalization: every row is brought to a mean square of 1 over its own numbers."""

from typing import Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.layers.layer_norm import row_means
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, copy, matrix, sum_rows


class RmsNormSpec(Choice):
    """Y = γ·X/√(mean(X²) + ε), the mean being along the last axis."""

    type: Literal["rms_norm"] = "rms_norm"
    epsilon: float = Field(1e-5, gt=0, le=1, description="Added to the mean square.")
    affine: bool = Field(True, description="Whether γ is learned; else it is 1.")


class RmsNorm(Layer):
    """Y = γ·X̂, X̂ = X/√(mean(X²) + ε) with the mean along the last axis: layer_norm without its mean and β."""

    spec = RmsNormSpec
    formula = "Y = γ·X̂, X̂ = X/√(mean(X²) + ε)"
    derivative = "dγ = Σ dY ⊙ X̂, dX = (G − X̂·mean(G ⊙ X̂))/√(mean(X²) + ε) with G = γ·dY"
    source = "Zhang & Sennrich 2019, Root mean square layer normalization, eq. 4"
    backward_reads = frozenset()
    works_in_place = True

    def __init__(self, input_shape: Shape, spec: RmsNormSpec) -> None:
        super().__init__(input_shape, spec)
        self.epsilon, self.affine = spec.epsilon, spec.affine

    def parameters(self) -> Shapes:
        return {"gamma": (self.input_shape[-1],)} if self.affine else {}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        if self.affine:
            values["gamma"].fill(1)

    def scratch(self) -> Shapes:
        row = (*self.input_shape[:-1], 1)
        return {"normal": self.input_shape, "product": self.input_shape, "factor": row, "mean": row}

    def forward(self, slot: Slot) -> Plan:
        X, Y, normal = matrix(slot.x), matrix(slot.y), matrix(slot.scratch["normal"])
        factor = matrix(slot.scratch["factor"])
        yield call(np.multiply, X, X, normal)
        yield from row_means(normal, factor)
        yield call(np.add, factor, self.epsilon, factor)
        yield call(np.sqrt, factor, factor)
        yield call(np.reciprocal, factor, factor)
        yield call(np.multiply, X, factor, normal)
        if self.affine:
            yield call(np.multiply, normal, slot.params["gamma"], Y)
        else:
            yield from copy(normal, Y)

    def backward(self, slot: Slot) -> Plan:
        dY, normal, product = matrix(slot.dy), matrix(slot.scratch["normal"]), matrix(slot.scratch["product"])
        mean, factor = matrix(slot.scratch["mean"]), matrix(slot.scratch["factor"])
        if self.affine:
            yield call(np.multiply, dY, normal, product)
            yield sum_rows(product, slot.grads["gamma"])
        if slot.dx is None:
            return
        dX = matrix(slot.dx)
        if self.affine:
            yield call(np.multiply, dY, slot.params["gamma"], dX)
        else:
            yield from copy(dY, dX)
        yield call(np.multiply, dX, normal, product)
        yield from row_means(product, mean)
        yield call(np.multiply, normal, mean, product)
        yield call(np.subtract, dX, product, dX)
        yield call(np.multiply, dX, factor, dX)
