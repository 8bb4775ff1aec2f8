"""One forward and one backward pass, with everything kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import DataError
from engine.inspection.names import Orientation, check_orientation, derivative_of, quantity_names
from engine.network import Network
from engine.parameters import Array
from engine.workspace import Batch, Workspace

Convention = Literal["per_example", "mean"]
Head = Literal["auto", "shortcut", "general"]


@dataclass(frozen=True)
class Inspection:
    """What a pass over m examples showed."""

    loss: float
    """The mean of the examples' losses."""
    example_losses: Array
    """(m,)."""
    head: Literal["shortcut", "general"]
    """How dZ[L] was found: as A − Y, or from dA[L] through the activation."""
    tensors: dict[str, Array]
    """By name, each of the network's dtype."""


def inspect(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    quantities: Sequence[str],
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    head: Head = "auto",
) -> Inspection:
    """Run X (m, n_in) and Y (m, n_out) forward and back with dropout off, and give the tensors asked for.

    `per_example` dZ and dA are the derivatives of each example's own loss, as in the textbook; `mean` ones are those
    of the mean loss, so they carry 1/m. dW and db are the mean loss's in both. With `columns` every matrix is
    transposed into the textbook's form, which networks with tensors of more axes don't have. dA[L] takes the
    components of A as independent. Raises SpecError for unknown quantities and for columns that can't
    be, DataError for a shortcut where there is none and for targets the loss is not defined for.
    """
    names = quantity_names(network, quantities)
    check_orientation(network, orientation)
    network.loss.check(Y)
    if head == "shortcut" and not network.has_canonical_head:
        raise DataError(
            "head",
            f"expected a last layer of {network.loss.canonical}, behind which dZ = A − Y; ask for general",
            code="no_shortcut",
        )
    m = len(X)
    batch = _pass(network, parameters, X, Y, scale=1 / m if convention == "mean" else 1.0, shortcut=head != "general")
    tensors = _tensors(batch, names, divisor=1 if convention == "mean" else m)
    losses = batch.head.examples
    return Inspection(
        loss=float(losses.mean(dtype=np.float64)),
        example_losses=losses,
        head="shortcut" if head != "general" and network.has_canonical_head else "general",
        tensors={name: array.T if orientation == "columns" else array for name, array in tensors.items()},
    )


def _pass(network: Network, parameters: Array, X: Array, Y: Array, *, scale: float, shortcut: bool) -> Batch:
    workspace = Workspace(network, parameters, rows=len(X), shared=False, input_gradient=True)
    batch = workspace.cut(len(X))
    batch.X[...], batch.Y[...] = X, Y
    with np.errstate(all="ignore"):
        batch.forward()
        batch.example_losses()
        batch.backward(scale=scale, shortcut=shortcut)
    return batch


def _tensors(batch: Batch, names: Sequence[str], *, divisor: int) -> dict[str, Array]:
    workspace = batch.workspace
    network = workspace.network
    boundaries = network.boundary_names
    found = dict(zip(boundaries, workspace.outputs, strict=True))
    found |= {derivative_of(name): array for name, array in zip(boundaries, workspace.derivatives, strict=True)}
    found |= network.views(workspace.parameters)
    gradient = workspace.gradient / divisor
    found |= {derivative_of(name): array for name, array in network.views(gradient).items()}
    return {name: found[name] for name in names}
