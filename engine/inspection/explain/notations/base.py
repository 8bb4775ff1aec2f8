"""What all notations of mathematics have in common: what binds closer than what, and where brackets must stand."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from engine.inspection.explain.expressions import (
    Apply,
    Expression,
    Matrix,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Rest,
    Size,
    Sum,
    SumOver,
    Symbol,
    Truth,
    apply,
    plus,
    times,
)

SUM, PRODUCT, ATOM = 1, 2, 3
"""How closely an expression holds together."""
LETTERS = {
    "loss": "ℓ",
    "gamma": "γ",
    "beta": "β",
    "dgamma": "dγ",
    "dbeta": "dβ",
    "running_mean": "μ",
    "running_var": "σ²",
}
"""How tensors with a word for a name are written."""
NAMES = {"slope": "g′", "sigmoid": "σ", "normal": "Φ", "density": "φ"}
"""How functions are written whose name is another."""


class Notation(ABC):
    """Writes expressions, numbers to so many significant digits."""

    def __init__(self, digits: int) -> None:
        self.digits = digits

    def write(self, expression: Expression, within: int = SUM) -> str:
        """An expression as part of one that holds together as closely as `within`."""
        shown = plain(expression)
        written = self._written(shown)
        return self.bracketed(written) if self.closeness(shown) < within else written

    def closeness(self, expression: Expression) -> int:
        """How closely an expression holds together when it is written."""
        match expression:
            case Sum(terms=terms, rest=rest) if len(terms) > 1 or rest:
                return SUM
            case Negative() | Number() | Product() if is_negative(expression):
                return SUM
            case Product() | SumOver() | Quotient():
                return PRODUCT
            case _:
                return ATOM

    def _written(self, expression: Expression) -> str:
        match expression:
            case Number():
                return self.number(expression)
            case Symbol():
                return self.symbol(expression)
            case Size(shape=shape, is_transposed=is_transposed):
                return self.size(shape[::-1] if is_transposed else shape)
            case Matrix():
                return self.matrix(expression)
            case Sum(terms=terms, rest=rest):
                return self._sum(terms, rest)
            case SumOver(index=index, body=body):
                return self.sum_over(index, self.write(body, PRODUCT))
            case Product(factors=factors, sign=sign):
                return self._product(factors, sign)
            case Quotient(top=top, bottom=bottom):
                return self.quotient(top, bottom)
            case Power(base=base, exponent=exponent):
                return self.power(self.write(base, ATOM + (isinstance(base, Power))), exponent)
            case Negative(inner=inner):
                return self.joined([self.sign("−"), self.write(inner, PRODUCT)])
            case Truth(left=left, relation=relation, right=right):
                return self.truth(self.joined([self.write(left), self.sign(relation, spaced=True), self.write(right)]))
            case Apply(function=function, arguments=arguments):
                return self.apply(function, arguments)

    def _sum(self, terms: Sequence[Expression], rest: Rest | None) -> str:
        parts = [self.write(term) if place == 0 else self._next(plain(term)) for place, term in enumerate(terms)]
        if rest:
            parts.append(self.joined([self.sign("+", spaced=True), self.rest(rest)]))
        return self.joined(parts)

    def _next(self, term: Expression) -> str:
        """A term with what stands between it and the one before."""
        match term:
            case Negative(inner=inner):
                sign, rest = "−", self.write(inner, PRODUCT)
            case Number(value=value, address=address) if value < 0:
                sign, rest = "−", self.number(Number(-value, address), of=term)
            case _:
                sign, rest = "+", self.write(term, PRODUCT)
        return self.joined([self.sign(sign, spaced=True), rest])

    def _product(self, factors: Sequence[Expression], sign: str) -> str:
        parts = [self.write(factors[0], SUM if is_negative(factors[0]) else PRODUCT)]
        for factor in factors[1:]:
            parts += [self.sign(sign, spaced=sign == "⊙")] if sign else [self.space]
            parts.append(self.write(factor, PRODUCT))
        return self.joined(parts)

    space: str = " "
    """Between matrices that are multiplied."""

    def joined(self, parts: Sequence[str]) -> str:
        """Parts side by side."""
        return "".join(parts)

    @abstractmethod
    def number(self, number: Number, *, of: Number | None = None) -> str:
        """A number; `of` is the one it is the size of, where its sign stands before it."""

    @abstractmethod
    def symbol(self, symbol: Symbol) -> str:
        """A letter with what stands above and below."""

    @abstractmethod
    def size(self, shape: tuple[int, ...]) -> str:
        """(5×3)."""

    @abstractmethod
    def matrix(self, matrix: Matrix) -> str:
        """All numbers of a matrix."""

    @abstractmethod
    def sign(self, sign: str, *, spaced: bool = False) -> str:
        """An operator or a relation."""

    @abstractmethod
    def bracketed(self, inner: str) -> str:
        """(inner)."""

    @abstractmethod
    def truth(self, inner: str) -> str:
        """[inner]."""

    @abstractmethod
    def rest(self, rest: Rest) -> str:
        """The subtotal of terms that are not listed."""

    @abstractmethod
    def sum_over(self, index: str, body: str) -> str:
        """Σ_index body."""

    @abstractmethod
    def quotient(self, top: Expression, bottom: Expression) -> str:
        """top/bottom."""

    @abstractmethod
    def power(self, base: str, exponent: Expression) -> str:
        """base^exponent."""

    @abstractmethod
    def apply(self, function: str, arguments: Sequence[Expression]) -> str:
        """function(arguments)."""

    def significant(self, value: float) -> tuple[str, int | None]:
        """A number's digits and, where it is very large or small, the power of ten behind them."""
        text = f"{value:.{self.digits}g}".replace("inf", "∞")
        mantissa, _, exponent = text.partition("e")
        return mantissa.replace("-", "−"), int(exponent) if exponent else None


def is_negative(expression: Expression) -> bool:
    """Whether what is written begins with a minus."""
    match expression:
        case Number(value=value):
            return value < 0
        case Negative():
            return True
        case Product(factors=(first, *_)):
            return is_negative(first)
        case _:
            return False


def plain(expression: Expression) -> Expression:
    """The same without functions that are shorthands for several."""
    match expression:
        case Sum(terms=(only,), rest=None):
            return plain(only)
        case Apply(function="x_log_y", arguments=(x, y)):
            return times(x, apply("log", y))
        case Apply(function="log_1_plus_exp", arguments=(x,)):
            return apply("log", plus(1, apply("exp", x)))
        case Apply(function="log_sum_exp", arguments=arguments):
            return apply("log", plus(*(apply("exp", each) for each in arguments)))
        case Apply(function="log_cosh", arguments=arguments):
            return apply("log", Apply("cosh", arguments))
        case _:
            return expression
