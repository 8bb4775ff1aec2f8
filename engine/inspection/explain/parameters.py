"""Parameters: how the derivative of the mean loss by one of them comes from those of the examples."""

from engine.inspection.addresses import Index
from engine.inspection.explain.expressions import (
    Expression,
    Number,
    Product,
    SumOver,
    Symbol,
    apply,
    minus,
    over,
    plus,
    times,
)
from engine.inspection.explain.lines import not_written_out, on_vectors, product, summed, transposed
from engine.inspection.explain.page import Line, Page
from engine.inspection.names import derivative_of
from engine.layers.activations.prelu import Prelu
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import Dense

OVER_EXAMPLES = "over the examples"


def gradient(page: Page, name: str, index: Index) -> list[Line]:
    """The lines of dW, db, dslope, dgamma or dbeta."""
    letter, _, number_ = name[1:].partition(".")
    network = page.network
    place = next(
        place
        for place in network.learning
        if str(network.numbers[place]) == number_ and letter in network.layers[place].parameters()
    )
    layer = network.layers[place]
    if isinstance(layer, Dense):
        on_vectors(layer)
        return _dW(page, place, name, index) if letter == "W" else _db(page, place, name, index)
    if len(layer.input_shape) == 1 and isinstance(layer, (BatchNorm, Prelu)):
        return _by_unit(page, place, name, letter, index)
    raise not_written_out(layer)


def _dW(page: Page, place: int, name: str, index: Index) -> list[Line]:
    x, dy = page.network.boundary_names[place], derivative_of(page.network.boundary_names[place + 1])
    k, j = index
    products = [product(page, page.number(x, (i, k)), page.number(dy, (i, j))) for i in range(page.m)]
    scale, size, shown = _scales(page)
    whole = page.ordered(transposed(page.symbol(x)), page.symbol(dy))
    sizes = page.ordered(page.size(x, is_transposed=True), page.size(dy))
    inner = SumOver("i", Product(page.ordered(page.symbol(x, "i", k), page.symbol(dy, "i", j))))
    return [
        Line("equation", page.symbol(name), Product((*scale, *whole), "")),
        Line("shapes", page.size(name), Product((*size, *sizes), "")),
        Line("element", page.symbol(name, k, j), times(*scale, inner), OVER_EXAMPLES),
        *summed(page, products, scale=shown, divisor=_divisor(page)),
    ]


def _db(page: Page, place: int, name: str, index: Index) -> list[Line]:
    dy = derivative_of(page.network.boundary_names[place + 1])
    (j,) = index
    listed = [page.number(dy, (i, j)) for i in range(page.m)]
    scale, _, shown = _scales(page)
    return [
        Line(
            "element", page.symbol(name, j), times(*scale, SumOver("i", page.symbol(dy, "i", j))), "over the examples"
        ),
        *summed(page, listed, scale=shown, divisor=_divisor(page)),
    ]


def _by_unit(page: Page, place: int, name: str, letter: str, index: Index) -> list[Line]:
    """Sums over the examples, and over the units where they share one slope, of dY times what the parameter moves Y."""
    layer, names = page.network.layers[place], page.network.boundary_names
    x, dy = names[place], derivative_of(names[place + 1])
    units = range(layer.input_shape[0]) if layer.parameters()[letter] == (1,) else index
    places = [(i, j) for i in range(page.m) for j in units]
    moves = [_moves(page, place, letter, page.number(x, at), at[1]) for at in places]
    j: int | str = index[0] if len(units) == 1 else "j"
    moved = _moves(page, place, letter, page.symbol(x, "i", j), None)
    inner: Expression = SumOver("i", times(page.symbol(dy, "i", j), moved))
    scale, _, shown = _scales(page)
    products = [times(page.number(dy, at), move) for at, move in zip(places, moves, strict=True)]
    return [
        Line(
            "element",
            page.symbol(name, *index),
            times(*scale, inner if len(units) == 1 else SumOver("j", inner)),
            OVER_EXAMPLES if len(units) == 1 else "over the examples and the units",
        ),
        *summed(page, products, scale=shown, divisor=_divisor(page)),
    ]


def _moves(page: Page, place: int, letter: str, x: Expression, unit: int | None) -> Expression:
    """The derivative of Y by the parameter: min(0, Z), X̂ or 1; in symbols without a unit."""
    layer, number_ = page.network.layers[place], page.network.numbers[place]
    if letter == "slope":
        return apply("min", 0, x)
    if letter == "beta":
        return Number(1.0)
    mean, variance = f"running_mean.{number_}", f"running_var.{number_}"
    if unit is None or not isinstance(layer, BatchNorm):
        return over(minus(x, page.symbol(mean)), apply("sqrt", plus(page.symbol(variance), Symbol("ε"))))
    root = apply("sqrt", plus(page.number(variance, (unit,)), layer.epsilon))
    return over(minus(x, page.number(mean, (unit,))), root)


def _scales(page: Page) -> tuple[list[Expression], list[Expression], list[Expression]]:
    """1/m in symbols, among shapes and as a number; nothing where dZ carries it."""
    if page.convention == "mean":
        return [], [], []
    return [over(1, Symbol("m"))], [page.one_over_m], [page.one_over_m]


def _divisor(page: Page) -> int:
    return 1 if page.convention == "mean" else page.m
