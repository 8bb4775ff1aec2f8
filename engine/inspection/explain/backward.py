"""Backward: how a derivative at a boundary comes from those at the boundary behind."""

from engine.inspection.addresses import Index
from engine.inspection.explain import activations
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
    shortened,
    times,
    total,
    value_of,
)
from engine.inspection.explain.head import head
from engine.inspection.explain.lines import (
    UNCHANGED,
    moved,
    not_written_out,
    on_vectors,
    output_name,
    product,
    reshaped,
    slope_of,
    summed,
    transposed,
)
from engine.inspection.explain.page import Line, Page
from engine.inspection.names import derivative_of
from engine.layers import Activation
from engine.layers.activations.softmax import Softmax
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import Dense
from engine.layers.reshape import Reshape
from engine.layers.residual import Part, Residual


def backward(page: Page, place: int, index: Index) -> list[Line]:
    """The lines of a derivative at a boundary, by the layer behind it, or by the loss."""
    network = page.network
    last = len(network.layers)
    if place == last:
        return head(page, index, by="A")
    if place == last - 1 and page.has_shortcut:
        return head(page, index, by="Z")
    layer = network.layers[place]
    dx, dy = (derivative_of(network.boundary_names[each]) for each in (place, place + 1))
    if isinstance(layer, Dense):
        return _dense_backward(page, place, dx, dy, index)
    if isinstance(layer, Softmax):
        return _softmax_backward(page, place, dx, dy, index)
    if isinstance(layer, Activation):
        return _activation_backward(page, layer, place, dx, dy, index)
    if isinstance(layer, BatchNorm):
        return _batch_norm_backward(page, layer, place, dx, dy, index)
    if isinstance(layer, Part):
        return _part_backward(page, layer, dx, dy, index)
    if isinstance(layer, Reshape):
        return moved(page, dx, index, dy, reshaped(index, layer.input_shape, layer.output_shape), layer)
    if type(layer) in UNCHANGED or isinstance(layer, Residual):
        return moved(page, dx, index, dy, index, layer)
    raise not_written_out(layer)


def _dense_backward(page: Page, place: int, dx: str, dy: str, index: Index) -> list[Line]:
    layer = on_vectors(page.network.layers[place])
    W, (i, k) = f"W.{page.network.numbers[place]}", index
    products = [product(page, page.number(dy, (i, j)), page.number(W, (k, j))) for j in range(layer.output_shape[0])]
    return [
        Line("equation", page.symbol(dx), Product(page.ordered(page.symbol(dy), transposed(page.symbol(W))), "")),
        Line("shapes", page.size(dx), Product(page.ordered(page.size(dy), page.size(W, is_transposed=True)), "")),
        Line(
            "element",
            page.symbol(dx, i, k),
            SumOver("j", Product(page.ordered(page.symbol(dy, i, "j"), page.symbol(W, k, "j")))),
            "a nudge reaches every unit of the layer, so the effects are summed",
        ),
        *summed(page, products),
    ]


def _activation_backward(page: Page, layer: Activation, place: int, dx: str, dy: str, index: Index) -> list[Line]:
    form = activations.FORMS[type(layer)]
    z, a = page.network.boundary_names[place], page.network.boundary_names[place + 1]
    slope, slope_symbol = slope_of(page, layer, place, index)
    bend = form.derivative(layer, page.symbol(z, *index), page.symbol(a, *index), slope_symbol)
    found = form.derivative(layer, page.number(z, index), page.number(a, index), slope)
    d = page.number(dy, index)
    steepness = value_of(found)
    return [
        Line(
            "equation",
            page.symbol(dx),
            Product((page.symbol(dy), apply("slope", page.symbol(z))), "⊙"),
            f"g′(Z) = {layer.derivative}",
        ),
        Line("element", page.symbol(dx, *index), times(page.symbol(dy, *index), bend)),
        Line("values", None, times(d, found)),
        Line("products", None, times(d, steepness)),
        Line("result", None, Number(d.value * steepness)),
    ]


def _softmax_backward(page: Page, place: int, dx: str, dy: str, index: Index) -> list[Line]:
    a = page.network.boundary_names[place + 1]
    row = index[:-1]
    width = page.arrays[a].shape[-1]
    pairs = [(page.number(dy, (*row, j)), page.number(a, (*row, j))) for j in range(width)]
    products = [left.value * right.value for left, right in pairs]
    A, dA = page.number(a, index), page.number(dy, index)
    listed = shortened([times(*pair) for pair in pairs], products, page.terms)
    summed = total(products)
    inner = SumOver("j", times(page.symbol(dy, *row, "j"), page.symbol(a, *row, "j")))
    return [
        Line(
            "element",
            page.symbol(dx, *index),
            times(page.symbol(a, *index), minus(page.symbol(dy, *index), inner)),
            "every Z of an example moves every A of it: the row of softmax's Jacobian",
        ),
        Line("values", None, times(A, minus(dA, listed))),
        Line("sum", None, times(A, minus(dA, summed))),
        Line("result", None, Number(A.value * (dA.value - summed))),
    ]


def _batch_norm_backward(page: Page, layer: BatchNorm, place: int, dx: str, dy: str, index: Index) -> list[Line]:
    layer_number, channel = page.network.numbers[place], index[-1]
    root = apply("sqrt", plus(page.number(f"running_var.{layer_number}", (channel,)), layer.epsilon))
    symbolic = apply("sqrt", plus(page.symbol(f"running_var.{layer_number}", channel), Symbol("ε")))
    top: list[Expression] = [page.number(dy, index)]
    symbols: list[Expression] = [page.symbol(dy, *index)]
    if layer.affine:
        top.append(page.number(f"gamma.{layer_number}", (channel,)))
        symbols.append(page.symbol(f"gamma.{layer_number}", channel))
    found = over(times(*top), root)
    return [
        Line("element", page.symbol(dx, *index), over(times(*symbols), symbolic), "the running variance is no X"),
        Line("values", None, found),
        Line("result", None, Number(value_of(found))),
    ]


def _part_backward(page: Page, layer: Part, dx: str, dy: str, index: Index) -> list[Line]:
    join = next(each for each in page.network.layers if each.start is layer)
    if isinstance(join, Residual) and join.projection is not None:
        raise not_written_out(join)
    around = derivative_of(output_name(page, join))
    found = plus(page.number(dy, index), page.number(around, index))
    return [
        Line(
            "element",
            page.symbol(dx, *index),
            plus(page.symbol(dy, *index), page.symbol(around, *index)),
            "a nudge reaches the loss both ways, through the layers inside and around them",
        ),
        Line("values", None, found),
        Line("result", None, Number(value_of(found))),
    ]
