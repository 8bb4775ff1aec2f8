"""Divergence: where a training left the numbers one can learn from, by the name of the layer."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from engine.network import Network
from engine.parameters import Array
from engine.workspace import Batch

EXPLOSION = 1e5
"""A batch's loss this many times the first one, or weights with this root mean square, count as divergence."""

Found = tuple[str, str]
"""The layer, and what was found in it."""


def not_finite(network: Network, parts: Sequence[Batch]) -> Found | None:
    """The first layer, in the order of computation, whose numbers are not finite in a batch; None if all are."""
    for batch in parts:
        boundaries = [batch.X, *(slot.y for slot in batch.slots)]
        for name, array in zip(network.boundary_names, boundaries, strict=True):
            if not np.isfinite(array).all():
                return layer_of(network, name), f"{name} holds infinite or undefined numbers"
        for name, array in reversed(network.views(batch.workspace.gradient).items()):
            if not np.isfinite(array).all():
                return layer_of(network, name), f"d{name} holds infinite or undefined numbers"
    return None


def too_large(network: Network, learned: Array) -> Found | None:
    """The first layer whose weights no longer mean anything; None if all do."""
    for name, values in network.views(learned).items():
        flat = values.reshape(-1)
        size = sqrt(float(flat.dot(flat)) / flat.size)
        if not size < EXPLOSION:
            return layer_of(network, name), f"{name} has a root mean square of {size:.3g}"
    return None


def largest(network: Network, learned: Array, loss: float) -> Found:
    """The layer with the largest parameters, behind a batch's loss that exploded."""
    sizes = {name: float(np.abs(values).max()) for name, values in network.views(learned).items()}
    name = max(sizes, key=sizes.__getitem__)
    found = f"the batch's loss is {loss:.3g}, with values up to {sizes[name]:.3g} in {name}"
    return layer_of(network, name), found


def layer_of(network: Network, name: str) -> str:
    """The layer a tensor name belongs to: "dense 2" of W.2 or Z.2, "layers.3" of layers.3.y, "input" of A.0."""
    if name == "A.0":
        return "input"
    if name.endswith(".y"):
        return name.removesuffix(".y")
    number = int(name.rpartition(".")[2])
    layer = network.layers[network.numbers.index(number)]
    return f"{layer.spec.model_fields['type'].default} {number}"
