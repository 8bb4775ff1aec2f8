"""A fan: a network whose rows, in one pass, differ in their parameters, each being at a place of its own on θ + s·d."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from engine.layers import Slot
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array, Shapes
from engine.plans import Plan, call, dot


class FannedDense(Dense):
    """Z = X·W + b + s∘(X·D + e), dX = dZ·Wᵀ + s∘(dZ·Dᵀ), with D the step of W, e that of b, s each row's own place.

    On vectors. Both steps and places may change from pass to pass.
    """

    def __init__(self, layer: Dense, step: Mapping[str, Array], at: Array) -> None:
        self.__dict__ |= vars(layer)
        self.step, self.at = step, at

    def scratch(self) -> Shapes:
        return {"moved": self.output_shape, "back": self.input_shape}

    def forward(self, slot: Slot) -> Plan:
        moved = slot.scratch["moved"]
        yield from super().forward(slot)
        yield dot(slot.x, self.step["W"], moved)
        if self.use_bias:
            yield call(np.add, moved, self.step["b"], moved)
        yield call(np.multiply, moved, self.at[: len(moved)], moved)
        yield call(np.add, slot.y, moved, slot.y)

    def backward(self, slot: Slot) -> Plan:
        yield from super().backward(slot)
        if slot.dx is not None:
            back = slot.scratch["back"]
            yield dot(slot.dy, self.step["W"].T, back)
            yield call(np.multiply, back, self.at[: len(back)], back)
            yield call(np.add, slot.dx, back, slot.dx)


def can_fan(network: Network) -> bool:
    """Whether all that a network learns is in dense layers on vectors."""
    learning = [network.layers[place] for place in network.learning]
    return all(isinstance(layer, Dense) and len(layer.input_shape) == 1 for layer in learning)


def fanned(network: Network, step: Array, at: Array) -> Network:
    """The same network with each row at its own of the places `at` (rows, 1) along `step`, of all that is learned."""
    layers = tuple(
        FannedDense(layer, values, at) if isinstance(layer, Dense) else layer
        for layer, values in zip(network.layers, network.by_layer(step), strict=True)
    )
    return replace(network, layers=layers)
