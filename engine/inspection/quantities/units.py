"""Quantities of units that no longer answer: of each activation or of each of its units, by the name of its output."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from engine.inspection.quantities.base import Pass, Quantity, scalar
from engine.layers import ACTIVATIONS, Activation, Slot
from engine.parameters import Array
from engine.plans import run

FLATTEST = 0.05
"""Of the steepest slope: units that are flatter on the whole are saturated."""
STEEPEST = {"sigmoid": 0.25, "hard_sigmoid": 1 / 6, "softmax": 0.25}
"""The largest |g′|, where it is below 1; of softmax, that of an output by its own Z."""


def dead(layer: Activation, slot: Slot) -> Array:
    """(n,): which units have a slope of 0 for every example."""
    found: Array = _of_units(slopes_of(layer, slot)).max(axis=0) == 0
    return found


def saturated(layer: Activation, slot: Slot) -> Array:
    """(n,): which units have a mean slope below a twentieth of the steepest there is, or of 1 if that is less."""
    found: Array = _of_units(slopes_of(layer, slot)).mean(axis=0) < FLATTEST * STEEPEST.get(_kind(layer), 1.0)
    return found


def dead_units(passed: Pass) -> dict[str, Array]:
    """1 for each unit whose slope is 0 for every example, else 0."""
    return _each(passed, "dead_units", dead)


def saturated_units(passed: Pass) -> dict[str, Array]:
    """1 for each unit whose mean slope is below a twentieth of the steepest there is, else 0."""
    return _each(passed, "saturated_units", saturated)


def mean_slopes(passed: Pass) -> dict[str, Array]:
    """How much of a derivative each unit lets through, on average."""
    return _each(passed, "mean_slope", lambda layer, slot: _of_units(slopes_of(layer, slot)).mean(axis=0))


def dead_shares(passed: Pass) -> dict[str, Array]:
    """The share of units whose slope is 0 for every example: nothing reaches the weights in front of them."""
    return _shares(passed, "dead_share", dead)


def saturated_shares(passed: Pass) -> dict[str, Array]:
    """The share of units whose mean slope is below a twentieth of the steepest there is, or of 1 if that is less."""
    return _shares(passed, "saturated_share", saturated)


def zero_shares(passed: Pass) -> dict[str, Array]:
    """The share of outputs that are exactly 0, over all units and examples."""
    return _shares(passed, "zero_share", lambda layer, slot: slot.y == 0)


def _shares(passed: Pass, quantity: str, of: Callable[[Activation, Slot], Array]) -> dict[str, Array]:
    return {
        f"{quantity}.{name}": scalar(of(layer, slot).mean(), passed) for name, layer, slot in activations_of(passed)
    }


def _each(passed: Pass, quantity: str, of: Callable[[Activation, Slot], Array]) -> dict[str, Array]:
    dtype = passed.parameters.dtype
    return {f"{quantity}.{name}": of(layer, slot).astype(dtype) for name, layer, slot in activations_of(passed)}


def activations_of(passed: Pass) -> Iterator[tuple[str, Activation, Slot]]:
    """Each with the name of what it gives: A.l, or layers.<item>.y of one that stands alone."""
    network = passed.network
    for name, layer, slot in zip(network.boundary_names[1:], network.layers, passed.batch.slots, strict=True):
        if isinstance(layer, Activation):
            yield name, layer, slot


def slopes_of(layer: Activation, slot: Slot) -> Array:
    """|g′(Z)| of each element, by the activation's own backward pass; of softmax ∂A_k/∂Z_k."""
    slopes: Array = np.empty_like(slot.x)
    if _kind(layer) == "softmax":
        np.multiply(slot.y, 1 - slot.y, out=slopes)
        return slopes
    own = replace(
        slot,
        y=np.empty_like(slot.y),
        dx=slopes,
        dy=np.ones_like(slot.y),
        grads={name: np.empty_like(array) for name, array in slot.grads.items()},
        scratch={name: np.empty_like(array) for name, array in slot.scratch.items()},
    )
    run([*layer.forward(own), *layer.backward(own)])
    np.abs(slopes, out=slopes)
    return slopes


def _of_units(array: Array) -> Array:
    """One column a unit, which lies along the last axis."""
    return array.reshape(-1, array.shape[-1])


def _kind(layer: Activation) -> str:
    return next(name for name, kind in ACTIVATIONS.items() if type(layer) is kind)


UNITS = {
    "dead_share": Quantity(
        equation="share of units with g′(z_i) = 0 for every i",
        shape="a number of each activation",
        cost="0.1",
        backward_passes=0.1,
        source="Lu, Shin, Su & Karniadakis 2020, Dying ReLU and initialization",
        of=dead_shares,
    ),
    "saturated_share": Quantity(
        equation="share of units with (1/m)Σ|g′(z_i)| < 0.05·min(1, max|g′|)",
        shape="a number of each activation",
        cost="0.1",
        backward_passes=0.1,
        source="Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, §3",
        of=saturated_shares,
    ),
    "dead_units": Quantity(
        equation="1 where g′(z_i) = 0 for every i, else 0",
        shape="(n) of each activation",
        cost="0.1",
        backward_passes=0.1,
        source="Lu, Shin, Su & Karniadakis 2020, Dying ReLU and initialization",
        of=dead_units,
    ),
    "saturated_units": Quantity(
        equation="1 where (1/m)Σ|g′(z_i)| < 0.05·min(1, max|g′|), else 0",
        shape="(n) of each activation",
        cost="0.1",
        backward_passes=0.1,
        source="Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, §3",
        of=saturated_units,
    ),
    "mean_slope": Quantity(
        equation="(1/m)Σ|g′(z_i)|",
        shape="(n) of each activation",
        cost="0.1",
        backward_passes=0.1,
        source="Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, §3",
        of=mean_slopes,
    ),
    "zero_share": Quantity(
        equation="share of elements of A that are 0",
        shape="a number of each activation",
        cost="0.05",
        backward_passes=0.1,
        source="Glorot, Bordes & Bengio 2011, Deep sparse rectifier neural networks",
        of=zero_shares,
    ),
}
