"""What the lines of every layer have in common."""

from collections.abc import Sequence

import numpy as np

from engine.errors import SpecError
from engine.inspection.addresses import Index
from engine.inspection.explain.expressions import (
    Apply,
    Expression,
    Number,
    Product,
    Sum,
    Symbol,
    number,
    shortened,
    times,
    total,
    value_of,
)
from engine.inspection.explain.page import Line, Page
from engine.inspection.names import kind_of
from engine.layers import ACTIVATIONS, LAYERS, Activation, Layer
from engine.layers.activations.prelu import Prelu
from engine.layers.dense import Dense
from engine.layers.reshape import Reshape
from engine.layers.residual import Part, Residual
from engine.parameters import Shape

UNCHANGED = frozenset(LAYERS[name] for name in ("dropout", "alpha_dropout", "gaussian_noise"))
"""Layers that do nothing outside training."""


def not_written_out(layer: Layer) -> SpecError:
    """The error for a layer whose kind, or whose inputs' shape, no derivation is written for."""
    return SpecError(
        f"network.layers[{layer.path}]",
        f"no derivation is written out for layers of type {kind_of(layer)} on inputs of shape "
        f"{list(layer.input_shape)}",
        code="unknown_for_layer",
    )


def on_vectors(layer: Layer) -> Dense:
    """The layer itself, which is to be a dense one on vectors. Raises SpecError for another."""
    if not isinstance(layer, Dense) or len(layer.input_shape) != 1:
        raise not_written_out(layer)
    return layer


def transposed(expression: Symbol) -> Symbol:
    """Wᵀ of W."""
    return Symbol(expression.letter, expression.layer, expression.index, is_transposed=True)


def product(page: Page, left: Number, right: Number) -> Expression:
    """One product of a matrix product, its factors in the page's order."""
    return Product(page.ordered(left, right))


def summed(
    page: Page,
    listed: Sequence[Expression],
    *,
    scale: Sequence[Expression] = (),
    divisor: int = 1,
    extra: Sequence[Number] = (),
) -> list[Line]:
    """The lines of scale·(a·b + c·d + … + extra): with numbers put in, with products done, the sum, and the result.

    The sum is that of the rounded products, rounded once; `scale` is what stands for 1/divisor.
    """
    values = [value_of(each) for each in listed]
    shown = shortened(listed, values, page.terms)
    lines = [Line("values", None, times(*scale, Sum((*shown.terms, *extra), shown.rest)))]
    if not all(isinstance(each, Number) for each in listed):
        done = tuple(map(number, values[: page.terms]))
        lines.append(Line("products", None, times(*scale, Sum((*done, *extra), shown.rest))))
    whole = total([*values, *(each.value for each in extra)])
    if scale:
        lines.append(Line("sum", None, times(*scale, whole)))
    return [*lines, Line("result", None, Number(whole / divisor))]


def moved(page: Page, to: str, index: Index, source: str, source_index: Index, layer: Layer) -> list[Line]:
    """The lines of a number that is another one, unchanged."""
    found = page.number(source, source_index)
    return [
        Line("element", page.symbol(to, *index), page.symbol(source, *source_index), _why_moved(layer)),
        Line("values", None, found),
        Line("result", None, Number(found.value)),
    ]


def _why_moved(layer: Layer) -> str:
    if isinstance(layer, Reshape):
        return "the same number in another place"
    return "the same number" if isinstance(layer, (Part, Residual)) else f"{kind_of(layer)} is off outside training"


def reshaped(index: Index, shape: Shape, other: Shape) -> Index:
    """The place of a number of one example, of `shape`, in the same example's `other` shape."""
    flat = int(np.ravel_multi_index(index[1:], shape))
    return (index[0], *(int(part) for part in np.unravel_index(flat, other)))


def function_of(page: Page, layer: Activation, x: str) -> Expression:
    """g(Z), or Z itself behind an identity."""
    return page.symbol(x) if isinstance(layer, ACTIVATIONS["identity"]) else Apply("g", (page.symbol(x),))


def slope_of(page: Page, layer: Activation, place: int, index: Index) -> tuple[Number | None, Symbol | None]:
    """The slope that the unit at an index has learned, as a number and as a symbol; none where it learns none."""
    if not isinstance(layer, Prelu):
        return None, None
    name, unit = f"slope.{page.network.numbers[place]}", index[-1] if layer.count > 1 else 0
    return page.number(name, (unit,)), page.symbol(name, unit)


def output_name(page: Page, layer: Layer | None) -> str:
    """What stands behind a layer."""
    place = next(place for place, each in enumerate(page.network.layers) if each is layer)
    return page.network.boundary_names[place + 1]
