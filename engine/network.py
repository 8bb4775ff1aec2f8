"""A network: its layers in order, its loss, and the layout of its parameters. It holds no values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import SpecError
from engine.layers import ACTIVATIONS, Layer, expand
from engine.losses import LOSSES, Loss
from engine.parameters import Array, Layout, Shape, Shapes
from engine.randomness import generator
from engine.spec import DenseSpec, LayerSpec, LossName, OutputSpec, RunSpec
from engine.workspace import Workspace

EVALUATION_ROWS = 1024
"""Rows that go forward at once outside training. Fixed, because the way a batch is cut can change the last bit."""


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of rows whose targets are known."""

    loss: float
    """The mean of the examples' losses."""
    A: Array
    """(m, n_out): the outputs."""


@dataclass(frozen=True)
class Network:
    """The layers from input to output. Layers that learn are numbered from 1: W.1, b.1, W.2, …"""

    layers: tuple[Layer, ...]
    loss: Loss
    n_in: int
    spec_places: tuple[int, ...]
    """For each layer its item in the spec's list: a dense item stands for two layers, the sum and its activation."""

    @classmethod
    def build(cls, specs: Sequence[LayerSpec], *, n_in: int, loss: LossName) -> "Network":
        """A network of these layers, the last being the head, on `n_in` inputs. Raises SpecError without any."""
        if not specs:
            raise SpecError("network.layers", "expected at least one layer, the head, got none")
        layers: list[Layer] = []
        places: list[int] = []
        shape: Shape = (n_in,)
        for place, spec in enumerate(specs):
            for layer in expand(spec, shape):
                layers.append(layer)
                places.append(place)
                shape = layer.output_shape
        return cls(tuple(layers), LOSSES[loss](), n_in, tuple(places))

    @classmethod
    def of(cls, spec: RunSpec, *, n_in: int) -> "Network":
        """The network of a resolved run spec: its hidden layers, then the head the target decided."""
        output, loss = spec.network.output, spec.training.loss
        if not isinstance(output, OutputSpec) or output.units is None or loss == "auto":
            raise TypeError("expected a resolved spec")
        head = DenseSpec(units=output.units, activation=output.activation, init=output.init)
        return cls.build([*spec.network.layers, head], n_in=n_in, loss=loss)

    @cached_property
    def parameterized(self) -> tuple[int, ...]:
        """The places in `layers` of those that learn: layer number l is the (l − 1)th."""
        return tuple(place for place, layer in enumerate(self.layers) if layer.parameters())

    @cached_property
    def layout(self) -> Layout:
        """Where each parameter lies in the flat vector."""
        shapes: Shapes = {}
        for number, place in enumerate(self.parameterized, start=1):
            shapes |= {f"{letter}.{number}": shape for letter, shape in self.layers[place].parameters().items()}
        return Layout(shapes)

    @property
    def shapes(self) -> Shapes:
        """Every parameter's shape, in the order of the flat vector."""
        return self.layout.shapes

    @property
    def parameter_count(self) -> int:
        """How many numbers the network learns."""
        return self.layout.size

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers one row has at each boundary, the input first."""
        return (self.n_in, *(layer.output_shape[0] for layer in self.layers))

    @cached_property
    def boundary_names(self) -> tuple[str, ...]:
        """What stands at each boundary: A.0, then Z.l and A.l, or layers.<item>.y behind a layer of its own."""
        names = ["A.0"]
        for place, item in enumerate(self.spec_places):
            if place in self.parameterized:
                names.append(f"Z.{self.parameterized.index(place) + 1}")
            elif place and self.spec_places[place - 1] == item:
                names.append(f"A.{self.parameterized.index(place - 1) + 1}")
            else:
                names.append(f"layers.{item}.y")
        return tuple(names)

    @property
    def n_out(self) -> int:
        """How many outputs there are."""
        return self.widths[-1]

    @property
    def has_canonical_head(self) -> bool:
        """Whether the last layer is the activation behind which dZ[L] = A − Y."""
        return bool(self.layers) and type(self.layers[-1]) is ACTIVATIONS[self.loss.canonical]

    def initial_parameters(self, *, seed: int, dtype: npt.DTypeLike) -> Array:
        """The flat vector training starts from: each layer drawn from its own generator."""
        flat = np.zeros(self.layout.size, dtype)
        views = self.layout.views(flat)
        for number, place in enumerate(self.parameterized, start=1):
            layer = self.layers[place]
            params = {letter: views[f"{letter}.{number}"] for letter in layer.parameters()}
            layer.initialize(params, generator(seed, "initial_weights", layer=number))
        return flat

    def views(self, flat: Array) -> dict[str, Array]:
        """The named parameters as views into a flat vector."""
        return self.layout.views(flat)

    def flatten(self, named: Mapping[str, Any], *, dtype: npt.DTypeLike) -> Array:
        """A flat vector of named parameters. Raises SpecError for a missing, unknown or misshapen one."""
        return self.layout.flatten(named, dtype=dtype)

    def predict(self, parameters: Array, X: Array) -> Array:
        """A[L] (m, n_out) of the rows X (m, n_in), with dropout off."""
        A = np.empty((len(X), self.n_out), parameters.dtype)
        workspace = Workspace(self, parameters, rows=min(len(X), EVALUATION_ROWS), gradients=False)
        with np.errstate(all="ignore"):
            for start in range(0, len(X), EVALUATION_ROWS):
                batch = workspace.cut(min(EVALUATION_ROWS, len(X) - start))
                batch.X[...] = X[start : start + batch.m]
                A[start : start + batch.m] = batch.forward()
        return A

    def evaluate(self, parameters: Array, X: Array, Y: Array) -> Evaluation:
        """The mean loss and the outputs over rows X (m, n_in) with targets Y (m, n_out), m ≥ 1, with dropout off."""
        A = np.empty((len(X), self.n_out), parameters.dtype)
        workspace = Workspace(self, parameters, rows=min(len(X), EVALUATION_ROWS), gradients=False)
        total = 0.0
        with np.errstate(all="ignore"):
            for start in range(0, len(X), EVALUATION_ROWS):
                batch = workspace.cut(min(EVALUATION_ROWS, len(X) - start))
                batch.X[...], batch.Y[...] = X[start : start + batch.m], Y[start : start + batch.m]
                A[start : start + batch.m] = batch.forward()
                total += float(batch.example_losses().sum(dtype=np.float64))
        return Evaluation(total / len(X), A)
