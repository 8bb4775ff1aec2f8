"""Plain text: dW[2][0,3] = 1/8·(0.12·1.4 + …)."""

from collections.abc import Sequence

from engine.inspection.explain.expressions import Expression, Matrix, Number, Rest, Symbol
from engine.inspection.explain.notations.base import ATOM, LETTERS, NAMES, PRODUCT, Notation


class Text(Notation):
    """Unicode on one line."""

    def number(self, number: Number, *, of: Number | None = None) -> str:
        mantissa, exponent = self.significant(number.value)
        return mantissa if exponent is None else f"{mantissa}e{exponent}".replace("e-", "e−")

    def symbol(self, symbol: Symbol) -> str:
        layer = f"[{symbol.layer}]" if symbol.layer else ""
        index = f"[{','.join(symbol.index)}]" if symbol.index else ""
        return f"{LETTERS.get(symbol.letter, symbol.letter)}{layer}{index}{'ᵀ' if symbol.is_transposed else ''}"

    def size(self, shape: tuple[int, ...]) -> str:
        return f"({'×'.join(map(str, shape))})"

    def matrix(self, matrix: Matrix) -> str:
        def listed(values: object) -> str:
            if isinstance(values, list):
                return f"[{', '.join(map(listed, values))}]"
            return self.number(Number(float(values)))  # type: ignore[arg-type]

        return listed(matrix.values.tolist())

    def sign(self, sign: str, *, spaced: bool = False) -> str:
        return f" {sign} " if spaced else sign

    def bracketed(self, inner: str) -> str:
        return f"({inner})"

    def truth(self, inner: str) -> str:
        return f"[{inner}]"

    def rest(self, rest: Rest) -> str:
        return f"[{rest.count} more: {self.number(Number(rest.subtotal))}]"

    def sum_over(self, index: str, body: str) -> str:
        return f"Σ_{index} {body}"

    def quotient(self, top: Expression, bottom: Expression) -> str:
        return f"{self.write(top, PRODUCT)}/{self.write(bottom, ATOM)}"

    def power(self, base: str, exponent: Expression) -> str:
        return f"{base}^{self.write(exponent, ATOM)}"

    def apply(self, function: str, arguments: Sequence[Expression]) -> str:
        if function == "exp":
            return f"e^{self.write(arguments[0], ATOM)}"
        if function == "abs":
            return f"|{self.write(arguments[0])}|"
        if function == "sqrt":
            return f"√{self.write(arguments[0], ATOM)}"
        if function == "log" and getattr(arguments[0], "function", "") == "cosh":
            return f"log {self.write(arguments[0])}"
        return f"{NAMES.get(function, function)}({', '.join(map(self.write, arguments))})"
