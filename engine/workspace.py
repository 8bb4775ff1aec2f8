"""Every array of a batch: training reuses one workspace for all its steps, inspection makes a fresh one and reads it.

In a shared workspace neighbouring layers share arrays wherever no backward pass misses what is overwritten; in an
unshared one every boundary keeps its own Z, A, dZ and dA. The layers do the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from engine.layers import Slot
from engine.losses import Head
from engine.parameters import Array, Shape
from engine.plans import Call, Plan, call, run
from engine.randomness import generator

if TYPE_CHECKING:
    from engine.network import Network

NOTHING = np.empty((0,))


class Workspace:
    """The arrays for batches of up to `rows` rows through one network.

    `parameters` and `gradient` are flat. Without `gradients` the workspace only looks forward and `gradient` is empty.
    Without `parameter_gradients` layers leave out the gradients by their parameters where they can.
    With `training` dropout is on, and `at` tells for which step. `input_gradient` asks for dA[0] as well.

    With `weighted` each example's loss is multiplied with its own of `weights`, which the caller fills.

    `batches` of them may be gathered at once: they have inputs, targets and outputs of their own, so that these can be
    filled and their losses computed together; everything between is used by one after the other.
    """

    def __init__(
        self,
        network: Network,
        parameters: Array,
        *,
        rows: int,
        batches: int = 1,
        gradients: bool = True,
        parameter_gradients: bool = True,
        shared: bool = True,
        input_gradient: bool = False,
        training: bool = False,
        weighted: bool = False,
    ) -> None:
        self.network = network
        self.parameters = parameters
        self.gradient = np.zeros(network.parameter_count if gradients else 0, parameters.dtype)
        self.rows, self.batches, self.shared, self.training = rows, batches, shared, training
        self.lowest = 0 if input_gradient else min(network.learning, default=len(network.layers))
        """The place of the first layer whose backward pass runs."""
        self.params = network.by_layer(parameters)
        self.grads = network.by_layer(self.gradient) if gradients else [{} for _ in network.layers]
        for place, layer in enumerate(network.layers):
            if layer.can_skip_gradients and not parameter_gradients:
                self.grads[place] = {}
        self.outputs = self._outputs()
        self.derivatives = self._derivatives(input_gradient) if gradients else [NOTHING] * len(self.outputs)
        self.scratch = [
            {name: self._array(shape) for name, shape in layer.scratch().items()} for layer in network.layers
        ]
        self.fixed_scratch = [
            {name: np.zeros(shape, parameters.dtype) for name, shape in layer.fixed_scratch().items()}
            for layer in network.layers
        ]
        width = (network.n_out,)
        self.X = self.outputs[0].reshape(rows * batches, network.n_in)
        self.Y, self.product = self._array(width, batches), self._array(width, batches)
        self.spare = self._array(width, batches)
        self.examples, self.row = self._array((), batches), self._array((1,), batches)
        self.weights = self._array((1,), batches) if weighted else None
        self._batches: dict[tuple[int, int], Batch] = {}
        self._losses: dict[int, list[Call]] = {}
        self.at(seed=0, epoch=0, step=0)

    def cut(self, m: int, start: int = 0) -> Batch:
        """A batch of m rows, made once for each: its inputs and outputs begin at row `start` of all batches'."""
        if (m, start) not in self._batches:
            self._batches[m, start] = Batch(self, m, start)
        return self._batches[m, start]

    def example_losses(self, rows: int) -> Array:
        """Each row's own loss, of the first `rows` of all batches together, after their forward passes."""
        if rows not in self._losses:
            self._losses[rows] = loss_plan(self.network, self.head(slice(0, rows)))
        run(self._losses[rows])
        return self.examples[:rows]

    def head(self, place: slice, *, dZ: Array = NOTHING, dA: Array = NOTHING) -> Head:
        """What the loss works on, for some rows of all batches together."""
        return Head(
            Z=self.outputs[-2][place],
            A=self.outputs[-1][place],
            Y=self.Y[place],
            dZ=dZ,
            dA=dA,
            examples=self.examples[place],
            product=self.product[place],
            spare=self.spare[place],
            row=self.row[place],
            weights=None if self.weights is None else self.weights[place],
        )

    def at(self, *, seed: int, epoch: int, step: int, shard: int = 0) -> None:
        """Say which step comes next: its dropout masks follow from that alone."""
        self._position = (seed, epoch, step, shard)

    def draw(self, place: int) -> np.random.Generator:
        """The generator of the layer at this place, for the step that `at` told."""
        seed, epoch, step, shard = self._position
        return generator(seed, "dropout", epoch=epoch, step=step, layer=place, shard=shard)

    def _array(self, shape: Shape, batches: int = 1) -> Array:
        return np.zeros((batches * self.rows, *shape), self.parameters.dtype)

    def _outputs(self) -> list[Array]:
        """A[0], then every layer's output: its input's array where the layer may overwrite that.

        What the loss reads, and the input, are long enough for all batches.
        """
        shapes = self.network.boundary_shapes
        owners = [0]
        for place, layer in enumerate(self.network.layers):
            overwrites = self.shared and layer.works_in_place and place > 0 and not self._is_read_later(place)
            owners.append(owners[-1] if overwrites else place + 1)
        long = {owners[0], owners[-2], owners[-1]}
        arrays = {owner: self._array(shapes[owner], self.batches if owner in long else 1) for owner in owners}
        return [arrays[owner] for owner in owners]

    def _is_read_later(self, place: int) -> bool:
        """Whether the input of the layer at `place` is read once the layer has run: by a backward pass or the loss."""
        layers = self.network.layers
        if place == len(layers) - 1 and self.network.has_canonical_head:
            return True
        return "x" in layers[place].backward_reads or "y" in layers[place - 1].backward_reads

    def _derivatives(self, input_gradient: bool) -> list[Array]:
        """dA[0], then the derivative by every layer's output. Empty where no backward pass needs it."""
        arrays = [self._array((self.network.n_out,))]
        for place in reversed(range(len(self.network.layers))):
            layer = self.network.layers[place]
            if place < self.lowest or (place == self.lowest and not input_gradient):
                arrays.append(NOTHING)
            else:
                arrays.append(arrays[-1] if self.shared and layer.works_in_place else self._array(layer.input_shape))
        return arrays[::-1]


class Batch:
    """m rows of a workspace: fill `X` and `Y`, call `forward`, `example_losses`, `backward`, and read the slots."""

    def __init__(self, workspace: Workspace, m: int, start: int) -> None:
        network = workspace.network
        self.workspace, self.m = workspace, m
        place = slice(start, start + m)
        outputs = _cut(workspace.outputs, m, place, workspace.rows)
        derivatives = _cut(workspace.derivatives, m, place, workspace.rows)
        self.X, self.Y, self.A = workspace.X[place], workspace.Y[place], outputs[-1]
        self.slots = self._slots(outputs, derivatives)
        self.head = workspace.head(place, dZ=derivatives[-2], dA=derivatives[-1])
        self.scale = np.ones((), workspace.parameters.dtype)
        """What each example's loss is multiplied with before it is differentiated."""
        self.has_shortcut = network.has_canonical_head

    def _slots(self, outputs: Sequence[Array], derivatives: Sequence[Array]) -> tuple[Slot, ...]:
        workspace, network = self.workspace, self.workspace.network
        slots: dict[int, Slot] = {}
        for place, layer in enumerate(network.layers):
            scratch = {name: array[: self.m] for name, array in workspace.scratch[place].items()}
            values = workspace.params[place]
            slots[id(layer)] = Slot(
                x=outputs[place],
                y=outputs[place + 1],
                dx=derivatives[place] if derivatives[place].size else None,
                dy=derivatives[place + 1],
                params={letter: values[letter] for letter in layer.parameters()},
                grads=workspace.grads[place],
                state={name: values[name] for name in layer.statistics()},
                scratch=scratch | workspace.fixed_scratch[place],
                draw=partial(workspace.draw, place) if workspace.training else None,
                start=None if layer.start is None else slots[id(layer.start)],
            )
        return tuple(slots.values())

    @cached_property
    def _forward(self) -> list[Call]:
        layers = zip(self.workspace.network.layers, self.slots, strict=True)
        return [each for layer, slot in layers for each in layer.forward(slot)]

    @cached_property
    def _value(self) -> list[Call]:
        return loss_plan(self.workspace.network, self.head)

    @cached_property
    def _backward(self) -> list[Call]:
        """The backward passes of all layers but the last."""
        layers = list(zip(self.workspace.network.layers, self.slots, strict=True))[self.workspace.lowest : -1]
        return [each for layer, slot in reversed(layers) for each in layer.backward(slot)]

    @cached_property
    def _shortcut(self) -> list[Call]:
        """dZ[L] from Z alone."""
        return [*self.workspace.network.loss.dZ(self.head), *self._scaled(self.head.dZ)]

    @cached_property
    def _general(self) -> list[Call]:
        """dA[L] from the loss."""
        return [*self.workspace.network.loss.dA(self.head), *self._scaled(self.head.dA)]

    def _scaled(self, derivative: Array) -> Plan:
        """The derivative of `scale` times each example's loss, which counts as its weight says."""
        scale = self.scale
        if self.head.weights is not None:
            scale = self.head.row
            yield call(np.multiply, self.head.weights, self.scale, scale)
        yield call(np.multiply, derivative, scale, derivative)

    @cached_property
    def _last(self) -> list[Call]:
        """The last layer's own backward pass."""
        layers = self.workspace.network.layers
        return list(layers[-1].backward(self.slots[-1])) if len(layers) > self.workspace.lowest else []

    def forward(self) -> Array:
        """Run every layer on X, and give A[L] (m, n_out); the next forward pass overwrites it."""
        run(self._forward)
        return self.A

    def example_losses(self) -> Array:
        """Each row's own loss (m,), after `forward`; the next call overwrites it."""
        run(self._value)
        return self.head.examples

    def backward(self, *, scale: float = 1.0, shortcut: bool = True) -> None:
        """Fill every derivative and the gradient, summed over the rows, of `scale` times each example's loss.

        A `scale` of 1/m gives the gradient of the mean loss. `shortcut` takes dZ[L] from Z where the head is
        canonical; elsewhere the loss gives dA[L] and the activation's own backward pass goes on from there. In an
        unshared workspace dA[L] is filled either way.
        """
        shortcut = shortcut and self.has_shortcut
        self.scale[()] = scale
        if not (shortcut and self.workspace.shared):
            run(self._general)
        run(self._shortcut if shortcut else self._last)
        run(self._backward)

    def backward_from(self, derivative: Array, *, of_Z: bool) -> None:
        """Fill every derivative and the gradient from a derivative by A[L] or Z[L] (m, n_out), whatever it is of."""
        start = self.head.dZ if of_Z else self.head.dA
        start[...] = derivative
        if not of_Z:
            run(self._last)
        run(self._backward)

    def step(self, *, scale: float) -> list[Call]:
        """All that fills the gradient of `scale` times each example's loss, as one plan: forward, loss, backward."""
        self.scale[()] = scale
        general = [] if self.has_shortcut and self.workspace.shared else self._general
        return [*self._forward, *general, *(self._shortcut if self.has_shortcut else self._last), *self._backward]


def loss_plan(network: Network, head: Head, *, from_A: bool = False) -> list[Call]:
    """How the examples' losses come about: from Z behind the canonical activation, from A behind any other.

    With `from_A` they come from A everywhere.
    """
    from_Z = network.has_canonical_head and not from_A
    plan = list(network.loss.from_Z(head) if from_Z else network.loss.from_A(head))
    if head.weights is not None:
        plan.append(call(np.multiply, head.examples, head.weights[:, 0], head.examples))
    return plan


def _cut(arrays: Sequence[Array], m: int, place: slice, rows: int) -> list[Array]:
    """A batch's rows of each: its own of those that are long enough for all batches, else the first m.

    Arrays that are one stay one.
    """
    views = {id(array): array[place] if len(array) > rows else array[:m] for array in arrays}
    return [views[id(array)] for array in arrays]
