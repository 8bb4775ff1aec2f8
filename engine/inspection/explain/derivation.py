"""Explanations: the lines by which one number of a pass comes about, from the equation to the sum really performed."""

from dataclasses import dataclass

import numpy as np

from engine.errors import SpecError
from engine.inspection.addresses import Index, check_index, join, split
from engine.inspection.explain.backward import backward
from engine.inspection.explain.expressions import Number
from engine.inspection.explain.forward import forward
from engine.inspection.explain.head import example_loss, mean_loss
from engine.inspection.explain.page import Line, Page, Section
from engine.inspection.explain.parameters import gradient
from engine.inspection.names import Orientation, check_orientation, derivative_of, shape_of, tensor_names
from engine.inspection.passes import Convention, Head, check_batch, check_head
from engine.inspection.quantities import run_pass
from engine.network import Network
from engine.parameters import Array, Shape

TERMS = 8
"""Listed of a sum, unless told otherwise."""


@dataclass(frozen=True)
class Explanation:
    """One number, line by line; or many, in sections."""

    address: str
    orientation: Orientation
    convention: Convention
    sections: tuple[Section, ...]
    value: float | None = None
    """What the last line comes to."""
    computed: float | None = None
    """What the engine's own pass came to, whose sums are rounded at each step."""
    ulps: float | None = None
    """How many units in the last place lie between them."""


def explain(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    address: str,
    weights: Array | None = None,
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    head: Head = "auto",
    terms: int = TERMS,
) -> Explanation:
    """The lines of one number of a pass over X (m, n_in) and Y (m, n_out), dropout off, in float64.

    The address is that of a number of any tensor of an inspection, of `Y`, of an example's loss as `loss[3]`, or the
    mean `loss`. A sum lists `terms` of its terms and the subtotal of the others. Sums are those of the rounded
    products, rounded once, so that what is listed and the subtotal close to a unit in the last place.

    Raises SpecError for an address that is not there and for a layer whose kind is not written out, naming it,
    DataError as `inspect` does.
    """
    check_orientation(network, orientation)
    check_batch(network, X, Y, weights)
    check_head(network, head)
    name, index = _parsed(network, len(X), address, orientation)
    page = page_of(
        network, parameters, X, Y, weights, convention=convention, orientation=orientation, head=head, terms=terms
    )
    with np.errstate(all="ignore"):
        lines = mean_loss(page) if index is None else lines_of(page, name, index)
        computed = float(page.arrays["loss"].mean()) if index is None else page.number(name, index).value
    result = lines[-1].right
    value = result.value if isinstance(result, Number) else computed
    shown = address if index is None else join(name, index, orientation)
    return Explanation(
        shown, orientation, convention, (Section(shown, tuple(lines)),), value, computed, ulps(value, computed)
    )


def page_of(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    weights: Array | None,
    *,
    convention: Convention,
    orientation: Orientation,
    head: Head,
    terms: int,
) -> Page:
    """A page over a pass in float64."""
    X, Y, parameters = (array.astype(np.float64) for array in (X, Y, parameters))
    scale = 1 / len(X) if convention == "mean" else 1.0
    batch = run_pass(network, parameters, X, Y, weights, scale=scale, shortcut=head != "general")
    return Page(batch, convention, orientation, terms, is_general=head == "general")


def lines_of(page: Page, name: str, index: Index) -> list[Line]:
    """The lines of one number of the named tensor, by its index in rows."""
    network = page.network
    boundaries = network.boundary_names
    derivatives = [derivative_of(each) for each in boundaries]
    if name in boundaries[1:]:
        return forward(page, boundaries.index(name), index)
    if name in derivatives:
        return backward(page, derivatives.index(name), index)
    if name == "loss":
        return example_loss(page, index[0])
    if name in network.layout.shapes or name in ("A.0", "Y"):
        return [Line("result", page.symbol(name, *index), page.number(name, index), _origin(name))]
    return gradient(page, name, index)


def _origin(name: str) -> str:
    if name == "Y":
        return "a target, as it was given"
    if name == "A.0":
        return "an input, as it was given"
    return "a running statistic, as it is" if name.startswith("running") else "a parameter, as it is"


def _parsed(network: Network, m: int, address: str, orientation: Orientation) -> tuple[str, Index | None]:
    """A tensor's name and an index in rows; no index for the mean loss alone."""
    shapes: dict[str, Shape] = {name: shape_of(network, name, m) for name in tensor_names(network)}
    shapes |= {"Y": (m, network.n_out), "loss": (m,)}
    name, index = split(address)
    if name not in shapes or (index is None and name != "loss"):
        raise SpecError(
            "address",
            f"expected a number such as dW.1[0,3], Z.2[5,1] or loss[0], or loss, got {address[:60]!r}",
            code="unknown_address",
            allowed=tuple(shapes)[:200],
        )
    return name, None if index is None else check_index("address", name, index, shapes[name], orientation)


def ulps(a: float, b: float) -> float | None:
    """How many units in the last place of the larger lie between two numbers; None where one is not finite."""
    if not np.isfinite([a, b]).all():
        return None
    return 0.0 if a == b else float(abs(a - b) / np.spacing(max(abs(a), abs(b))))
