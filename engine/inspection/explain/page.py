"""The page a derivation is written on: a pass whose every number can be called by its symbol or by its address."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from engine.inspection.addresses import Index, join, turned
from engine.inspection.explain.expressions import Expression, Matrix, Number, Size, Symbol, over
from engine.inspection.names import Orientation, derivative_of
from engine.inspection.passes import Convention
from engine.network import Network
from engine.parameters import Array, Shape
from engine.workspace import Batch

Kind = Literal["equation", "shapes", "element", "values", "products", "sum", "result"]


@dataclass(frozen=True)
class Line:
    """left = right; where left is None the line goes on from the one before."""

    kind: Kind
    """`equation` for whole tensors, `shapes` of the same, `element` for the one number, `values` with numbers put in,
    `products` and `sum` as they come out, `result`."""
    left: Expression | None
    right: Expression
    note: str = ""
    """In words: a formula's name, or a reason."""


@dataclass(frozen=True)
class Section:
    """Lines under a heading."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Page:
    """A pass over m examples, with its convention and orientation.

    `batch` was passed backward with a scale of 1, or of 1/m where the convention is `mean`.
    """

    batch: Batch
    convention: Convention
    orientation: Orientation
    terms: int
    """How many terms of a sum are listed."""
    is_general: bool = False
    """Whether dZ[L] was found from dA[L] in spite of a shortcut."""

    @property
    def network(self) -> Network:
        """The network that was passed."""
        return self.batch.workspace.network

    @property
    def m(self) -> int:
        """How many examples there are."""
        return self.batch.m

    @property
    def has_shortcut(self) -> bool:
        """Whether dZ[L] was found from Z."""
        return self.network.has_canonical_head and not self.is_general

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Every tensor by its name, in rows. Gradients of parameters are those of the mean loss."""
        workspace, network = self.batch.workspace, self.network
        names = network.boundary_names
        found = {"Y": self.batch.Y, "loss": self.batch.head.examples, **network.views(workspace.parameters)}
        found |= dict(zip(names, workspace.outputs, strict=True))
        found |= dict(zip(map(derivative_of, names), workspace.derivatives, strict=True))
        gradient = workspace.gradient / (1 if self.convention == "mean" else self.m)
        return found | {derivative_of(name): array for name, array in network.views(gradient).items()}

    def shape(self, name: str) -> Shape:
        """Of a tensor, in the orientation of the page."""
        return turned(self.arrays[name].shape, self.orientation)

    # Numbers and symbols -------------------------------------------------------------------------------------------

    def number(self, name: str, index: Index) -> Number:
        """A number of a tensor by its index in rows, with its address on the page."""
        return Number(float(self.arrays[name][index]), join(name, index, self.orientation))

    def symbol(self, name: str, *index: int | str) -> Symbol:
        """The symbol of a tensor, or of a number of it by its index in rows, of which parts may be letters."""
        letter, layer = letters_of(name)
        labels = tuple(map(str, index))
        return Symbol(letter, layer, labels[:: -1 if self.orientation == "columns" and len(labels) == 2 else 1])

    def size(self, name: str, *, is_transposed: bool = False) -> Size:
        """The shape of a tensor as it stands in an equation."""
        return Size(self.shape(name), is_transposed)

    def matrix(self, name: str) -> Matrix:
        """A tensor with all its numbers, in the orientation of the page: in columns a vector is one too."""
        array = self.arrays[name]
        return Matrix(np.atleast_2d(array).T if self.orientation == "columns" else array, name)

    def ordered(self, *factors: Expression) -> tuple[Expression, ...]:
        """The factors of a matrix product as rows have them: in columns they stand the other way round."""
        return factors[:: -1 if self.orientation == "columns" else 1]

    @property
    def one_over_m(self) -> Expression:
        """1/m, with m as a number."""
        return over(1, self.m)


def letters_of(name: str) -> tuple[str, str | None]:
    """The letter and the layer in a tensor's name: dW and 2 of dW.2, dY and layers.3 of layers.3.dy."""
    if name.endswith((".y", ".dy")):
        layer, _, letter = name.rpartition(".")
        return letter.replace("y", "Y"), layer
    letter, _, layer = name.partition(".")
    return letter, layer or None
