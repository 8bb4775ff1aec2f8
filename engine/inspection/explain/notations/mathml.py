"""MathML Core, in which a number may be a link."""

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape, quoteattr

from engine.inspection.explain.expressions import Expression, Matrix, Number, Rest, Symbol
from engine.inspection.explain.notations.base import LETTERS, NAMES, Notation

Link = Callable[[str], str | None]
"""Where the explanation of an address is; None where there is none."""
XHTML = "http://www.w3.org/1999/xhtml"


class MathMl(Notation):
    """What stands inside of a `math` element."""

    space = '<mspace width="0.2em"/>'

    def __init__(self, digits: int, link: Link) -> None:
        super().__init__(digits)
        self.link = link

    def number(self, number: Number, *, of: Number | None = None) -> str:
        mantissa, exponent = self.significant(number.value)
        shown = self._linked(mantissa, (of or number).address)
        if exponent is None:
            return f"<mn>{shown}</mn>"
        power = f"<msup><mn>10</mn><mn>{str(exponent).replace('-', '−')}</mn></msup>"
        return f"<mrow><mn>{shown}</mn>{self.sign('·')}{power}</mrow>"

    def _linked(self, text: str, address: str | None) -> str:
        if address is None:
            return escape(text)
        target, title = self.link(address), quoteattr(address)
        if target is None:
            return f'<span xmlns="{XHTML}" title={title}>{escape(text)}</span>'
        return f'<a xmlns="{XHTML}" href={quoteattr(target)} title={title}>{escape(text)}</a>'

    def symbol(self, symbol: Symbol) -> str:
        letter = LETTERS.get(symbol.letter, symbol.letter)
        base = f"<mi>{escape(letter)}</mi>"
        raised = _fenced("[", _word(symbol.layer), "]") if symbol.layer else ""
        raised += "<mo>⊤</mo>" if symbol.is_transposed else ""
        lowered = "<mo>,</mo>".join(map(_word, symbol.index))
        if raised and lowered:
            return f"<msubsup>{base}<mrow>{lowered}</mrow><mrow>{raised}</mrow></msubsup>"
        if raised:
            return f"<msup>{base}<mrow>{raised}</mrow></msup>"
        return f"<msub>{base}<mrow>{lowered}</mrow></msub>" if lowered else base

    def size(self, shape: tuple[int, ...]) -> str:
        return _fenced("(", "<mo>×</mo>".join(f"<mn>{each}</mn>" for each in shape), ")")

    def matrix(self, matrix: Matrix) -> str:
        rows = matrix.values.reshape(-1, matrix.values.shape[-1]).tolist()
        cells = "".join(
            f"<mtr>{''.join(f'<mtd>{self.number(Number(value))}</mtd>' for value in row)}</mtr>" for row in rows
        )
        table = f"<mrow><mo>(</mo><mtable>{cells}</mtable><mo>)</mo></mrow>"
        return f"<msup>{table}<mo>⊤</mo></msup>" if matrix.is_transposed else table

    def sign(self, sign: str, *, spaced: bool = False) -> str:
        return f"<mo>{escape(sign)}</mo>"

    def bracketed(self, inner: str) -> str:
        return _fenced("(", inner, ")")

    def truth(self, inner: str) -> str:
        return _fenced("[", inner, "]")

    def rest(self, rest: Rest) -> str:
        braced = f"<munder>{self.number(Number(rest.subtotal))}<mo>⏟</mo></munder>"
        return f"<munder>{braced}<mtext>{rest.count} more</mtext></munder>"

    def sum_over(self, index: str, body: str) -> str:
        return f"<mrow><munder><mo>∑</mo><mi>{escape(index)}</mi></munder>{body}</mrow>"

    def quotient(self, top: Expression, bottom: Expression) -> str:
        return f"<mfrac><mrow>{self.write(top)}</mrow><mrow>{self.write(bottom)}</mrow></mfrac>"

    def power(self, base: str, exponent: Expression) -> str:
        return f"<msup><mrow>{base}</mrow><mrow>{self.write(exponent)}</mrow></msup>"

    def apply(self, function: str, arguments: Sequence[Expression]) -> str:
        inner = "<mo>,</mo>".join(map(self.write, arguments))
        if function == "exp":
            return f"<msup><mi>e</mi><mrow>{inner}</mrow></msup>"
        if function == "abs":
            return _fenced("|", inner, "|")
        if function == "sqrt":
            return f"<msqrt>{inner}</msqrt>"
        return f"<mrow><mi>{escape(NAMES.get(function, function))}</mi>{_fenced('(', inner, ')')}</mrow>"


def _fenced(left: str, inner: str, right: str) -> str:
    """Brackets that keep their size, in exponents too."""
    fences = [f'<mo stretchy="false">{each}</mo>' for each in (left, right)]
    return f"<mrow>{fences[0]}{inner}{fences[1]}</mrow>"


def _word(text: str) -> str:
    if text.isdigit():
        return f"<mn>{text}</mn>"
    return f"<mi>{escape(text)}</mi>" if len(text) == 1 else f"<mtext>{escape(text)}</mtext>"
