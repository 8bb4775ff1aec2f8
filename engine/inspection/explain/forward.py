"""Forward: how a number at a boundary comes from those at the boundary before."""

import numpy as np

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
    number,
    over,
    plus,
    shortened,
    times,
    total,
    value_of,
)
from engine.inspection.explain.lines import (
    UNCHANGED,
    function_of,
    moved,
    not_written_out,
    on_vectors,
    output_name,
    product,
    reshaped,
    slope_of,
    summed,
)
from engine.inspection.explain.page import Line, Page
from engine.layers import Activation
from engine.layers.activations.softmax import Softmax
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import Dense
from engine.layers.reshape import Reshape
from engine.layers.residual import Part, Residual


def forward(page: Page, place: int, index: Index) -> list[Line]:
    """The lines of a number at a boundary, by the layer in front of it."""
    layer = page.network.layers[place - 1]
    x, y = page.network.boundary_names[place - 1], page.network.boundary_names[place]
    if isinstance(layer, Dense):
        return _dense_forward(page, place - 1, x, y, index)
    if isinstance(layer, Softmax):
        return _softmax_forward(page, x, y, index)
    if isinstance(layer, Activation):
        return _activation_forward(page, layer, place - 1, x, y, index)
    if isinstance(layer, BatchNorm):
        return _batch_norm_forward(page, layer, place - 1, x, y, index)
    if isinstance(layer, Residual) and layer.projection is None:
        return _join_forward(page, layer, x, y, index)
    if isinstance(layer, Reshape):
        return moved(page, y, index, x, reshaped(index, layer.output_shape, layer.input_shape), layer)
    if type(layer) in UNCHANGED or isinstance(layer, Part):
        return moved(page, y, index, x, index, layer)
    raise not_written_out(layer)


def _dense_forward(page: Page, place: int, x: str, y: str, index: Index) -> list[Line]:
    layer = on_vectors(page.network.layers[place])
    i, j = index
    W, b = (f"{letter}.{page.network.numbers[place]}" for letter in "Wb")
    products = [product(page, page.number(x, (i, k)), page.number(W, (k, j))) for k in range(layer.input_shape[0])]
    whole: Expression = Product(page.ordered(page.symbol(x), page.symbol(W)), "")
    sizes: Expression = Product(page.ordered(page.size(x), page.size(W)), "")
    inner: Expression = SumOver("k", Product(page.ordered(page.symbol(x, i, "k"), page.symbol(W, "k", j))))
    if layer.use_bias:
        whole, sizes, inner = plus(whole, page.symbol(b)), plus(sizes, page.size(b)), plus(inner, page.symbol(b, j))
    return [
        Line("equation", page.symbol(y), whole),
        Line("shapes", page.size(y), sizes),
        Line("element", page.symbol(y, i, j), inner),
        *summed(page, products, extra=[page.number(b, (j,))] if layer.use_bias else []),
    ]


def _activation_forward(page: Page, layer: Activation, place: int, x: str, y: str, index: Index) -> list[Line]:
    form = activations.FORMS[type(layer)]
    slope, slope_symbol = slope_of(page, layer, place, index)
    found = form.value(layer, page.number(x, index), slope)
    return [
        Line("equation", page.symbol(y), function_of(page, layer, x), layer.formula),
        Line("element", page.symbol(y, *index), form.value(layer, page.symbol(x, *index), slope_symbol)),
        Line("values", None, found),
        Line("result", None, Number(value_of(found))),
    ]


def _softmax_forward(page: Page, x: str, y: str, index: Index) -> list[Line]:
    *row, k = index
    width = page.arrays[x].shape[-1]
    zs = [page.number(x, (*row, j)) for j in range(width)]
    powers = [apply("exp", z) for z in zs]
    symbol, inner = page.symbol(x, *index), apply("exp", page.symbol(x, *row, "j"))
    largest = max(z.value for z in zs)
    shifted = [float(np.exp(z.value - largest)) for z in zs]
    return [
        Line("equation", page.symbol(y), apply("softmax", page.symbol(x)), "along each example"),
        Line("element", page.symbol(y, *index), over(apply("exp", symbol), SumOver("j", inner))),
        Line("values", None, over(powers[k], shortened(powers, [value_of(each) for each in powers], page.terms))),
        Line(
            "products",
            None,
            over(shifted[k], shortened([number(each) for each in shifted], shifted, page.terms)),
            "the largest Z taken off each exponent, which changes nothing else",
        ),
        Line("sum", None, over(shifted[k], total(shifted))),
        Line("result", None, Number(shifted[k] / total(shifted))),
    ]


def _batch_norm_forward(page: Page, layer: BatchNorm, place: int, x: str, y: str, index: Index) -> list[Line]:
    layer_number, channel = page.network.numbers[place], index[-1]
    normal = _normal(page, layer, layer_number, page.number(x, index), channel)
    found = normal
    symbolic: Expression = over(
        minus(page.symbol(x, *index), page.symbol(f"running_mean.{layer_number}", channel)),
        apply("sqrt", plus(page.symbol(f"running_var.{layer_number}", channel), Symbol("ε"))),
    )
    if layer.affine:
        gamma, beta = (page.number(f"{name}.{layer_number}", (channel,)) for name in ("gamma", "beta"))
        found = plus(times(gamma, normal), beta)
        symbolic = plus(
            times(page.symbol(f"gamma.{layer_number}", channel), symbolic), page.symbol(f"beta.{layer_number}", channel)
        )
    return [
        Line("element", page.symbol(y, *index), symbolic, "outside training with the running mean and variance"),
        Line("values", None, found),
        Line("result", None, Number(value_of(found))),
    ]


def _normal(page: Page, layer: BatchNorm, layer_number: int | None, x: Number, channel: int) -> Expression:
    """X̂."""
    mean, variance = (page.number(f"{name}.{layer_number}", (channel,)) for name in ("running_mean", "running_var"))
    return over(minus(x, mean), apply("sqrt", plus(variance, layer.epsilon)))


def _join_forward(page: Page, layer: Residual, x: str, y: str, index: Index) -> list[Line]:
    parted = output_name(page, layer.start)
    found = plus(page.number(x, index), page.number(parted, index))
    return [
        Line("equation", page.symbol(y), plus(page.symbol(x), page.symbol(parted)), "the block's input is added"),
        Line("element", page.symbol(y, *index), plus(page.symbol(x, *index), page.symbol(parted, *index))),
        Line("values", None, found),
        Line("result", None, Number(value_of(found))),
    ]
