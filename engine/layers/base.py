"""What every layer is: a configuration with a forward and a backward pass over a slot of arrays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.parameters import Array, Shape, Shapes


@dataclass(slots=True)
class Slot:
    """The arrays of one layer for one batch of m rows.

    `x` (m, n_in) and `y` (m, n_out) are the layer's input and output, `dx` and `dy` the loss's derivatives by them.
    The `y` of a layer is the `x` of the next, and its `dx` is the `dy` of the one before: the boundaries are the A, Z,
    dA and dZ of the equations.
    """

    x: Array
    y: Array
    dx: Array | None
    """None where nobody asks for it."""
    dy: Array
    """Empty in a workspace that only looks forward."""
    params: dict[str, Array]
    """Views into the flat parameters, by letter."""
    grads: dict[str, Array]
    """Views into the flat gradient, by letter."""
    scratch: dict[str, Array]
    """What one pass needs beside the rest."""
    draw: Callable[[], np.random.Generator] | None
    """Gives the generator of this layer and step; None outside training."""


class Layer:
    """A layer holds configuration, never a batch; `forward` and `backward` read and write a slot."""

    formula: ClassVar[str]
    derivative: ClassVar[str]
    source: ClassVar[str]
    backward_reads: ClassVar[frozenset[str]]
    """Which of "x" and "y" the backward pass reads: they must still stand there when it runs."""
    works_in_place: ClassVar[bool] = False
    """Whether `y` may be the very array `x`, and `dx` the very array `dy`."""
    has_kink: ClassVar[bool] = False
    """Whether the derivative jumps where an input is 0."""

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        self.input_shape = input_shape
        self.output_shape = input_shape

    def parameters(self) -> Shapes:
        """The shapes of what this layer learns, by letter."""
        return {}

    def initialize(self, params: dict[str, Array], generator: np.random.Generator) -> None:
        """Write the initial values into the views."""

    def scratch(self) -> Shapes:
        """The shapes per row of the arrays one pass needs beside the slot's."""
        return {}

    def forward(self, slot: Slot) -> None:
        """Fill `y` from `x`."""
        raise NotImplementedError

    def backward(self, slot: Slot) -> None:
        """Fill `grads`, and `dx` unless it is None, from `dy`."""
        raise NotImplementedError
