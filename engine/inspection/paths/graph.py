"""The layered graph behind a dense layer: its units, those of every later layer, and what a nudge of one does to those
of the next."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np

from engine.errors import SpecError
from engine.inspection.addresses import join
from engine.inspection.names import Orientation, kind_of
from engine.layers import ACTIVATIONS, LAYERS, Activation, Layer, Slot
from engine.layers.activations.softmax import Softmax
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array
from engine.plans import run
from engine.workspace import Batch

UNCHANGED = (ACTIVATIONS["identity"], *(LAYERS[name] for name in ("dropout", "alpha_dropout", "gaussian_noise")))
"""Layers that do nothing outside training."""


@dataclass(frozen=True)
class Slope:
    """What a layer makes of a nudge, number by number."""

    place: int
    values: Array
    """(m, n)."""


@dataclass(frozen=True)
class Stage:
    """The edges from the units at one boundary to those at a later one: number by number, then all to all."""

    start: int
    """The boundary's place."""
    place: int
    """Of the dense layer or softmax that makes the end."""
    slopes: tuple[Slope, ...]
    matrix: Array
    """W (n, n') of a dense layer; A (m, n) of a softmax."""
    is_softmax: bool

    @property
    def end(self) -> int:
        """The later boundary's place."""
        return self.place + 1

    @property
    def width(self) -> int:
        """How many units there are at the end."""
        return int(self.matrix.shape[1])

    def inner(self, i: int) -> Array:
        """(n, n') of example i: W, or the Jacobian of softmax, A_k(δ − A_j)."""
        if not self.is_softmax:
            return self.matrix
        A = self.matrix[i]
        return np.diag(A) - np.outer(A, A)

    def slope(self, i: int) -> Array:
        """(n,) of example i: the product of the slopes."""
        found = np.ones(self.inner(i).shape[0])
        for slope in self.slopes:
            found = found * slope.values[i]
        return found

    def edges(self, i: int) -> Array:
        """(n, n') of example i: the derivative of each number at the end by each at the start."""
        return np.asarray(self.slope(i)[:, None] * self.inner(i))


@dataclass(frozen=True)
class Graph:
    """The layers behind the dense layer at `place`, up to Z[L], of a batch that was passed both ways."""

    batch: Batch
    place: int
    orientation: Orientation

    @property
    def network(self) -> Network:
        """The network that was passed."""
        return self.batch.workspace.network

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """From the layer's own output to Z[L], or to the last layer's output where that is no activation."""
        found, start, slopes = list[Stage](), self.place + 1, list[Slope]()
        for place in range(self.place + 1, last_boundary(self.network)):
            layer, slot = self.network.layers[place], self.batch.slots[place]
            if isinstance(layer, (Dense, Softmax)):
                is_softmax = isinstance(layer, Softmax)
                matrix = slot.y if is_softmax else slot.params["W"]
                found.append(Stage(start, place, tuple(slopes), matrix, is_softmax))
                start, slopes = place + 1, []
            elif not isinstance(layer, UNCHANGED):
                slopes.append(Slope(place, _slopes(layer, slot)))
        return tuple(found)

    @property
    def end(self) -> int:
        """The boundary's place at which every path ends."""
        return self.stages[-1].end if self.stages else self.place + 1

    @property
    def path_count(self) -> int:
        """How many paths lead from one unit of the layer to the outputs, in one example."""
        return prod(stage.width for stage in self.stages)

    @property
    def ends(self) -> Array:
        """(m, n): the derivative of each example's own loss by the numbers at the end."""
        return self.batch.workspace.derivatives[self.end]

    def unit(self, boundary: int, unit: int, example: int | None) -> str:
        """Z.2[5,3], or Z.2[:,3] for all examples."""
        name = self.network.boundary_names[boundary]
        if example is not None:
            return join(name, (example, unit), self.orientation)
        return f"{name}[:,{unit}]" if self.orientation == "rows" else f"{name}[{unit},:]"


def last_boundary(network: Network) -> int:
    """The place of Z[L], or of the last layer's output where that is no activation."""
    return len(network.layers) - isinstance(network.layers[-1], Activation)


def check_layers(network: Network, place: int) -> None:
    """Raise SpecError naming the first layer from `place` on, on the way to Z[L], that no path is known through."""
    for layer in network.layers[place : max(place + 1, last_boundary(network))]:
        is_known = isinstance(layer, (Dense, Activation, BatchNorm, *UNCHANGED))
        if not is_known or len(layer.input_shape) != 1:
            raise SpecError(
                f"network.layers[{layer.path}]",
                f"paths are not known through layers of type {kind_of(layer)} on inputs of shape "
                f"{list(layer.input_shape)}",
                code="unknown_for_layer",
            )


def _slopes(layer: Layer, slot: Slot) -> Array:
    """(m, n): the derivative of each output by its own input, which is dX where every dY is 1."""
    dx = np.empty_like(slot.x)
    grads = {letter: np.empty_like(array) for letter, array in slot.grads.items()}
    own = replace(slot, dx=dx, dy=np.ones_like(slot.y), grads=grads)
    run([*layer.forward(own), *layer.backward(own)])
    return dx
