"""What activations have in common: A = g(Z), where x is Z, y is A, dy is dA and dx is dZ."""

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from engine.layers.base import Layer, Slot
from engine.parameters import Array, Shapes
from engine.plans import run
from engine.symmetric import Diagonal, Symmetric

Range = Literal["any", "positive", "probability", "shares"]
"""What the outputs are: any number, any above 0, each from 0 to 1, or shares that sum to 1 along the row."""


class Activation(Layer):
    """A = g(Z), element by element, but for softmax, which works on whole rows.

    Where it can, the backward pass reads A instead of Z, so that A may overwrite Z.
    """

    second_derivative: ClassVar[str] = "0"
    """Of each piece; at a kink, of the piece whose derivative is taken there."""
    works_in_place = True
    backward_reads = frozenset({"y"})
    initializer: ClassVar[str] = "glorot_uniform"
    """What suits the weights in front of it; Glorot & Bengio 2010 where nothing better is known."""
    range: ClassVar[Range] = "any"

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape}

    def second(self, slot: Slot) -> Array | None:
        """g″(Z) of each element, of an x that still stands there; None where every piece is a straight line."""
        return None

    def slopes(self, slot: Slot) -> Symmetric:
        """∂A/∂Z of each example after a forward pass: what its backward pass makes of ones."""
        slope, ones = np.empty_like(slot.y), np.ones_like(slot.y)
        spare = {letter: np.empty_like(array) for letter, array in slot.grads.items()}
        run(self.backward(replace(slot, dy=ones, dx=slope, grads=spare)))
        return Diagonal(slope.reshape(len(slope), -1))

    def bend(self, slot: Slot) -> Symmetric | None:
        """Σ_k dA_k·∂²A_k/∂Z∂Zᵀ of each example after both passes; None where it is 0."""
        second = self.second(slot)
        return None if second is None else Diagonal((second * slot.dy).reshape(len(second), -1))
