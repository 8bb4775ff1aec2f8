"""Structure: expressions as nested objects for programs, numbers in full and with their addresses."""

from math import isfinite
from typing import Any

from engine.inspection.explain.expressions import (
    Apply,
    Expression,
    Matrix,
    Negative,
    Number,
    Power,
    Product,
    Quotient,
    Size,
    Sum,
    SumOver,
    Symbol,
    Truth,
)


def structure(expression: Expression) -> dict[str, Any]:
    """An object with the kind of expression as its key; a number that is not finite is null."""
    match expression:
        case Number(value=value, address=address):
            return {"number": finite(value), **({"address": address} if address else {})}
        case Symbol(letter=letter, layer=layer, index=index, is_transposed=is_transposed):
            return {"symbol": letter, "layer": layer, "index": list(index), "transposed": is_transposed}
        case Size(shape=shape, is_transposed=is_transposed):
            return {"shape": list(shape[::-1] if is_transposed else shape)}
        case Matrix(values=values, name=name, is_transposed=is_transposed):
            return {"matrix": _finite(values.tolist()), "address": name, "transposed": is_transposed}
        case Sum(terms=terms, rest=rest):
            found: dict[str, Any] = {"sum": [structure(each) for each in terms]}
            return found | ({"rest": {"count": rest.count, "subtotal": finite(rest.subtotal)}} if rest else {})
        case SumOver(index=index_, body=body):
            return {"sum_over": index_, "of": structure(body)}
        case Product(factors=factors, sign=sign):
            return {"product": [structure(each) for each in factors], **({"elementwise": True} if sign == "⊙" else {})}
        case Quotient(top=top, bottom=bottom):
            return {"quotient": [structure(top), structure(bottom)]}
        case Power(base=base, exponent=exponent):
            return {"power": [structure(base), structure(exponent)]}
        case Negative(inner=inner):
            return {"negative": structure(inner)}
        case Truth(left=left, relation=relation, right=right):
            return {"truth": [structure(left), relation, structure(right)]}
        case Apply(function=function, arguments=arguments):
            return {"function": function, "of": [structure(each) for each in arguments]}


def finite(value: float) -> float | None:
    """A number that JSON knows, or None."""
    return value if isfinite(value) else None


def _finite(values: Any) -> Any:
    return [_finite(each) for each in values] if isinstance(values, list) else finite(values)
