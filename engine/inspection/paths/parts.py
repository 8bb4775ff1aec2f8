"""Parts of a gradient: what each path, example, unit or output adds to it."""

from dataclasses import dataclass
from math import fsum, prod

import numpy as np

from engine.errors import SpecError
from engine.inspection.addresses import Index, join
from engine.inspection.names import derivative_of
from engine.inspection.paths.best import Path, largest
from engine.inspection.paths.graph import Graph, Stage
from engine.layers import Activation
from engine.parameters import Array


@dataclass(frozen=True)
class Factor:
    """One factor of a path's contribution."""

    name: str
    """A.0[5,1], W.2[0,3], dZ.3[5,0], or g′(Z.1[5,0])."""
    value: float


@dataclass(frozen=True)
class Contribution:
    """What one part adds to a gradient."""

    value: float
    units: tuple[str, ...] = ()
    """The units it goes through, as Z.2[5,3] of example 5 and Z.2[:,3] of all."""
    example: int | None = None
    factors: tuple[Factor, ...] = ()
    """Of a path: their product, divided by m, is the value."""


@dataclass(frozen=True)
class Weight:
    """The weight, or bias, whose gradient is parted."""

    graph: Graph
    letter: str
    index: Index

    @property
    def unit(self) -> int:
        """The unit it belongs to."""
        return self.index[-1]

    @property
    def inputs(self) -> Array:
        """(m,): what a nudge of it moves the unit's Z by, a_k for a weight and 1 for a bias."""
        batch = self.graph.batch
        return batch.slots[self.graph.place].x[:, self.index[0]] if self.letter == "W" else np.ones(batch.m)

    def input_factors(self, i: int) -> tuple[Factor, ...]:
        """a_k as a factor; none for a bias."""
        if self.letter == "b":
            return ()
        name = self.graph.network.boundary_names[self.graph.place]
        address = join(name, (i, self.index[0]), self.graph.orientation)
        return (Factor(address, float(self.inputs[i])),)


def by_example(weight: Weight) -> list[Contribution]:
    """All paths of each example together: a_k·dZ/m."""
    graph = weight.graph
    boundary = graph.place + 1
    derivatives = graph.batch.workspace.derivatives[boundary][:, weight.unit]
    values = weight.inputs * derivatives / graph.batch.m
    return [
        Contribution(value, (graph.unit(boundary, weight.unit, i),), example=i)
        for i, value in enumerate(values.tolist())
    ]


def by_path(weight: Weight, most: int) -> list[Contribution]:
    """The largest paths, one example's each."""
    return [_contribution(weight, path) for path in largest(weight.graph, weight.unit, weight.inputs, most)]


def _contribution(weight: Weight, path: Path) -> Contribution:
    graph, (i, units) = weight.graph, path
    factors = list(weight.input_factors(i))
    unit, through = weight.unit, [graph.unit(graph.place + 1, weight.unit, i)]
    for stage, following in zip(graph.stages, units, strict=True):
        factors += _slopes(graph, stage, i, unit)
        factors.append(_edge(graph, stage, i, unit, following))
        through.append(graph.unit(stage.end, following, i))
        unit = following
    end = derivative_of(graph.network.boundary_names[graph.end])
    factors.append(Factor(join(end, (i, unit), graph.orientation), float(graph.ends[i, unit])))
    value = prod(each.value for each in factors) / graph.batch.m
    return Contribution(value, tuple(through), i, tuple(factors))


def _slopes(graph: Graph, stage: Stage, i: int, unit: int) -> list[Factor]:
    """g′ of each activation between a unit and the edge that leaves it."""
    return [Factor(_slope_name(graph, slope.place, (i, unit)), float(slope.values[i, unit])) for slope in stage.slopes]


def _slope_name(graph: Graph, place: int, index: Index) -> str:
    address = join(graph.network.boundary_names[place], index, graph.orientation)
    return f"g′({address})" if isinstance(graph.network.layers[place], Activation) else f"Y′({address})"


def _edge(graph: Graph, stage: Stage, i: int, unit: int, following: int) -> Factor:
    value = float(stage.inner(i)[unit, following])
    if not stage.is_softmax:
        name = f"W.{graph.network.numbers[stage.place]}"
        return Factor(join(name, (unit, following), graph.orientation), value)
    A, Z = (
        join(graph.network.boundary_names[place], (i, at), graph.orientation)
        for place, at in ((stage.end, following), (stage.place, unit))
    )
    return Factor(f"∂{A}/∂{Z}", value)


def by_unit(weight: Weight, boundary: int) -> list[Contribution]:
    """All paths through each unit at a later boundary together."""
    graph = weight.graph
    reach = np.array([_reach(graph, weight.unit, boundary, i) for i in range(graph.batch.m)])
    derivatives = graph.batch.workspace.derivatives[boundary]
    values = weight.inputs[:, None] * reach * derivatives
    return [
        Contribution(fsum(column) / graph.batch.m, (graph.unit(boundary, unit, None),))
        for unit, column in enumerate(values.T.tolist())
    ]


def _reach(graph: Graph, unit: int, boundary: int, i: int) -> Array:
    """(n,): the derivative of each number at a boundary by the unit's own, in example i."""
    found: Array = np.eye(graph.network.widths[graph.place + 1])[unit]
    for stage in graph.stages:
        if stage.end <= boundary:
            found = found @ stage.edges(i)
    return found


def boundary_of(graph: Graph, layer: int | None) -> int:
    """The boundary of a later layer's Z by its number, of the next one's where none is said.

    Raises SpecError for one that is no later dense layer, and where there is none.
    """
    later = {graph.network.numbers[stage.place]: stage.end for stage in graph.stages if not stage.is_softmax}
    if not later:
        raise SpecError("address", "expected a layer with a later one, as units are those of a later layer")
    if layer is None:
        return next(iter(later.values()))
    if layer not in later:
        raise SpecError(
            "layer",
            f"expected the number of a later dense layer, got {layer}",
            allowed=tuple(str(number) for number in later),
        )
    return later[layer]
