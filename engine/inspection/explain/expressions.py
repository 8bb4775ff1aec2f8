"""Expressions: what stands on a line of a derivation. They can be written in several notations, and computed.

A number that belongs to a tensor carries its address. Symbols have no value; everything else has one as soon as it
holds no symbol.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import erfc, fsum, inf, nan, pi, sqrt

import numpy as np

from engine.parameters import Array, Shape


@dataclass(frozen=True)
class Number:
    """A number, with its address where it is one of a tensor's."""

    value: float
    address: str | None = None


@dataclass(frozen=True)
class Symbol:
    """A letter with the number of its layer above and its indices below, as dW^[2]_{0,3}."""

    letter: str
    layer: str | None = None
    index: tuple[str, ...] = ()
    is_transposed: bool = False


@dataclass(frozen=True)
class Size:
    """The shape of a tensor, where its symbol would stand."""

    shape: Shape
    is_transposed: bool = False


@dataclass(frozen=True)
class Matrix:
    """All numbers of a tensor, in the orientation of the page; a vector is written as one row."""

    values: Array
    name: str
    is_transposed: bool = False


@dataclass(frozen=True)
class Sum:
    """a + b + …; what is left out is counted and summed in `rest`."""

    terms: tuple["Expression", ...]
    rest: "Rest | None" = None


@dataclass(frozen=True)
class Rest:
    """Terms that are not listed."""

    count: int
    subtotal: float


@dataclass(frozen=True)
class SumOver:
    """Σ over an index of what stands behind it."""

    index: str
    body: "Expression"


@dataclass(frozen=True)
class Product:
    """a·b·…; `sign` is what stands between: · for numbers, nothing for matrices, ⊙ element by element."""

    factors: tuple["Expression", ...]
    sign: str = "·"


@dataclass(frozen=True)
class Quotient:
    """a/b, 0/0 being 0 as in the losses."""

    top: "Expression"
    bottom: "Expression"


@dataclass(frozen=True)
class Power:
    """base^exponent."""

    base: "Expression"
    exponent: "Expression"


@dataclass(frozen=True)
class Negative:
    """−x."""

    inner: "Expression"


@dataclass(frozen=True)
class Apply:
    """A function of the table below."""

    function: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True)
class Truth:
    """[a > b], Iverson's bracket: 1 where it holds, else 0."""

    left: "Expression"
    relation: str
    """<, ≤, > or ≥."""
    right: "Expression"


Expression = Number | Symbol | Size | Matrix | Sum | SumOver | Product | Quotient | Power | Negative | Apply | Truth


def number(value: float | Expression) -> Expression:
    """A plain number as an expression."""
    return Number(float(value)) if isinstance(value, (int, float)) else value


def plus(*terms: float | Expression) -> Expression:
    """a + b + …"""
    return Sum(tuple(map(number, terms)))


def minus(left: float | Expression, right: float | Expression) -> Expression:
    """a − b."""
    return Sum((number(left), Negative(number(right))))


def times(*factors: float | Expression) -> Expression:
    """a·b·…, without the factors that are just 1."""
    found = tuple(each for each in map(number, factors) if each != Number(1.0))
    return Product(found) if len(found) > 1 else found[0] if found else Number(1.0)


def over(top: float | Expression, bottom: float | Expression) -> Expression:
    """a/b."""
    return Quotient(number(top), number(bottom))


def power(base: float | Expression, exponent: float | Expression) -> Expression:
    """a^b, a itself where b is 1."""
    found = number(exponent)
    return number(base) if found == Number(1.0) else Power(number(base), found)


def negative(inner: float | Expression) -> Expression:
    """−a."""
    return Negative(number(inner))


def apply(function: str, *arguments: float | Expression) -> Expression:
    """A function of the table below."""
    return Apply(function, tuple(map(number, arguments)))


def greater(left: float | Expression, right: float | Expression) -> Expression:
    """[a > b]."""
    return Truth(number(left), ">", number(right))


def less(left: float | Expression, right: float | Expression) -> Expression:
    """[a < b]."""
    return Truth(number(left), "<", number(right))


def at_most(left: float | Expression, right: float | Expression) -> Expression:
    """[a ≤ b]."""
    return Truth(number(left), "≤", number(right))


def shortened(terms: Sequence[Expression], values: Sequence[float], most: int) -> Sum:
    """A sum with at most so many terms listed, and the others' subtotal."""
    if len(terms) <= most:
        return Sum(tuple(terms))
    return Sum(tuple(terms[:most]), Rest(len(terms) - most, fsum(values[most:])))


# Values ------------------------------------------------------------------------------------------------------------


def _log_cosh(x: float) -> float:
    return float(abs(x) + np.log1p(np.expm1(-2 * abs(x)) / 2))


def _log_sum_exp(*values: float) -> float:
    largest = max(values)
    return largest + float(np.log(fsum(np.exp(value - largest) for value in values)))


def _x_log_y(x: float, y: float) -> float:
    return 0.0 if x == 0 else x * float(np.log(y))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": lambda x: float(np.exp(x)),
    "log": lambda x: float(np.log(x)),
    "sqrt": lambda x: float(np.sqrt(x)),
    "tanh": lambda x: float(np.tanh(x)),
    "sigmoid": lambda x: float(1 / (1 + np.exp(-x))) if x >= 0 else float(np.exp(x) / (1 + np.exp(x))),
    "log_1_plus_exp": lambda x: float(np.logaddexp(0, x)),
    "log_sum_exp": _log_sum_exp,
    "log_cosh": _log_cosh,
    "x_log_y": _x_log_y,
    "normal": lambda x: erfc(-x / sqrt(2)) / 2,
    "density": lambda x: float(np.exp(-x * x / 2)) / sqrt(2 * pi),
    "abs": abs,
    "sign": lambda x: float(np.sign(x)),
    "max": max,
    "min": min,
}
"""By the names notations know them by; `normal` and `density` are Φ and φ of the standard normal distribution,
`x_log_y` is x·log y with 0·log 0 = 0."""

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "≤": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "≥": lambda a, b: a >= b,
}


def value_of(expression: Expression) -> float:
    """What an expression without symbols comes to; sums are exact before they are rounded once."""
    with np.errstate(all="ignore"):
        return _value(expression)


def _value(expression: Expression) -> float:
    match expression:
        case Number(value=value):
            return value
        case Sum(terms=terms, rest=rest):
            return total([*map(_value, terms), *([rest.subtotal] if rest else [])])
        case Product(factors=factors):
            return float(np.prod([_value(each) for each in factors]))
        case Quotient(top=top, bottom=bottom):
            above = _value(top)
            return float(np.float64(above) / _value(bottom)) if above else 0.0
        case Power(base=base, exponent=exponent):
            return float(np.float64(_value(base)) ** _value(exponent))
        case Negative(inner=inner):
            return -_value(inner)
        case Apply(function=function, arguments=arguments):
            return FUNCTIONS[function](*map(_value, arguments))
        case Truth(left=left, relation=relation, right=right):
            return float(RELATIONS[relation](_value(left), _value(right)))
        case _:
            raise TypeError(f"expected an expression with a value, got {type(expression).__name__}")


def total(values: Sequence[float]) -> float:
    """The sum, rounded once (Shewchuk 1997, Adaptive precision floating-point arithmetic); of what is not finite, the
    plain one."""
    try:
        return fsum(values)
    except (OverflowError, ValueError):  # beyond the largest number, or ∞ − ∞
        plain = sum(values)
        return plain if abs(plain) == inf else nan
