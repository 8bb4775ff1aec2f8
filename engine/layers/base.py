"""What every layer is: a configuration with a forward and a backward pass over a slot of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.options import Choice
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan


@dataclass(slots=True)
class Slot:
    """The arrays of one layer for one batch of m rows.

    `x` (m, *input_shape) and `y` (m, *output_shape) are the layer's input and output, `dx` and `dy` the loss's
    derivatives by them. The `y` of a layer is the `x` of the next, and its `dx` is the `dy` of the one before: the
    boundaries are the A, Z, dA and dZ of the equations.
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
    """Views into the flat gradient, by letter; empty where nobody asks and the layer can do without."""
    state: dict[str, Array]
    """Views into the running statistics at the flat parameters' end, by name."""
    scratch: dict[str, Array]
    """What one pass needs beside the rest."""
    draw: Callable[[], np.random.Generator] | None
    """Gives the generator of this layer and step; None outside training."""
    start: Slot | None = None
    """For a layer that joins what another one parted: that one's slot."""

    @property
    def is_training(self) -> bool:
        """Whether the pass is a step of a training."""
        return self.draw is not None


def place_in_X(index: tuple[int, ...]) -> str:
    """X[2][0] of (2, 0)."""
    return "X" + "".join(f"[{part}]" for part in index)


class Layer:
    """A layer holds configuration, never a batch; `forward` and `backward` write down what to do with a slot."""

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    derivative: ClassVar[str]
    source: ClassVar[str]
    backward_reads: ClassVar[frozenset[str]]
    """Which of "x" and "y" the backward pass reads: they must still stand there when it runs."""
    works_in_place: ClassVar[bool] = False
    """Whether `y` may be the very array `x`, and `dx` the very array `dy`."""
    can_skip_gradients: ClassVar[bool] = False
    """Whether `grads` may be empty: the backward pass then fills `dx` alone."""
    is_random: ClassVar[bool] = False
    """Whether a training pass draws random numbers."""
    start: Layer | None = None
    """For a layer that joins what another one parted: that one."""
    path: str = ""
    """Its place in the spec's list; set where the list is built."""

    def __init__(self, input_shape: Shape, spec: Any) -> None:
        self.input_shape = input_shape
        self.output_shape = input_shape

    @classmethod
    def build(cls, input_shape: Shape, spec: Any) -> Iterator[Layer]:
        """The layers one item of a spec's list stands for.

        Raises SpecError for an input shape it can't work on; its place is the option that is wrong.
        """
        yield cls(input_shape, spec)

    def parameters(self) -> Shapes:
        """The shapes of what this layer learns, by letter."""
        return {}

    def statistics(self) -> Shapes:
        """The shapes of what it keeps from its training batches without learning it, by name."""
        return {}

    def initialize(self, values: dict[str, Array], generator: np.random.Generator) -> None:
        """Write what parameters and statistics start from into the views."""

    @property
    def is_choosy(self) -> bool:
        """Whether there are finite inputs it is not defined for."""
        return False

    def check(self, X: Array, place_of: Callable[[tuple[int, ...]], str] = place_in_X) -> None:
        """Raise DataError for inputs it is not defined for, each by what `place_of` calls its index."""

    def scratch(self) -> Shapes:
        """The shapes per row of the arrays one pass needs beside the slot's."""
        return {}

    def fixed_scratch(self) -> Shapes:
        """The shapes of those whose size does not depend on the number of rows."""
        return {}

    def forward(self, slot: Slot) -> Plan:
        """Fill `y` from `x`."""
        raise NotImplementedError

    def backward(self, slot: Slot) -> Plan:
        """Fill `grads`, and `dx` unless it is None, from `dy`."""
        raise NotImplementedError

    def pieces(self, slot: Slot) -> Array | None:
        """After a forward pass, for each element which smooth piece of the function it is on; None where all is smooth.

        A nudge that changes it crosses a point where the derivative jumps or bends, and where no error bar holds.
        """
        return None
