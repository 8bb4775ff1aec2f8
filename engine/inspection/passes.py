"""One forward and one backward pass, with everything kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import DataError
from engine.inspection.names import Orientation, check_orientation, derivative_of, quantity_names
from engine.inspection.quantities import QUANTITIES, Options, Pass
from engine.network import Network
from engine.parameters import Array
from engine.weights import check_weights, relative_weights
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
    """How dZ[L] was found: from Z alone, or from dA[L] through the activation."""
    tensors: dict[str, Array]
    """By name, each of the network's dtype."""


def inspect(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    quantities: Sequence[str],
    weights: Array | None = None,
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    head: Head = "auto",
    options: Options | None = None,
) -> Inspection:
    """Run X (m, n_in) and Y (m, n_out) forward and back with dropout off, and give the tensors asked for.

    `per_example` dZ and dA are the derivatives of each example's own loss, as in the textbook; `mean` ones are those
    of the mean loss, so they carry 1/m. dW and db are the mean loss's in both. With `columns` every matrix is
    transposed into the textbook's form, which networks with tensors of more axes don't have. dA[L] takes the
    components of A as independent. With weights w (m,) an example's own loss is taken w·m/Σw times, so that the mean
    loss is Σwl/Σw. Raises SpecError for unknown quantities and for columns that can't be, DataError for a shortcut
    where there is none, for inputs the first layer and targets the loss are not defined for, and for weights that
    can't be averaged with.
    """
    names = quantity_names(network, quantities, QUANTITIES)
    check_orientation(network, orientation)
    check_batch(network, X, Y, weights)
    check_head(network, head)
    m = len(X)
    scale = 1 / m if convention == "mean" else 1.0
    batch = run_pass(network, parameters, X, Y, weights, scale=scale, shortcut=head != "general")
    tensors = _tensors(batch, names, divisor=1 if convention == "mean" else m)
    further = [quantity for quantity in dict.fromkeys(quantities) if quantity in QUANTITIES]
    if further:
        passed = Pass(
            batch
            if convention == "per_example"
            else run_pass(network, parameters, X, Y, weights, scale=1.0, shortcut=head != "general"),
            options or Options(),
        )
        for quantity in further:
            tensors |= QUANTITIES[quantity].of(passed)
    losses = batch.head.examples
    return Inspection(
        loss=float(losses.mean(dtype=np.float64)),
        example_losses=losses,
        head="shortcut" if head != "general" and network.has_canonical_head else "general",
        tensors={name: array.T if orientation == "columns" else array for name, array in tensors.items()},
    )


def check_batch(network: Network, X: Array, Y: Array, weights: Array | None) -> None:
    """Raise DataError for inputs, targets or weights that a network's first layer, its loss or a mean can't work on."""
    network.layers[0].check(X)
    network.loss.check(Y)
    check_weights("weights", weights, len(X))


def check_head(network: Network, head: Head) -> None:
    """Raise DataError for a shortcut where there is none."""
    if head == "shortcut" and not network.has_canonical_head:
        raise DataError(
            "head",
            f"expected a last layer of {network.loss.canonical}, behind which dZ comes from Z alone; ask for general",
            code="no_shortcut",
        )


def run_pass(
    network: Network, parameters: Array, X: Array, Y: Array, weights: Array | None, *, scale: float, shortcut: bool
) -> Batch:
    """A batch with every boundary kept, after a pass of `scale` times each example's loss, times its weight."""
    workspace = Workspace(
        network, parameters, rows=len(X), shared=False, input_gradient=True, weighted=weights is not None
    )
    batch = workspace.cut(len(X))
    batch.X[...], batch.Y[...] = X, Y
    if workspace.weights is not None and weights is not None:
        workspace.weights[:, 0] = relative_weights(weights, len(X))
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
