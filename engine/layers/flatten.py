"""Flatten: the same numbers as one vector, as a dense head needs them."""

from math import prod
from typing import Any, Literal

from engine.layers.reshape import Reshape
from engine.options import Choice
from engine.parameters import Shape


class FlattenSpec(Choice):
    """The same numbers as one vector."""

    type: Literal["flatten"] = "flatten"


class Flatten(Reshape):
    """Y holds X's numbers in X's order, the last axis running fastest, as one vector."""

    spec = FlattenSpec
    formula = "Y = X, as one vector"

    def shape(self, spec: Any) -> Shape:
        return (prod(self.input_shape),)
