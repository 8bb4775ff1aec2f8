"""Softmax: numbers turned into shares that sum to 1."""

from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.base import Slot
from engine.options import Choice
from engine.parameters import Shapes
from engine.plans import Plan, call, largest_of_columns, matrix, sum_columns
from engine.symmetric import OfShares, Symmetric


class SoftmaxSpec(Choice):
    type: Literal["softmax"] = "softmax"


class Softmax(Activation):
    """A_k = e^{Z_k} / Σⱼ e^{Z_j} along the last axis. The largest Z is taken off first, which changes nothing else.

    Every Z of a row moves every A of it, so the backward pass applies the row's full Jacobian.
    """

    spec = SoftmaxSpec
    formula = "A_k = e^{Z_k} / Σⱼ e^{Z_j}"
    derivative = "dZ = A ⊙ (dA − Σⱼ dA_j·A_j)"
    second_derivative = "Σ_k dA_k·∂²A_k/∂Z∂Zᵀ = Eᵀ·diag(dZ)·E, E = I − 1·Aᵀ"
    source = "Bridle 1990, Probabilistic interpretation of feedforward classification network outputs"
    range = "shares"

    def scratch(self) -> Shapes:
        return {"product": self.input_shape, "row": (*self.input_shape[:-1], 1)}

    def forward(self, slot: Slot) -> Plan:
        Z, A, row = matrix(slot.x), matrix(slot.y), matrix(slot.scratch["row"])
        yield from largest_of_columns(Z, row)
        yield call(np.subtract, Z, row, A)
        yield call(np.exp, A, A)
        yield sum_columns(A, row[:, 0])
        yield call(np.divide, A, row, A)

    def backward(self, slot: Slot) -> Plan:
        if slot.dx is None:
            return
        A, dA, dZ = matrix(slot.y), matrix(slot.dy), matrix(slot.dx)
        product, row = matrix(slot.scratch["product"]), matrix(slot.scratch["row"])
        yield call(np.multiply, dA, A, product)
        yield sum_columns(product, row[:, 0])
        yield call(np.subtract, dA, row, dZ)
        yield call(np.multiply, dZ, A, dZ)

    def slopes(self, slot: Slot) -> Symmetric:
        return OfShares(slot.y, slot.y)

    def bend(self, slot: Slot) -> Symmetric:
        """With ∂A_k/∂Z = A_k·(e_k − A), deriving once more gives Σ_k dA_k·A_k·[(e_k − A)(e_k − A)ᵀ − ∂A/∂Z]."""
        return OfShares(OfShares(slot.y, slot.y).times(slot.dy), slot.y)
