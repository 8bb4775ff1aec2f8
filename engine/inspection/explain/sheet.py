"""The sheet: a whole derivation for one example through a small net, forward, loss, backward and update."""

from collections.abc import Sequence

import numpy as np

from engine.errors import SpecError
from engine.inspection.explain import activations, losses
from engine.inspection.explain.derivation import TERMS, Explanation, page_of
from engine.inspection.explain.expressions import (
    Expression,
    Matrix,
    Product,
    Symbol,
    apply,
    minus,
    plus,
    times,
    value_of,
)
from engine.inspection.explain.head import BY_LABEL, example_loss
from engine.inspection.explain.lines import function_of, not_written_out, slope_of, transposed
from engine.inspection.explain.losses import Output
from engine.inspection.explain.page import Line, Page, Section
from engine.inspection.names import Orientation, derivative_of
from engine.inspection.passes import Head, check_batch, check_head
from engine.layers import Activation
from engine.layers.activations.softmax import Softmax
from engine.layers.dense import Dense
from engine.losses import LOSSES
from engine.network import Network
from engine.parameters import Array

MOST_NUMBERS = 2_000
"""Of all tensors together, that a reader can still look through."""


def sheet(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    example: int = 0,
    learning_rate: float = 0.1,
    orientation: Orientation = "rows",
    head: Head = "auto",
) -> Explanation:
    """Every tensor of one example's way through a net of dense layers and activations and back, in float64.

    Its gradients are of that example's own loss, m being 1, and the update is one step of plain gradient descent.
    Raises SpecError for an example that is not there, a net with more than MOST_NUMBERS numbers, and a layer whose kind
    is not written out, DataError as `inspect` does.
    """
    check_batch(network, X, Y, None)
    check_head(network, head)
    if not example < len(X):
        raise SpecError("example", f"expected an example from 0 to {len(X) - 1}, got {example}")
    _check_size(network)
    row = slice(example, example + 1)
    page = page_of(
        network,
        parameters,
        X[row],
        Y[row],
        None,
        convention="per_example",
        orientation=orientation,
        head=head,
        terms=TERMS,
    )
    with np.errstate(all="ignore"):
        sections = (
            Section("Forward", tuple(_forward(page))),
            Section("Loss", tuple(example_loss(page, 0))),
            Section("Backward", tuple(_backward(page))),
            Section("Update", tuple(_update(page, learning_rate))),
        )
    return Explanation(f"sheet of example {example}", orientation, "per_example", sections)


def _check_size(network: Network) -> None:
    for layer in network.layers:
        if not isinstance(layer, (Dense, Activation)) or len(layer.output_shape) != 1:
            raise not_written_out(layer)
    count = 2 * (sum(network.widths) + network.layout.size)
    if count > MOST_NUMBERS:
        raise SpecError(
            "network",
            f"expected a small net, whose tensors and derivatives hold at most {MOST_NUMBERS} numbers for a sheet, got "
            f"{count}",
            code="too_large_for_a_sheet",
        )


def _forward(page: Page) -> list[Line]:
    names, lines = page.network.boundary_names, [Line("result", page.symbol("A.0"), page.matrix("A.0"), "the example")]
    for place, layer in enumerate(page.network.layers):
        x, y = names[place : place + 2]
        if isinstance(layer, Dense):
            lines += _dense(page, layer, place, x, y)
        elif isinstance(layer, Activation):
            lines += [_applied(page, layer, x, y), Line("result", None, page.matrix(y))]
    return lines


def _dense(page: Page, layer: Dense, place: int, x: str, y: str) -> list[Line]:
    W, b = (f"{letter}.{page.network.numbers[place]}" for letter in "Wb")
    parts: list[tuple[Expression, Expression]] = [
        (Product(page.ordered(each(x), each(W)), ""), each(b)) for each in (page.symbol, page.size, page.matrix)
    ]
    symbols, sizes, numbers = (plus(*pair) if layer.use_bias else pair[0] for pair in parts)
    return [
        Line("equation", page.symbol(y), symbols),
        Line("shapes", page.size(y), sizes),
        Line("values", None, numbers),
        Line("result", None, page.matrix(y)),
    ]


def _applied(page: Page, layer: Activation, x: str, y: str) -> Line:
    if isinstance(layer, Softmax):
        return Line("equation", page.symbol(y), apply("softmax", page.symbol(x)), layer.formula)
    return Line("equation", page.symbol(y), function_of(page, layer, x), layer.formula)


def _backward(page: Page) -> list[Line]:
    network, names = page.network, page.network.boundary_names
    last = len(network.layers)
    lines = _of_the_loss(page, last - 1 if page.has_shortcut else last, by="Z" if page.has_shortcut else "A")
    for place in reversed(range(last - 1 if page.has_shortcut else last)):
        layer = network.layers[place]
        dx, dy = (derivative_of(names[each]) for each in (place, place + 1))
        if isinstance(layer, Dense):
            lines += _gradients(page, layer, place, dy)
            if place:
                lines += _through(page, place, dx, dy)
        elif isinstance(layer, Activation):
            lines += _bent(page, layer, place, dx, dy)
    return lines


def _of_the_loss(page: Page, place: int, *, by: str) -> list[Line]:
    loss, names = page.network.loss, page.network.boundary_names
    name = derivative_of(names[place])
    if isinstance(loss, (*BY_LABEL, LOSSES["focal"])):
        return [Line("result", page.symbol(name), page.matrix(name), loss.derivative)]
    z, a = (page.symbol(each) for each in names[-2:])
    n_out = page.network.n_out
    output = Output(z, a, page.symbol("Y"), False, [Output(z, a, z, False)] * n_out)
    form = losses.FORMS[type(loss)]
    return [
        Line("equation", page.symbol(name), (form.dZ if by == "Z" else form.dA)(loss, output), loss.derivative),
        Line("result", None, page.matrix(name)),
    ]


def _gradients(page: Page, layer: Dense, place: int, dy: str) -> list[Line]:
    x, number = page.network.boundary_names[place], page.network.numbers[place]
    dW, db = f"dW.{number}", f"db.{number}"
    turned = Matrix(page.matrix(x).values, x, is_transposed=True)
    factors = [
        page.ordered(transposed(page.symbol(x)), page.symbol(dy)),
        page.ordered(page.size(x, is_transposed=True), page.size(dy)),
        page.ordered(turned, page.matrix(dy)),
    ]
    symbols, sizes, numbers = (Product(each, "") for each in factors)
    lines = [
        Line("equation", page.symbol(dW), symbols, "with m = 1"),
        Line("shapes", page.size(dW), sizes),
        Line("values", None, numbers),
        Line("result", None, page.matrix(dW)),
    ]
    if layer.use_bias:
        lines += [Line("equation", page.symbol(db), page.symbol(dy)), Line("result", None, page.matrix(db))]
    return lines


def _through(page: Page, place: int, dx: str, dy: str) -> list[Line]:
    W = f"W.{page.network.numbers[place]}"
    turned = Matrix(page.matrix(W).values, W, is_transposed=True)
    return [
        Line("equation", page.symbol(dx), Product(page.ordered(page.symbol(dy), transposed(page.symbol(W))), "")),
        Line("shapes", page.size(dx), Product(page.ordered(page.size(dy), page.size(W, is_transposed=True)), "")),
        Line("values", None, Product(page.ordered(page.matrix(dy), turned), "")),
        Line("result", None, page.matrix(dx)),
    ]


def _bent(page: Page, layer: Activation, place: int, dx: str, dy: str) -> list[Line]:
    names = page.network.boundary_names
    if isinstance(layer, Softmax):
        return [Line("result", page.symbol(dx), page.matrix(dx), layer.derivative)]
    slopes = _slopes(page, layer, place, range(layer.input_shape[0]))
    bend = Matrix(slopes if page.orientation == "rows" else slopes.T, "")
    return [
        Line(
            "equation",
            page.symbol(dx),
            Product((page.symbol(dy), apply("slope", page.symbol(names[place]))), "⊙"),
            f"g′(Z) = {layer.derivative}",
        ),
        Line("values", None, Product((page.matrix(dy), bend), "⊙")),
        Line("result", None, page.matrix(dx)),
    ]


def _slopes(page: Page, layer: Activation, place: int, units: Sequence[int]) -> Array:
    """g′ of each unit, as one row."""
    form, names = activations.FORMS[type(layer)], page.network.boundary_names
    found = [
        form.derivative(
            layer,
            page.number(names[place], (0, unit)),
            page.number(names[place + 1], (0, unit)),
            slope_of(page, layer, place, (0, unit))[0],
        )
        for unit in units
    ]
    return np.array([[value_of(each) for each in found]])


def _update(page: Page, learning_rate: float) -> list[Line]:
    lines = []
    for name in page.network.shapes:
        before, gradient = page.matrix(name), page.matrix(f"d{name}")
        after = Matrix(before.values - learning_rate * gradient.values, f"after.{name}")
        lines += [
            Line(
                "equation",
                page.symbol(name),
                minus(page.symbol(name), times(Symbol("η"), page.symbol(f"d{name}"))),
                f"a step of plain gradient descent, η = {learning_rate:g}",
            ),
            Line("values", None, minus(before, times(learning_rate, gradient))),
            Line("result", None, after),
        ]
    return lines
