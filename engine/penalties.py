"""Penalties and bounds on large weights: what they add to the gradient, and what they do to the weights."""

from collections.abc import Iterator

import numpy as np

from engine.optimizers import BLOCK
from engine.parameters import Array, Layout, Shape
from engine.plans import Call, Plan, call


def is_weight(shape: Shape) -> bool:
    """Whether a parameter of this shape is a matrix of weights, which penalties are for; biases and scales are not."""
    return len(shape) > 1


def penalty_plan(l1: float, l2: float, layout: Layout, parameters: Array, gradient: Array) -> list[Call]:
    """Add the derivative of λ₁Σ|W| + ½λ₂ΣW², which is λ₁·sign W + λ₂·W, to the gradient of every W."""
    spare = np.empty(min(BLOCK, parameters.size), parameters.dtype)
    plan: list[Call] = []
    for block in _weight_blocks(layout):
        W, dW, change = parameters[block], gradient[block], spare[: block.stop - block.start]
        if l2:
            plan += [call(np.multiply, W, l2, change), call(np.add, dW, change, dW)]
        if l1:
            plan += [call(np.sign, W, change), call(np.multiply, change, l1, change), call(np.add, dW, change, dW)]
    return plan


def _weight_blocks(layout: Layout) -> Iterator[slice]:
    for name, place in layout.slices().items():
        if is_weight(layout.shapes[name]):
            for start in range(place.start, place.stop, BLOCK):
                yield slice(start, min(start + BLOCK, place.stop))


def max_norm_plan(limit: float, layout: Layout, parameters: Array) -> Plan:
    """Shrink the weights into each unit, a column of W, to the norm `limit` where theirs is larger.

    Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, Dropout, §5.1.
    """
    for W in layout.views(parameters).values():
        if is_weight(W.shape):
            columns = W.reshape(-1, W.shape[-1])
            squares, factors = np.empty_like(columns), np.empty(columns.shape[1], W.dtype)
            yield call(np.multiply, columns, columns, squares)
            yield call(np.add.reduce, squares, 0, None, factors)
            yield call(np.sqrt, factors, factors)
            yield call(np.maximum, factors, limit, out=factors)
            yield call(np.divide, limit, factors, factors)
            yield call(np.multiply, columns, factors, columns)


def penalty(l1: float, l2: float, layout: Layout, parameters: Array) -> float:
    """λ₁Σ|W| + ½λ₂ΣW²."""
    found = 0.0
    if l1:
        found += l1 * sum(float(np.abs(parameters[block]).sum()) for block in _weight_blocks(layout))
    if l2:
        found += 0.5 * l2 * sum(float(parameters[block].dot(parameters[block])) for block in _weight_blocks(layout))
    return found
