"""The head: an example's loss, and its derivatives by the outputs, from which all others follow."""

from engine.inspection.addresses import Index
from engine.inspection.explain import losses
from engine.inspection.explain.expressions import (
    Expression,
    Number,
    SumOver,
    Symbol,
    number,
    over,
    shortened,
    times,
    total,
    value_of,
)
from engine.inspection.explain.losses import Output
from engine.inspection.explain.page import Line, Page
from engine.inspection.names import derivative_of
from engine.losses import LOSSES

BY_LABEL = (LOSSES["binary_focal"], LOSSES["hinge"], LOSSES["squared_hinge"])
"""Losses that are written otherwise for a yes than for a no."""


def mean_loss(page: Page) -> list[Line]:
    """The lines of the mean of the examples' losses."""
    values = page.arrays["loss"]
    listed = [page.number("loss", (i,)) for i in range(page.m)]
    summed = total([float(value) for value in values])
    return [
        Line("element", Symbol("L"), times(over(1, Symbol("m")), SumOver("i", Symbol("ℓ", None, ("i",))))),
        Line("values", None, times(page.one_over_m, shortened(listed, [each.value for each in listed], page.terms))),
        Line("sum", None, times(page.one_over_m, summed)),
        Line("result", None, Number(summed / page.m)),
    ]


def example_loss(page: Page, i: int) -> list[Line]:
    """The lines of an example's own loss, times its relative weight."""
    loss, form = page.network.loss, losses.FORMS[type(page.network.loss)]
    outputs = _outputs(page, i)
    weight, weight_symbol = _weight(page, i)
    terms = [form.term(loss, each) for each in outputs]
    found = [value_of(each) for each in terms]
    lines = [
        Line("equation", page.symbol("loss", i), times(*weight_symbol, SumOver("k", _term(page, i))), loss.formula),
        Line("values", None, times(*weight, shortened(terms, found, page.terms))),
    ]
    if form.stable is not None and page.network.has_canonical_head:
        stable = [form.stable(loss, each) for each in outputs]
        found = [value_of(each) for each in stable]
        lines.append(
            Line(
                "values",
                None,
                times(*weight, shortened(stable, found, page.terms)),
                "the same from Z, where no logarithm meets a rounded 0",
            )
        )
    scale = value_of(times(*weight))
    return [
        *lines,
        Line("products", None, times(*weight, shortened([number(each) for each in found], found, page.terms))),
        Line("result", None, Number(scale * total(found))),
    ]


def head(page: Page, index: Index, *, by: str) -> list[Line]:
    """dA[L], or dZ[L] by the shortcut."""
    loss, form = page.network.loss, losses.FORMS[type(page.network.loss)]
    i, k = index
    derivative = form.dA if by == "A" else form.dZ
    weight, weight_symbol = _weight(page, i)
    if page.convention == "mean":
        weight, weight_symbol = [page.one_over_m, *weight], [over(1, Symbol("m")), *weight_symbol]
    names = page.network.boundary_names
    name = derivative_of(names[-1 if by == "A" else -2])
    found = derivative(loss, _outputs(page, i)[k])
    own = value_of(found)
    symbols = derivative(loss, _output_symbols(page, i)[k])
    lines = [
        Line("element", page.symbol(name, i, k), times(*weight_symbol, symbols), loss.derivative),
        Line("values", None, times(*weight, found)),
    ]
    if weight:
        lines.append(Line("products", None, times(*weight, own)))
    return [*lines, Line("result", None, Number(value_of(times(*weight, own))))]


def _outputs(page: Page, i: int) -> list[Output]:
    z, a = page.network.boundary_names[-2:]
    row: list[Output] = []
    for k in range(page.network.n_out):
        y = page.number("Y", (i, k))
        Z = page.number(z, (i, k)) if page.network.has_canonical_head else page.number(a, (i, k))
        row.append(Output(Z, page.number(a, (i, k)), y, y.value > 0.5, row))
    return row


def _output_symbols(page: Page, i: int) -> list[Output]:
    z, a = page.network.boundary_names[-2:]
    row: list[Output] = []
    for k in range(page.network.n_out):
        is_yes = float(page.batch.Y[i, k]) > 0.5
        row.append(Output(page.symbol(z, i, k), page.symbol(a, i, k), page.symbol("Y", i, k), is_yes, row))
    return row


def _term(page: Page, i: int) -> Expression:
    """What any output k adds to the loss of an example, in symbols."""
    loss = page.network.loss
    if isinstance(loss, BY_LABEL):
        return Symbol("ℓ", None, (str(i), "k"))
    z, a = page.network.boundary_names[-2:]
    output = Output(page.symbol(z, i, "k"), page.symbol(a, i, "k"), page.symbol("Y", i, "k"), False, _outputs(page, i))
    return losses.FORMS[type(loss)].term(loss, output)


def _weight(page: Page, i: int) -> tuple[list[Expression], list[Expression]]:
    """An example's relative weight, as a number and as a symbol; nothing where all count alike."""
    weights = page.batch.head.weights
    return ([], []) if weights is None else ([Number(float(weights[i, 0]))], [Symbol("w", None, (str(i),))])
