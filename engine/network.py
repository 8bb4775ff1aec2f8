"""A network: its layers in order, its loss, and the layout of its parameters. It holds no values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import SpecError
from engine.layers import ACTIVATIONS, Activation, DenseSpec, Layer, LayerSpec, stack
from engine.losses import LOSSES, Loss, LossSpec
from engine.parameters import Array, Layout, Shape, Shapes
from engine.randomness import generator
from engine.spec import InputSpec, OutputSpec, RunSpec
from engine.weights import relative_weights
from engine.workspace import Workspace

EVALUATION_ROWS = 1024
"""At most so many rows go forward at once outside training."""
EVALUATION_NUMBERS = 2**24
"""About how many numbers they may fill."""


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of rows whose targets are known."""

    loss: float
    """The mean of the examples' losses, weighted if the examples are."""
    A: Array
    """(m, n_out): the outputs."""
    losses: Array
    """(m,): each example's own, not weighted."""


@dataclass(frozen=True)
class Network:
    """The layers from input to output. Layers that learn are numbered from 1: W.1, b.1, W.2, …"""

    layers: tuple[Layer, ...]
    loss: Loss
    input_shape: Shape
    """Of one row."""

    @classmethod
    def build(cls, specs: Sequence[LayerSpec], *, input_shape: Shape, loss: LossSpec) -> "Network":
        """A network of these layers, the last being the head, on rows of this shape.

        Raises SpecError without any layer, for one that can't work on what the layer before gives, and for a head
        whose outputs are not one vector for each row.
        """
        if not specs:
            raise SpecError("network.layers", "expected at least one layer, the head, got none")
        layers = tuple(stack(specs, input_shape))
        if len(layers[-1].output_shape) != 1:
            raise SpecError(
                f"network.layers[{len(specs) - 1}]",
                f"expected a head that gives one vector a row, got outputs of shape {list(layers[-1].output_shape)}; "
                "flatten or pool before it",
                code="impossible_head",
            )
        return cls(layers, LOSSES[loss.type](loss), input_shape)

    @classmethod
    def of(cls, spec: RunSpec, *, n_in: int) -> "Network":
        """The network of a resolved run spec: its hidden layers, then the head the target decided.

        Raises SpecError for an input shape that does not hold the n_in encoded features, beside what `build` raises.
        """
        output, loss = spec.network.output, spec.training.loss
        if not isinstance(output, OutputSpec) or output.units is None:
            raise TypeError("expected a resolved spec")
        head = DenseSpec(units=output.units, activation=output.activation, init=output.init)
        shape = input_shape(spec.network.input, n_in)
        return cls.build([*spec.network.layers, head], input_shape=shape, loss=loss)

    @cached_property
    def numbers(self) -> tuple[int | None, ...]:
        """For each place in `layers` the number l of what it learns, counted from 1; None where it learns nothing.

        Running statistics count as learned here. A dense layer's own activation shares its number.
        """
        found: list[int | None] = []
        count = 0
        for place, layer in enumerate(self.layers):
            if self._is_own_activation(place):
                found.append(found[-1])
            elif layer.parameters() or layer.statistics():
                count += 1
                found.append(count)
            else:
                found.append(None)
        return tuple(found)

    def _is_own_activation(self, place: int) -> bool:
        """Whether the layer at `place` is the activation of the same item of the spec as the layer before it."""
        layer, before = self.layers[place], self.layers[place - 1]
        return place > 0 and isinstance(layer, Activation) and layer.path == before.path and bool(before.parameters())

    @cached_property
    def learning(self) -> tuple[int, ...]:
        """The places in `layers` of those that learn."""
        return tuple(place for place, layer in enumerate(self.layers) if layer.parameters())

    @cached_property
    def shapes(self) -> Shapes:
        """The shape of everything learned, in the order of the flat vector."""
        return {
            f"{letter}.{self.numbers[place]}": shape
            for place in self.learning
            for letter, shape in self.layers[place].parameters().items()
        }

    @cached_property
    def layout(self) -> Layout:
        """Where everything lies in the flat vector: what is learned, then the running statistics."""
        statistics = {
            f"{name}.{self.numbers[place]}": shape
            for place, layer in enumerate(self.layers)
            for name, shape in layer.statistics().items()
        }
        return Layout({**self.shapes, **statistics})

    @cached_property
    def parameter_count(self) -> int:
        """How many numbers the network learns: so many stand at the start of the flat vector."""
        return Layout(self.shapes).size

    @property
    def n_in(self) -> int:
        """How many inputs one row has."""
        return prod(self.input_shape)

    @property
    def boundary_shapes(self) -> tuple[Shape, ...]:
        """The shape of one row at each boundary, the input first."""
        return (self.input_shape, *(layer.output_shape for layer in self.layers))

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers one row has at each boundary, the input first."""
        return tuple(prod(shape) for shape in self.boundary_shapes)

    @cached_property
    def boundary_names(self) -> tuple[str, ...]:
        """What stands at each boundary: A.0, then Z.l and A.l, or layers.<item>.y behind a layer without parameters."""
        names = ["A.0"]
        for place, (layer, number) in enumerate(zip(self.layers, self.numbers, strict=True)):
            if number is None:
                names.append(f"layers.{layer.path}.y")
            elif place + 1 < len(self.layers) and self._is_own_activation(place + 1):
                names.append(f"Z.{number}")
            else:
                names.append(f"A.{number}")
        return tuple(names)

    @property
    def scratch_width(self) -> int:
        """How many numbers one row needs beside the boundaries."""
        return sum(prod(shape) for layer in self.layers for shape in layer.scratch().values())

    @property
    def fixed_scratch_size(self) -> int:
        """How many numbers a workspace needs beside those that belong to a row."""
        return sum(prod(shape) for layer in self.layers for shape in layer.fixed_scratch().values())

    @property
    def evaluation_rows(self) -> int:
        """How many rows go forward at once outside training.

        Fixed for a network, because the way a batch is cut can change the last bit.
        """
        return max(1, min(EVALUATION_ROWS, EVALUATION_NUMBERS // (sum(self.widths) + self.scratch_width)))

    @property
    def products(self) -> int:
        """How many products with what is learned one row takes: a layer works along the last axis of its input."""
        return sum(
            prod(shape) * prod(layer.input_shape[:-1]) for layer in self.layers for shape in layer.parameters().values()
        )

    @property
    def n_out(self) -> int:
        """How many outputs there are."""
        return self.widths[-1]

    @property
    def has_canonical_head(self) -> bool:
        """Whether the last layer is the activation behind which dZ[L] = A − Y."""
        return type(self.layers[-1]) is ACTIVATIONS[self.loss.canonical]

    @property
    def is_random(self) -> bool:
        """Whether a training pass draws random numbers."""
        return any(layer.is_random for layer in self.layers)

    def initial_parameters(self, *, seed: int, dtype: npt.DTypeLike) -> Array:
        """The flat vector training starts from: each layer drawn from its own generator."""
        flat = np.zeros(self.layout.size, dtype)
        for place, values in enumerate(self.by_layer(flat)):
            self.layers[place].initialize(values, generator(seed, "initial_weights", layer=self.numbers[place] or 0))
        return flat

    def by_layer(self, flat: Array) -> list[dict[str, Array]]:
        """Views into a flat vector for each place in `layers`, by letter: what is learned, then the statistics.

        A vector that holds no statistics, such as a gradient, gives none.
        """
        views = self.views(flat)
        return [
            {
                letter: views[f"{letter}.{number}"]
                for letter in (*layer.parameters(), *layer.statistics())
                if f"{letter}.{number}" in views
            }
            for layer, number in zip(self.layers, self.numbers, strict=True)
        ]

    def views(self, flat: Array) -> dict[str, Array]:
        """The named parameters and statistics as views into a flat vector; of a gradient, what is learned."""
        layout = self.layout if flat.size == self.layout.size else Layout(self.shapes)
        return layout.views(flat)

    def flatten(self, named: Mapping[str, Any], *, dtype: npt.DTypeLike) -> Array:
        """A flat vector of named parameters. Raises SpecError for a missing, unknown or misshapen one."""
        return self.layout.flatten(named, dtype=dtype)

    def predict(self, parameters: Array, X: Array) -> Array:
        """A[L] (m, n_out) of the rows X (m, n_in), with dropout off."""
        return Evaluator(self, parameters, rows=len(X)).predict(X)

    def evaluate(self, parameters: Array, X: Array, Y: Array, weights: Array | None = None) -> Evaluation:
        """The mean loss and the outputs over rows X (m, n_in) with targets Y (m, n_out), m ≥ 1, with dropout off.

        With weights (m,) the mean is Σwl/Σw.
        """
        return Evaluator(self, parameters, rows=len(X)).evaluate(X, Y, weights)


class Evaluator:
    """A network with the arrays to look forward through it again and again, with what `parameters` then hold."""

    def __init__(self, network: Network, parameters: Array, *, rows: int) -> None:
        self.workspace = Workspace(network, parameters, rows=min(rows, network.evaluation_rows), gradients=False)

    def predict(self, X: Array) -> Array:
        """A[L] (m, n_out) of the rows X (m, n_in), with dropout off."""
        A = self._outputs(X)
        for part in self._parts(len(X)):
            batch = self.workspace.cut(part.stop - part.start)
            batch.X[...] = X[part]
            A[part] = batch.forward()
        return A

    def evaluate(self, X: Array, Y: Array, weights: Array | None = None) -> Evaluation:
        """The mean loss and the outputs over rows X (m, n_in) with targets Y (m, n_out), m ≥ 1, with dropout off.

        With weights (m,) the mean is Σwl/Σw.
        """
        A, all_losses, total = self._outputs(X), np.empty(len(X), self.workspace.parameters.dtype), 0.0
        shares = None if weights is None else relative_weights(weights, len(X)).astype(np.float64)
        for part in self._parts(len(X)):
            batch = self.workspace.cut(part.stop - part.start)
            batch.X[...], batch.Y[...] = X[part], Y[part]
            A[part] = batch.forward()
            all_losses[part] = losses = batch.example_losses()
            total += float(losses.sum(dtype=np.float64) if shares is None else losses @ shares[part])
        return Evaluation(total / len(X), A, all_losses)

    def _outputs(self, X: Array) -> Array:
        return np.empty((len(X), self.workspace.network.n_out), self.workspace.parameters.dtype)

    def _parts(self, m: int) -> list[slice]:
        rows = self.workspace.network.evaluation_rows
        return [slice(start, min(start + rows, m)) for start in range(0, m, rows)]


def input_shape(spec: InputSpec | None, n_in: int) -> Shape:
    """The shape of one row of n_in numbers. Raises SpecError where the spec's holds more or fewer."""
    if spec is None:
        return (n_in,)
    if prod(spec.shape) != n_in:
        raise SpecError(
            "network.input.shape",
            f"expected a shape that holds the {n_in} numbers of a row, got {list(spec.shape)}, which holds "
            f"{prod(spec.shape)}",
            code="wrong_shape",
        )
    return spec.shape
