"""The names of tensors: Z.2 is one, Z is every layer's.

`l` counts the layers that learn, from 1; A.0 is X. Layers without parameters are addressed by their place in the
spec's list: layers.3.y and layers.3.dy.
"""

import re
from collections.abc import Collection, Sequence
from typing import Literal

from engine.errors import SpecError
from engine.layers import Layer
from engine.network import Network
from engine.parameters import Shape

Orientation = Literal["rows", "columns"]

QUANTITIES = ("loss", "Z", "A", "dZ", "dA", "W", "b", "dW", "db")
"""What can be asked for without a number; `loss` is in every answer."""


def tensor_names(network: Network) -> tuple[str, ...]:
    """Every name: boundaries forward, boundaries backward, parameters, running statistics, gradients."""
    boundaries = network.boundary_names
    return (
        *boundaries,
        *(derivative_of(name) for name in boundaries),
        *network.layout.shapes,
        *(derivative_of(name) for name in network.shapes),
    )


def derivative_of(name: str) -> str:
    """dZ.2 of Z.2, layers.3.dy of layers.3.y."""
    return f"{name[:-1]}dy" if name.endswith(".y") else f"d{name}"


def kind_of(layer: Layer) -> str:
    """What a spec calls the layer; a part of a residual block is called by the block's name."""
    return str(layer.spec.model_fields["type"].default) if hasattr(layer, "spec") else "residual"


def quantity_names(network: Network, quantities: Sequence[str], catalogue: Collection[str] = ()) -> tuple[str, ...]:
    """The tensors of a pass that quantities ask for, each once, in the order asked; those of the catalogue are none.

    Raises SpecError for an unknown one.
    """
    known = tensor_names(network)
    found: dict[str, None] = {}
    for place, quantity in enumerate(quantities):
        if quantity == "loss" or is_catalogued(quantity, catalogue):
            continue
        names = [name for name in known if name == quantity or re.sub(r"\.\d+$", "", name) == quantity]
        if not names:
            raise unknown_quantity(place, quantity, (*QUANTITIES, *catalogue, *known)[:200])
        found |= dict.fromkeys(names)
    return tuple(found)


def is_catalogued(quantity: str, catalogue: Collection[str]) -> bool:
    """Whether it is one of the catalogue, or a part of one: variance, variance.W, variance.W.1."""
    return quantity.partition(".")[0] in catalogue


def goes_by(name: str, asked: str) -> bool:
    """Whether a tensor of the catalogue is asked for: variance.W.1 by itself, by variance.W and by variance."""
    return f"{name}.".startswith(f"{asked}.")


def unknown_quantity(place: int, quantity: str, allowed: tuple[str, ...]) -> SpecError:
    """The error for a name that nothing goes by."""
    detail = f"there is no {quantity[:40]!r} in this network"
    return SpecError(f"quantities[{place}]", detail, code="unknown_quantity", allowed=allowed)


def check_orientation(network: Network, orientation: Orientation) -> None:
    """Raise SpecError for columns in a network with tensors of more than two axes, which have no textbook form."""
    if orientation == "rows":
        return
    for name in tensor_names(network):
        axes = len(shape_of(network, name, 1))
        if axes > 2:
            raise SpecError(
                "orientation",
                f"expected rows: columns are the form of matrices, and {name} has {axes} axes",
                code="no_columns",
                allowed=("rows",),
            )


def shape_of(network: Network, name: str, m: int) -> Shape:
    """The shape of a named tensor for m examples, in rows."""
    plain = name[1:] if name.startswith("d") else name.replace(".dy", ".y")
    if plain in network.layout.shapes:
        return network.layout.shapes[plain]
    return (m, *network.boundary_shapes[network.boundary_names.index(plain)])
