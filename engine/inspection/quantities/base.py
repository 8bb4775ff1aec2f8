"""What a quantity is: a name, an equation, and a function of one pass that was kept whole."""

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.errors import SpecError
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array
from engine.workspace import Batch


@dataclass(frozen=True)
class Options:
    """What some quantities want to know beside the batch."""

    seed: int = 0
    """Of what is drawn."""


@dataclass(frozen=True)
class Linear:
    """A dense layer in a pass over m examples."""

    number: int
    """The l of W.l."""
    X: Array
    """(m, n_in): A[l−1]."""
    dZ: Array
    """(m, n_out): of each example's own loss, times its weight."""
    W: Array
    b: Array | None

    @property
    def names(self) -> tuple[str, ...]:
        """W.l, and b.l where there is one."""
        return (f"W.{self.number}",) if self.b is None else (f"W.{self.number}", f"b.{self.number}")


@dataclass(frozen=True)
class Pass:
    """A forward and a backward pass over m examples with dropout off, every boundary kept.

    The derivatives are those of each example's own loss (no 1/m), taken as often as its relative weight says, so that
    the gradient of the mean loss is (1/m)Σg_i.
    """

    batch: Batch
    options: Options = field(default_factory=Options)

    @property
    def network(self) -> Network:
        """The network that was passed."""
        return self.batch.workspace.network

    @property
    def m(self) -> int:
        """How many examples there are."""
        return self.batch.m

    def linears(self, quantity: str) -> list[Linear]:
        """The layers that learn, all dense ones on vectors. Raises SpecError naming one that is not."""
        found = []
        for place in self.network.learning:
            layer, slot, number = self.network.layers[place], self.batch.slots[place], self.network.numbers[place]
            if not isinstance(layer, Dense) or slot.x.ndim != 2 or number is None:
                raise refused(quantity, self.network, place)
            found.append(Linear(number, slot.x, slot.dy, slot.params["W"], slot.params.get("b")))
        return found


@dataclass(frozen=True)
class Quantity:
    """An entry of the catalogue."""

    equation: str
    shape: str
    """Of what it gives, in the letters m, n_in, n_out, P."""
    cost: str
    """In units of one backward pass."""
    source: str
    """The paper or textbook of the formula."""
    of: Callable[[Pass], dict[str, Array]]
    """The tensors by name: the quantity's own, or `quantity.W.1` for what belongs to a parameter."""


def refused(quantity: str, network: Network, place: int) -> SpecError:
    """The error for a quantity that is not defined, or not yet derived, for the layer at `place`."""
    layer = network.layers[place]
    kind = layer.spec.model_fields["type"].default
    return SpecError(
        f"network.layers[{layer.path}]",
        f"{quantity} is not known for layers of type {kind} on inputs of shape {list(layer.input_shape)}",
        code="unknown_for_layer",
    )
