"""Penalties: what is added to the loss for large weights, as a change of the gradient."""

import numpy as np

from engine.optimizers import BLOCK
from engine.parameters import Array, Layout
from engine.plans import Call, call


def bind_penalty(l2: float, layout: Layout, parameters: Array, gradient: Array) -> list[Call]:
    """A plan that adds the derivative of ½λ‖W‖², which is λ·W, to the gradient of every W and U (never of a vector)."""
    if not l2:
        return []
    spare = np.empty(BLOCK, parameters.dtype)
    plan: list[Call] = []
    for name, place in layout.slices().items():
        if len(layout.shapes[name]) > 1:
            for start in range(place.start, place.stop, BLOCK):
                block = slice(start, min(start + BLOCK, place.stop))
                change = spare[: block.stop - start]
                plan.append(call(np.multiply, parameters[block], l2, change))
                plan.append(call(np.add, gradient[block], change, gradient[block]))
    return plan
