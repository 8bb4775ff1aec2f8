"""Every array of one batch: training reuses one workspace for all its steps, inspection makes a fresh one and reads it.

In a shared workspace neighbouring layers share arrays wherever no backward pass misses what is overwritten; in an
unshared one every boundary keeps its own Z, A, dZ and dA. The layers do the same in both. NumPy's floating-point
warnings are the caller's to silence (`np.errstate`): a step that overflows is found by looking at its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from engine.layers import Slot
from engine.losses import Head
from engine.parameters import Array, Shape
from engine.randomness import generator

if TYPE_CHECKING:
    from engine.network import Network

Pass = list[Callable[[], None]]


class Workspace:
    """The arrays for batches of up to `rows` rows through one network.

    `parameters` and `gradient` are flat. Without `gradients` the workspace only looks forward and `gradient` is empty.
    With `training` dropout is on, and `at` tells for which step. `input_gradient` asks for dA[0] as well.
    """

    def __init__(
        self,
        network: Network,
        parameters: Array,
        *,
        rows: int,
        gradients: bool = True,
        shared: bool = True,
        input_gradient: bool = False,
        training: bool = False,
    ) -> None:
        self.network = network
        self.parameters = parameters
        self.gradient = np.zeros(parameters.size if gradients else 0, parameters.dtype)
        self.rows, self.shared, self.training = rows, shared, training
        self.lowest = 0 if input_gradient else min(network.parameterized, default=len(network.layers))
        """The place of the first layer whose backward pass runs."""
        self.params = _by_layer(network, parameters)
        self.grads = _by_layer(network, self.gradient) if gradients else [{} for _ in network.layers]
        self.outputs = self._outputs()
        self.derivatives = self._derivatives(input_gradient) if gradients else [np.empty((0,))] * len(self.outputs)
        self.scratch = [
            {name: self._array(shape) for name, shape in layer.scratch().items()} for layer in network.layers
        ]
        width = (network.n_out,)
        self.Y, self.product = self._array(width), self._array(width)
        self.examples, self.row = self._array(()), self._array((1,))
        self._batches: dict[int, Batch] = {}
        self.at(seed=0, epoch=0, step=0)

    def cut(self, m: int) -> Batch:
        """The first m rows of every array as a batch, made once for each m."""
        if m not in self._batches:
            self._batches[m] = Batch(self, m)
        return self._batches[m]

    def at(self, *, seed: int, epoch: int, step: int, shard: int = 0) -> None:
        """Say which step comes next: its dropout masks follow from that alone."""
        self._position = (seed, epoch, step, shard)

    def draw(self, place: int) -> np.random.Generator:
        """The generator of the layer at this place, for the step that `at` told."""
        seed, epoch, step, shard = self._position
        return generator(seed, "dropout", epoch=epoch, step=step, layer=place, shard=shard)

    def _array(self, shape: Shape) -> Array:
        return np.zeros((self.rows, *shape), self.parameters.dtype)

    def _outputs(self) -> list[Array]:
        """A[0], then every layer's output: its input's array where the layer may overwrite that."""
        arrays = [self._array((self.network.n_in,))]
        for place, layer in enumerate(self.network.layers):
            overwrites = self.shared and layer.works_in_place and place > 0 and not self._is_read_later(place)
            arrays.append(arrays[-1] if overwrites else self._array(layer.output_shape))
        return arrays

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
                arrays.append(np.empty((0,)))
            else:
                arrays.append(arrays[-1] if self.shared and layer.works_in_place else self._array(layer.input_shape))
        return arrays[::-1]


class Batch:
    """m rows of a workspace: fill `X` and `Y`, call `forward`, `example_losses`, `backward`, and read the slots."""

    def __init__(self, workspace: Workspace, m: int) -> None:
        network = workspace.network
        self.workspace, self.m = workspace, m
        outputs, derivatives = _cut(workspace.outputs, m), _cut(workspace.derivatives, m)
        self.X, self.Y, self.A = outputs[0], workspace.Y[:m], outputs[-1]
        self.slots = tuple(
            Slot(
                x=outputs[place],
                y=outputs[place + 1],
                dx=derivatives[place] if derivatives[place].size else None,
                dy=derivatives[place + 1],
                params=workspace.params[place],
                grads=workspace.grads[place],
                scratch={name: array[:m] for name, array in workspace.scratch[place].items()},
                draw=partial(workspace.draw, place) if workspace.training else None,
            )
            for place in range(len(network.layers))
        )
        self.head = Head(
            Z=outputs[-2],
            A=self.A,
            Y=self.Y,
            dZ=derivatives[-2],
            dA=derivatives[-1],
            examples=workspace.examples[:m],
            product=workspace.product[:m],
            row=workspace.row[:m],
        )
        self._has_shortcut = network.has_canonical_head
        self._value = partial(network.loss.from_Z if self._has_shortcut else network.loss.from_A, self.head)
        layers = list(zip(network.layers, self.slots, strict=True))
        self._forward: Pass = [partial(layer.forward, slot) for layer, slot in layers]
        self._backward: Pass = [partial(layer.backward, slot) for layer, slot in layers[workspace.lowest :][::-1]]

    def forward(self) -> Array:
        """Run every layer on X, and give A[L] (m, n_out); the next forward pass overwrites it."""
        for step in self._forward:
            step()
        return self.A

    def example_losses(self) -> Array:
        """Each row's own loss (m,), after `forward`; the next call overwrites it."""
        self._value()
        return self.head.examples

    def backward(self, *, scale: float = 1.0, shortcut: bool = True) -> None:
        """Fill every derivative and the gradient, summed over the rows, of `scale` times each example's loss.

        A `scale` of 1/m gives the gradient of the mean loss. `shortcut` takes dZ[L] = A − Y where the head is
        canonical; elsewhere the loss gives dA[L] and the activation's own backward pass goes on from there. In an
        unshared workspace dA[L] is filled either way.
        """
        loss, head = self.workspace.network.loss, self.head
        shortcut = shortcut and self._has_shortcut
        if not (shortcut and self.workspace.shared):
            loss.dA(head)
            np.multiply(head.dA, scale, out=head.dA)
        if shortcut:
            loss.dZ(head)
            np.multiply(head.dZ, scale, out=head.dZ)
        for step in self._backward[1:] if shortcut else self._backward:
            step()


def _cut(arrays: Sequence[Array], m: int) -> list[Array]:
    """The first m rows of each; arrays that are one stay one."""
    views = {id(array): array[:m] for array in arrays}
    return [views[id(array)] for array in arrays]


def _by_layer(network: Network, flat: Array) -> Sequence[dict[str, Array]]:
    """Views into a flat vector, for each layer by letter."""
    views = network.layout.views(flat)
    found: list[dict[str, Array]] = [{} for _ in network.layers]
    for number, place in enumerate(network.parameterized, start=1):
        found[place] = {letter: views[f"{letter}.{number}"] for letter in network.layers[place].parameters()}
    return found
