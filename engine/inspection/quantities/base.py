"""What a quantity is: a name, an equation, and a function of one pass that was kept whole."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from engine.errors import DataError, OutOfTime, SpecError
from engine.inspection.names import goes_by
from engine.inspection.quantities.gradients import ExampleGradients
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array
from engine.weights import relative_weights
from engine.workspace import Batch, Workspace


@dataclass(frozen=True)
class Options:
    """What some quantities want to know beside the batch."""

    seed: int = 0
    """Of what is drawn."""
    learning_rate: float | None = None
    after: Array | None = None
    """The flat parameters and statistics after the step."""
    l1: float | None = None
    l2: float | None = None
    with_l2: bool = False
    """Whether curvature is that of the loss with its penalty by l2."""
    ggn_split: Literal["auto", "Z", "A"] = "auto"
    """Up to where the generalised Gauss-Newton matrix takes the network as linear."""
    vector: Mapping[str, Any] | None = None
    """What a matrix is multiplied with: numbers by parameter, 0 where none are given; None draws it."""
    eigenvalues: int = 1
    """At each end."""
    products: int = 100
    """At most so many are taken to find eigenvalues."""
    tolerance: float = 1e-6
    """How large a residual beside the largest |eigenvalue| is small enough."""
    target: int | Literal["loss"] = "loss"
    """What is attributed to the inputs: one of the outputs, counted from 0, or each example's loss."""
    output: Literal["A", "Z"] = "A"
    """Whose numbers outputs are: A[L]'s or Z[L]'s."""
    baseline: Literal["zeros", "mean"] | Sequence[Any] = "zeros"
    """Where a path of inputs begins: at zeros, the mean of the batch's rows, or a row given."""
    rule: Literal["gauss_legendre", "midpoint", "converged"] = "gauss_legendre"
    """How an integral along that path is taken."""
    nodes: int = 50
    """So many gradients are taken for it; `converged` takes as many as it needs."""
    completeness: float = 1e-6
    """The residual at which it has converged, beside |F(x) − F(x′)| or 1, whichever is larger."""
    noise: float = 0.1
    """The standard deviation of what is added to inputs."""
    samples: int = 50
    """How often it is drawn."""


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
    asked: tuple[str, ...] = ()
    """The quantities asked for, such as variance or example_gradient.W.2; everything where none are named."""
    deadline: Callable[[], bool] = lambda: False
    """Whether the time for it is over."""

    @property
    def network(self) -> Network:
        """The network that was passed."""
        return self.batch.workspace.network

    @property
    def parameters(self) -> Array:
        """The flat vector it was passed with."""
        return self.batch.workspace.parameters

    @property
    def m(self) -> int:
        """How many examples there are."""
        return self.batch.m

    @property
    def losses(self) -> Array:
        """(m,): each example's loss, times its weight."""
        return self.batch.head.examples

    @cached_property
    def gradients(self) -> ExampleGradients:
        """The g_i of everything that is learned."""
        return ExampleGradients(self.batch)

    def wants(self, name: str) -> bool:
        """Whether a tensor was asked for: by its name, or by a part before a dot that names several."""
        return not self.asked or any(goes_by(name, asked) for asked in self.asked)

    @property
    def weights(self) -> Array | None:
        """(m,): how often each example's loss is taken, 1 on average; None where all count alike."""
        found = self.batch.workspace.weights
        return None if found is None else found[:, 0]

    def in_time(self) -> None:
        """Raise OutOfTime where the time is over; what takes long asks now and then."""
        if self.deadline():
            raise OutOfTime("the quantities took longer than allowed; ask for fewer, or send fewer rows")

    def precisely(self) -> "Pass":
        """The same in float64."""
        if self.parameters.dtype == np.float64:
            return self
        parameters = self.parameters.astype(np.float64)
        batch = run_pass(self.network, parameters, self.batch.X, self.batch.Y, self.weights)
        return Pass(batch, self.options, self.asked, self.deadline)

    def at(self, parameters: Array) -> "Pass":
        """The same examples passed with other parameters."""
        network, X, Y = self.network, self.batch.X, self.batch.Y
        return Pass(
            run_pass(network, parameters, X, Y, self.weights, input_gradient=False), self.options, (), self.deadline
        )

    def linears(self, quantity: str) -> list[Linear]:
        """The layers that learn, all dense ones on vectors. Raises SpecError naming one that is not."""
        found = []
        for place in self.network.learning:
            layer, slot, number = self.network.layers[place], self.batch.slots[place], self.network.numbers[place]
            if not isinstance(layer, Dense) or slot.x.ndim != 2 or number is None:
                raise refused(quantity, self.network, place)
            found.append(Linear(number, slot.x, slot.dy, slot.params["W"], slot.params.get("b")))
        return found


def run_pass(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    weights: Array | None,
    *,
    scale: float = 1.0,
    shortcut: bool = True,
    input_gradient: bool = True,
) -> Batch:
    """A batch with every boundary kept, after a pass of `scale` times each example's loss, times its weight."""
    workspace = Workspace(
        network, parameters, rows=len(X), shared=False, input_gradient=input_gradient, weighted=weights is not None
    )
    batch = workspace.cut(len(X))
    batch.X[...], batch.Y[...] = X, Y
    if workspace.weights is not None and weights is not None:
        workspace.weights[:, 0] = relative_weights(weights, len(X))
    batch.forward()
    batch.example_losses()
    batch.backward(scale=scale, shortcut=shortcut)
    return batch


@dataclass(frozen=True)
class Quantity:
    """An entry of the catalogue."""

    equation: str
    shape: str
    """Of what it gives, in the letters m, n_in, n_out, P."""
    cost: str
    """In units of one backward pass, in words."""
    backward_passes: float | Callable[[Network, Options], float]
    """The same as a number, rather too many than too few, for an estimate."""
    source: str
    """The paper or textbook of the formula."""
    of: Callable[[Pass], dict[str, Array]]
    """The tensors by name: the quantity's own, or `quantity.W.1` for what belongs to a parameter."""
    options: tuple[str, ...] = ()
    """Those it wants."""


def by_output(network: Network, options: Options) -> float:
    """What goes back once for each output costs, without dW."""
    return 1 + 0.4 * network.n_out


def scalar(value: float, passed: Pass) -> Array:
    """A number as the tensor it is answered as."""
    return np.asarray(value, passed.parameters.dtype)


def by_parameter(quantity: str, arrays: dict[str, Array]) -> dict[str, Array]:
    """`quantity.W.1` of W.1."""
    return {f"{quantity}.{name}": array for name, array in arrays.items()}


def several(passed: Pass, quantity: str) -> int:
    """m, for what compares examples. Raises DataError where there is only one."""
    if passed.m < 2:
        raise DataError("X", f"{quantity} compares examples: expected at least 2 rows, got 1", code="too_few_rows")
    return passed.m


def missing(quantity: str, option: str, expected: str) -> SpecError:
    """The error for an option that a quantity can't do without."""
    return SpecError(f"options.{option}", f"{quantity} wants {expected}, got none", code="missing_option")


def refused(quantity: str, network: Network, place: int) -> SpecError:
    """The error for a quantity that is not defined, or not yet derived, for the layer at `place`."""
    layer = network.layers[place]
    kind = layer.spec.model_fields["type"].default
    return SpecError(
        f"network.layers[{layer.path}]",
        f"{quantity} is not known for layers of type {kind} on inputs of shape {list(layer.input_shape)}",
        code="unknown_for_layer",
    )
