"""Paths: one weight's gradient as the sum of all ways in which a nudge of it reaches the loss.

dW[l][k,j] = (1/m) Σ_i a_k Σ over paths j → j′ → … → an output, of g′·W·g′·…·dZ[L]: the chain rule multiplied out. There
are as many paths as the product of the later layers' widths. The largest are found without looking at all of them: the
k largest from a unit are among the k largest from its successors, one edge longer (k best paths through a layered
graph by dynamic programming; Bellman & Kalaba 1960, On kth best policies).
"""

from dataclasses import dataclass
from math import fsum
from typing import Literal

import numpy as np

from engine.errors import SpecError
from engine.inspection.addresses import Index, check_index, join, split
from engine.inspection.names import Orientation, check_orientation
from engine.inspection.passes import Head, check_batch, check_head
from engine.inspection.paths.graph import Graph, check_layers
from engine.inspection.paths.parts import Contribution, Factor, Weight, boundary_of, by_example, by_path, by_unit
from engine.inspection.quantities import run_pass
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array

__all__ = ["MOST", "Contribution", "Factor", "Group", "Paths", "paths"]

Group = Literal["path", "example", "unit", "output"]
MOST = 10
"""Parts listed, unless told otherwise."""


@dataclass(frozen=True)
class Paths:
    """A gradient in parts."""

    address: str
    group: Group
    gradient: float
    """As backpropagation gave it."""
    count: int
    """How many parts there are."""
    sum: float
    """Of all of them, rounded once."""
    contributions: tuple[Contribution, ...]
    """The largest, by size."""

    @property
    def shown(self) -> float:
        """The sum of those listed."""
        return fsum(each.value for each in self.contributions)

    @property
    def residual(self) -> float:
        """The sum of all others."""
        return self.sum - self.shown


def paths(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    address: str,
    group: Group = "path",
    most: int = MOST,
    layer: int | None = None,
    weights: Array | None = None,
    orientation: Orientation = "rows",
    head: Head = "auto",
) -> Paths:
    """The largest parts of the gradient at an address such as dW.1[0,3] or db.1[3], dropout off, in float64.

    A `path` is one example's way from unit to unit to an output; `example` takes all ways of one together, `unit` all
    through one unit of a later layer, the next one unless `layer` says its number, `output` all to one output. A hidden
    softmax is gone through by its Jacobian, from each of its Z to each of its A.

    Raises SpecError for an address that is no dense layer's gradient, for a later layer whose kind no path is known
    through, naming it, and for a `layer` that is no later one; DataError as `inspect` does.
    """
    check_orientation(network, orientation)
    check_batch(network, X, Y, weights)
    check_head(network, head)
    place, letter, index = _parsed(network, address, orientation)
    check_layers(network, place)
    X, Y, parameters = (array.astype(np.float64) for array in (X, Y, parameters))
    batch = run_pass(network, parameters, X, Y, weights, scale=1.0, shortcut=head != "general")
    weight = Weight(Graph(batch, place, orientation), letter, index)
    name = f"{letter}.{network.numbers[place]}"
    with np.errstate(all="ignore"):
        parts, count, whole = _parted(weight, group, most, layer)
    parts.sort(key=lambda part: -abs(part.value))
    return Paths(
        address=join(f"d{name}", index, orientation),
        group=group,
        gradient=float(network.views(batch.workspace.gradient)[name][index]) / batch.m,
        count=count,
        sum=whole,
        contributions=tuple(part for part in parts[:most] if part.value),
    )


def _parted(weight: Weight, group: Group, most: int, layer: int | None) -> tuple[list[Contribution], int, float]:
    """The parts, or the largest where they are paths; how many there are, and the sum of all."""
    graph = weight.graph
    if group == "path":
        whole = fsum(each.value for each in by_example(weight))
        return by_path(weight, most), graph.path_count * graph.batch.m, whole
    if group == "example":
        parts = by_example(weight)
    else:
        parts = by_unit(weight, graph.end if group == "output" else boundary_of(graph, layer))
    return parts, len(parts), fsum(part.value for part in parts)


def _parsed(network: Network, address: str, orientation: Orientation) -> tuple[int, str, Index]:
    """The place of a dense layer, W or b, and an index in rows."""
    dense = {
        f"d{letter}.{network.numbers[place]}": (place, letter)
        for place in network.learning
        if isinstance(network.layers[place], Dense)
        for letter in network.layers[place].parameters()
    }
    name, index = split(address)
    if name not in dense or index is None:
        raise SpecError(
            "address",
            f"expected the gradient of one weight of a dense layer, such as dW.1[0,3], got {address[:60]!r}",
            code="unknown_address",
            allowed=tuple(dense),
        )
    place, letter = dense[name]
    return place, letter, check_index("address", name, index, network.layers[place].parameters()[letter], orientation)
