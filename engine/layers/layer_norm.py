"""Layer normalization: every row is brought to mean 0 and variance 1 over its own numbers."""

from typing import Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call, copy, matrix, sum_columns, sum_rows


class LayerNormSpec(Choice):
    """Y = γ·(X − μ)/√(σ² + ε) + β with the mean and variance along the last axis."""

    type: Literal["layer_norm"] = "layer_norm"
    epsilon: float = Field(1e-5, gt=0, le=1, description="Added to the variance.")
    affine: bool = Field(True, description="Whether γ and β are learned; else they are 1 and 0.")


class LayerNorm(Layer):
    """Y = γ·X̂ + β, X̂ = (X − μ)/√(σ² + ε) with the mean and the mean square (biased) along the last axis.

    The same in training and outside; a row knows nothing of the others.
    """

    spec = LayerNormSpec
    formula = "Y = γ·X̂ + β, X̂ = (X − μ)/√(σ² + ε)"
    derivative = "dγ = Σ dY ⊙ X̂, dβ = Σ dY, dX = (G − mean(G) − X̂·mean(G ⊙ X̂))/√(σ² + ε) with G = γ·dY"
    source = "Ba, Kiros & Hinton 2016, Layer normalization, eq. 3 and 4"
    backward_reads = frozenset()
    works_in_place = True

    def __init__(self, input_shape: Shape, spec: LayerNormSpec) -> None:
        super().__init__(input_shape, spec)
        self.epsilon, self.affine = spec.epsilon, spec.affine
        self.width = (input_shape[-1],)

    def parameters(self) -> Shapes:
        return {"gamma": self.width, "beta": self.width} if self.affine else {}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        if self.affine:
            values["gamma"].fill(1)

    def scratch(self) -> Shapes:
        row = (*self.input_shape[:-1], 1)
        return {"normal": self.input_shape, "product": self.input_shape, "factor": row, "mean": row}

    def forward(self, slot: Slot) -> Plan:
        X, Y, normal = matrix(slot.x), matrix(slot.y), matrix(slot.scratch["normal"])
        mean, factor = matrix(slot.scratch["mean"]), matrix(slot.scratch["factor"])
        yield from row_means(X, mean)
        yield call(np.subtract, X, mean, normal)
        yield call(np.multiply, normal, normal, Y)
        yield from row_means(Y, factor)
        yield call(np.add, factor, self.epsilon, factor)
        yield call(np.sqrt, factor, factor)
        yield call(np.reciprocal, factor, factor)
        yield call(np.multiply, normal, factor, normal)
        if self.affine:
            yield call(np.multiply, normal, slot.params["gamma"], Y)
            yield call(np.add, Y, slot.params["beta"], Y)
        else:
            yield from copy(normal, Y)

    def backward(self, slot: Slot) -> Plan:
        dY, normal, product = matrix(slot.dy), matrix(slot.scratch["normal"]), matrix(slot.scratch["product"])
        mean, factor = matrix(slot.scratch["mean"]), matrix(slot.scratch["factor"])
        if self.affine:
            yield call(np.multiply, dY, normal, product)
            yield sum_rows(product, slot.grads["gamma"])
            yield sum_rows(dY, slot.grads["beta"])
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
        yield from row_means(dX, mean)
        yield call(np.subtract, dX, mean, dX)
        yield call(np.subtract, dX, product, dX)
        yield call(np.multiply, dX, factor, dX)


def row_means(a: Array, out: Array) -> Plan:
    """out (m, 1) = the mean of each row of a (m, n)."""
    yield sum_columns(a, out[:, 0])
    yield call(np.multiply, out, 1 / a.shape[1], out)
