"""What activations have in common: A = g(Z), where x is Z, y is A, dy is dA and dx is dZ."""

from typing import ClassVar, Literal

from engine.layers.base import Layer
from engine.parameters import Shapes

Range = Literal["any", "positive", "probability", "shares"]
"""What the outputs are: any number, any above 0, each from 0 to 1, or shares that sum to 1 along the row."""


class Activation(Layer):
    """A = g(Z), element by element, but for softmax, which works on whole rows.

    Where it can, the backward pass reads A instead of Z, so that A may overwrite Z.
    """

    works_in_place = True
    backward_reads = frozenset({"y"})
    initializer: ClassVar[str] = "glorot_uniform"
    """What suits the weights in front of it; Glorot & Bengio 2010 where nothing better is known."""
    range: ClassVar[Range] = "any"

    def scratch(self) -> Shapes:
        return {"slope": self.input_shape}
