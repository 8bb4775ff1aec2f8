"""The gradients g_i of each example's own loss: their sizes, products and moments, as a rule without forming one.

Of a dense layer on vectors g_i is the outer product of a_i and dz_i, from which closed forms follow. Of any other layer
it comes from the layer's own two passes on one row at a time. That is exact because outside training no layer lets
one row know of another, and it takes m such passes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import Protocol, Self

import numpy as np

from engine.layers import Layer, Slot
from engine.layers.dense import Dense
from engine.optimizers import BLOCK
from engine.parameters import Array, Layout, Shapes
from engine.plans import run
from engine.workspace import Batch

MAXIMUM_NUMBERS = 2**25
"""Of g_i in memory at once: 256 MiB in float64."""
EPSILON = 1e-5
"""Added to variances that are divided by, as in Cockpit."""


class LayerGradients(Protocol):
    """The g_i of one layer over m examples, by the names of its parameters."""

    shapes: Shapes
    """Of one g_i."""

    def squares(self) -> dict[str, Array]:
        """‖g_i‖² over each parameter: (m,)."""

    def products(self) -> Array:
        """g_i·g_j over all of the layer: (m, m)."""

    def against(self, other: Self) -> Array:
        """g_i·h_j over all of the layer, h_j being those of k other examples: (m, k)."""

    def along(self, direction: dict[str, Array]) -> Array:
        """g_i·d over all of the layer: (m,)."""

    def second_moments(self) -> dict[str, Array]:
        """(1/m)Σg_i², each of the parameter's shape, in arrays of the caller's own."""

    def each(self, name: str) -> Array:
        """g_i themselves: (m, *shape)."""


class DenseGradients:
    """W's g_i is a_iᵀ·dz_i, b's is dz_i."""

    def __init__(self, X: Array, dZ: Array, shapes: Shapes) -> None:
        self.X, self.dZ, self.shapes = X, dZ, shapes
        """(m, n_in), (m, n_out)."""
        self.W, *self.b = shapes

    def squares(self) -> dict[str, Array]:
        """‖a_i‖²‖dz_i‖² and ‖dz_i‖²."""
        dZ = _row_products(self.dZ, self.dZ)
        return {self.W: _row_products(self.X, self.X) * dZ, **dict.fromkeys(self.b, dZ)}

    def products(self) -> Array:
        return self.against(self)

    def against(self, other: Self) -> Array:
        """(a_i·a_j + 1)(dz_i·dz_j), without the 1 where there is no b."""
        found = self.X @ other.X.T
        if self.b:
            found += 1
        found *= self.dZ @ other.dZ.T
        return found

    def along(self, direction: dict[str, Array]) -> Array:
        """dz_i·(a_i·D + e) for a direction D of W and e of b."""
        moved: Array = self.X @ direction[self.W]
        for name in self.b:
            moved += direction[name]
        return _row_products(moved, self.dZ)

    def second_moments(self) -> dict[str, Array]:
        """(1/m)(A∘A)ᵀ(dZ∘dZ), and the mean of dZ∘dZ."""
        squares = np.square(self.dZ)
        squares /= len(squares)
        return {self.W: np.square(self.X).T @ squares, **{name: squares.sum(axis=0) for name in self.b}}

    def each(self, name: str) -> Array:
        return self.dZ if name in self.b else self.X[:, :, None] * self.dZ[:, None, :]


class RowGradients:
    """Those of any layer that learns, row by row."""

    def __init__(self, layer: Layer, slot: Slot, shapes: Shapes) -> None:
        self.layer, self.slot, self.shapes = layer, slot, shapes
        self.m, self.layout = len(slot.x), Layout(shapes)

    def squares(self) -> dict[str, Array]:
        return self._sums[0]

    def second_moments(self) -> dict[str, Array]:
        return self.layout.views(self._sums[1] / self.m)

    @cached_property
    def _sums(self) -> tuple[dict[str, Array], Array]:
        """‖g_i‖² by parameter, and the flat Σg_i²."""
        squares = {name: np.empty(self.m, self.slot.x.dtype) for name in self.shapes}
        total = np.zeros(self.layout.size, self.slot.x.dtype)
        for row, gradient in enumerate(self._rows()):
            square = np.square(gradient)
            total += square
            for name, place in self.layout.slices().items():
                squares[name][row] = square[place].sum()
        return squares, total

    def products(self) -> Array:
        """As many g_i as may be in memory are kept, and all that follow are multiplied with them."""
        found = np.empty((self.m, self.m), self.slot.x.dtype)
        for start, stop, kept in self._stacks():
            found[start:stop, start:stop] = kept @ kept.T
            for row, gradient in enumerate(self._rows(stop), start=stop):
                found[start:stop, row] = found[row, start:stop] = kept @ gradient
        return found

    def against(self, other: Self) -> Array:
        """The others' are kept, as many as may be in memory, and each of these is multiplied with them."""
        found = np.empty((self.m, other.m), self.slot.x.dtype)
        for start, stop, kept in other._stacks():
            for row, gradient in enumerate(self._rows()):
                found[row, start:stop] = kept @ gradient
        return found

    def along(self, direction: dict[str, Array]) -> Array:
        flat = np.concatenate([direction[name].ravel() for name in self.shapes])
        return np.array([gradient.dot(flat) for gradient in self._rows()])

    def each(self, name: str) -> Array:
        place, shape = self.layout.slices()[name], self.shapes[name]
        return np.stack([gradient[place].reshape(shape).copy() for gradient in self._rows()])

    def _stacks(self) -> Iterator[tuple[int, int, Array]]:
        """The flat g_i, as many as may be in memory at once, and from which row to which they are."""
        height = max(1, MAXIMUM_NUMBERS // self.layout.size)
        for start in range(0, self.m, height):
            stop = min(start + height, self.m)
            yield start, stop, np.stack([gradient.copy() for gradient in self._rows(start, stop)])

    def _rows(self, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """The flat g_i of rows from `start` on; the next one overwrites it."""
        gradient = np.zeros(self.layout.size, self.slot.x.dtype)
        one = self._one_row(gradient)
        plan = [*self.layer.forward(one), *self.layer.backward(one)]
        pairs = [(self.slot.x, one.x), (self.slot.dy, one.dy)]
        if self.slot.start is not None and one.start is not None:
            pairs.append((self.slot.start.y, one.start.y))
        for row in range(start, self.m if stop is None else stop):
            for source, to in pairs:
                np.copyto(to, source[row : row + 1])
            run(plan)
            yield gradient

    def _one_row(self, gradient: Array) -> Slot:
        slot, dtype = self.slot, self.slot.x.dtype
        letters = Layout(self.layer.parameters())
        scratch = {name: np.zeros((1, *shape), dtype) for name, shape in self.layer.scratch().items()}
        fixed = {name: np.zeros(shape, dtype) for name, shape in self.layer.fixed_scratch().items()}
        start = slot.start and replace(slot.start, y=np.empty_like(slot.start.y[:1]), dx=None)
        return replace(
            slot,
            x=np.empty_like(slot.x[:1]),
            y=np.empty_like(slot.y[:1]),
            dx=None,
            dy=np.empty_like(slot.dy[:1]),
            grads=letters.views(gradient),
            scratch=scratch | fixed,
            start=start,
        )


class ExampleGradients:
    """The g_i of everything a network learns. What is small is computed once; what is as large as they are, each time
    anew, as memory that nobody has used yet costs more than the sums that fill it."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.m = batch, batch.m
        self.network = batch.workspace.network
        self.layers = [_of_layer(batch, place) for place in self.network.learning]
        self.sum = self.network.views(batch.workspace.gradient)
        """Σg_i, by parameter."""

    @cached_property
    def mean_square(self) -> float:
        """‖ḡ‖²."""
        return sum(float(np.vdot(part, part)) for part in self.sum.values()) / self.m**2

    @cached_property
    def squares(self) -> dict[str, Array]:
        """‖g_i‖² over each parameter: (m,)."""
        return {name: found for layer in self.layers for name, found in layer.squares().items()}

    @cached_property
    def total_squares(self) -> Array:
        """‖g_i‖² over all: (m,)."""
        return self._summed(self.squares.values())

    @cached_property
    def products(self) -> Array:
        """The Gram matrix, g_i·g_j: (m, m)."""
        return self._summed((layer.products() for layer in self.layers), axes=2)

    @cached_property
    def onto_mean(self) -> Array:
        """g_i·ḡ: (m,)."""
        return self.along(self.sum) / self.m

    def along(self, direction: dict[str, Array]) -> Array:
        """g_i·d over all: (m,)."""
        return self._summed(layer.along(direction) for layer in self.layers)

    def second_moments(self) -> dict[str, Array]:
        """(1/m)Σg_i², by parameter."""
        return {name: found for layer in self.layers for name, found in layer.second_moments().items()}

    def variances(self) -> dict[str, Array]:
        """(1/m)Σ(g_i − ḡ)², by parameter, as (1/m)Σg_i² − ḡ²; never below 0, where rounding would put it."""
        found = self.second_moments()
        for moments, squares in self._stretches(found):
            np.subtract(moments, squares, out=moments)
            np.maximum(moments, 0, out=moments)
        return found

    def signals(self, *, factor: float = 1.0) -> dict[str, Array]:
        """ḡ²/(factor·variance + ε) of each element, by parameter."""
        found = self.variances()
        for variances, squares in self._stretches(found):
            np.multiply(variances, factor, out=variances)
            np.add(variances, EPSILON, out=variances)
            np.divide(squares, variances, out=variances)
        return found

    def _stretches(self, arrays: dict[str, Array]) -> Iterator[tuple[Array, Array]]:
        """Stretches of arrays of the parameters' shapes that fit the cache, each with ḡ² there."""
        for name, array in arrays.items():
            flat, total = array.reshape(-1), self.sum[name].reshape(-1)
            spare = np.empty(min(BLOCK, flat.size), flat.dtype)
            for start in range(0, flat.size, BLOCK):
                stretch = flat[start : start + BLOCK]
                squares = spare[: stretch.size]
                np.divide(total[start : start + BLOCK], self.m, out=squares)
                np.square(squares, out=squares)
                yield stretch, squares

    def _summed(self, parts: Iterable[Array], *, axes: int = 1) -> Array:
        """The sum of what each layer or parameter adds, of shape (m,) or (m, m)."""
        total = np.zeros((self.m,) * axes, self.batch.workspace.parameters.dtype)
        for part in parts:
            total += part
        return total

    def size(self, names: list[str]) -> int:
        """How many numbers the g_i over these parameters hold."""
        return self.m * sum(prod(self.network.shapes[name]) for name in names)

    def each(self, names: list[str]) -> dict[str, Array]:
        """g_i over these parameters: (m, *shape) each."""
        return {name: layer.each(name) for layer in self.layers for name in layer.shapes if name in names}


def _of_layer(batch: Batch, place: int) -> LayerGradients:
    network, slot = batch.workspace.network, batch.slots[place]
    layer, number = network.layers[place], network.numbers[place]
    shapes = {f"{letter}.{number}": shape for letter, shape in layer.parameters().items()}
    if isinstance(layer, Dense) and slot.x.ndim == 2:
        return DenseGradients(slot.x, slot.dy, shapes)
    return RowGradients(layer, slot, shapes)


def _row_products(first: Array, second: Array) -> Array:
    """The inner product of each row of one with that of the other: (m,)."""
    found: Array = np.vecdot(first, second)
    return found
