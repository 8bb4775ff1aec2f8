"""The largest paths: k best by dynamic programming, in O(k·Σ n·n') for an example."""

from collections.abc import Iterator

import numpy as np

from engine.inspection.paths.graph import Graph
from engine.parameters import Array

Path = tuple[int, tuple[int, ...]]
"""An example, and a unit at the end of every stage."""


def largest(graph: Graph, unit: int, weights: Array, most: int) -> list[Path]:
    """The paths from a unit whose products, times the example's own of `weights` (m,), are largest by size.

    They come from the examples whose single largest paths are largest: no other can hold one of the k best.
    """
    single = np.abs(weights) * _single(graph, unit)
    examples = np.argsort(-single, kind="stable")[:most]
    found = [
        (abs(weights[i]) * size, int(i), units) for i in examples.tolist() for size, units in _of(graph, unit, i, most)
    ]
    found.sort(key=lambda path: -path[0])
    return [(i, units) for _, i, units in found[:most]]


def _single(graph: Graph, unit: int) -> Array:
    """(m,): the size of each example's largest path from the unit."""
    found = np.empty(graph.batch.m)
    for i in range(graph.batch.m):
        size = np.abs(graph.ends[i])
        for stage in reversed(graph.stages):
            size = (np.abs(stage.edges(i)) * size).max(axis=1)
        found[i] = size[unit]
    return found


def _of(graph: Graph, unit: int, i: int, most: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    """The largest paths of one example, the largest first: their sizes, and their units behind the first.

    From the end on, each unit keeps its `most` largest ways to go on: by which unit of the next stage, and by which of
    that one's ways.
    """
    sizes = np.abs(graph.ends[i])[:, None]
    ways = []
    for stage in reversed(graph.stages):
        candidates = (np.abs(stage.edges(i))[:, :, None] * sizes).reshape(len(stage.inner(i)), -1)
        kept = np.argsort(-candidates, axis=1, kind="stable")[:, :most]
        ways.append((kept, sizes.shape[1]))
        sizes = np.take_along_axis(candidates, kept, axis=1)
    for rank in range(sizes.shape[1]):
        units, now, place = [], unit, rank
        for kept, count in reversed(ways):
            now, place = divmod(int(kept[now, place]), count)
            units.append(now)
        yield float(sizes[unit, rank]), tuple(units)
