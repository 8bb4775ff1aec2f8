"""One forward and one backward pass, with everything kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import DataError
from engine.inspection.names import (
    Orientation,
    check_orientation,
    derivative_of,
    goes_by,
    is_catalogued,
    quantity_names,
    unknown_quantity,
)
from engine.inspection.quantities import QUANTITIES, Options, Pass, run_pass
from engine.network import Network
from engine.parameters import Array
from engine.weights import check_weights
from engine.workspace import Batch

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
    deadline: Callable[[], bool] = lambda: False,
) -> Inspection:
    """Run X (m, n_in) and Y (m, n_out) forward and back with dropout off, and give the tensors asked for.

    `per_example` dZ and dA are the derivatives of each example's own loss, as in the textbook; `mean` ones are those
    of the mean loss, so they carry 1/m. dW and db are the mean loss's in both. With `columns` every matrix is
    transposed into the textbook's form, which networks with tensors of more axes don't have. dA[L] takes the
    components of A as independent. With weights w (m,) an example's own loss is taken w·m/Σw times, so that the mean
    loss is Σwl/Σw. What is asked of the catalogue is of each example's own loss in both conventions, and computed in
    the parameters' dtype, `options` saying what some of it wants to know. Raises SpecError for unknown quantities, for
    one that the network's layers or the options don't allow, and for columns that can't be, DataError for a shortcut
    where there is none, for inputs the first layer and targets the loss are not defined for, for weights that can't be
    averaged with, and for too few rows, and OutOfTime for what takes long, which asks `deadline` now and then.
    """
    names = quantity_names(network, quantities, QUANTITIES)
    check_orientation(network, orientation)
    check_batch(network, X, Y, weights)
    check_head(network, head)
    m = len(X)
    scale = 1 / m if convention == "mean" else 1.0
    batch = run_pass(network, parameters, X, Y, weights, scale=scale, shortcut=head != "general")
    tensors = _tensors(batch, names, divisor=1 if convention == "mean" else m)
    further = [(place, asked) for place, asked in enumerate(quantities) if is_catalogued(asked, QUANTITIES)]
    if further:
        own = batch if scale == 1 else run_pass(network, parameters, X, Y, weights, shortcut=head != "general")
        passed = Pass(own, options or Options(), tuple(asked for _, asked in further), deadline)
        tensors |= _computed(passed, further)
    losses = batch.head.examples
    return Inspection(
        loss=float(losses.mean(dtype=np.float64)),
        example_losses=losses,
        head="shortcut" if head != "general" and network.has_canonical_head else "general",
        tensors={name: array.T if orientation == "columns" else array for name, array in tensors.items()},
    )


def _computed(passed: Pass, quantities: Sequence[tuple[int, str]]) -> dict[str, Array]:
    """What was asked for of the catalogue, each with its place in the question."""
    found: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        for name in dict.fromkeys(asked.partition(".")[0] for _, asked in quantities):
            found |= QUANTITIES[name].of(passed)
    for place, asked in quantities:
        if not any(goes_by(name, asked) for name in found):
            raise unknown_quantity(place, asked, tuple(found))
    return {name: array for name, array in found.items() if passed.wants(name)}


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
