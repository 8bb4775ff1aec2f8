"""LaTeX with amsmath."""

import re
from collections.abc import Sequence

from engine.inspection.explain.expressions import Expression, Matrix, Number, Rest, Symbol
from engine.inspection.explain.notations.base import LETTERS, Notation

LETTERS_IN_LATEX = {
    "ℓ": r"\ell",
    "γ": r"\gamma",
    "β": r"\beta",
    "μ": r"\mu",
    "σ²": r"\sigma^{2}",
    "ε": r"\varepsilon",
    "η": r"\eta",
}
SIGNS = {"·": r"\cdot ", "⊙": r"\odot ", "−": "-", "≤": r"\le ", "≥": r"\ge ", "<": "<", ">": ">", "+": "+"}
FUNCTIONS = {
    "log": r"\log",
    "tanh": r"\tanh",
    "cosh": r"\cosh",
    "max": r"\max",
    "min": r"\min",
    "slope": "g'",
    "g": "g",
    "sigmoid": r"\sigma",
    "normal": r"\Phi",
    "density": r"\varphi",
}
SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
}

IN_FORMULAS = {
    "−": "-",
    "·": r"\cdot ",
    "Σ": r"\Sigma ",
    "²": "^{2}",
    "³": "^{3}",
    "½": r"\tfrac{1}{2}",
    "ᶻ": "^{z}",
    "ᴬ": "^{A}",
    "⁻": "^{-}",
    "ⱼ": "_{j}",
    "σ": r"\sigma ",
    "Φ": r"\Phi ",
    "λ": r"\lambda ",
    "α": r"\alpha ",
    "γ": r"\gamma ",
    "β": r"\beta ",
    "ε": r"\varepsilon ",
    "μ": r"\mu ",
    "π": r"\pi ",
    "η": r"\eta ",
    "⊙": r"\odot ",
    "≤": r"\le ",
    "≥": r"\ge ",
    "√": r"\surd ",
    "∓": r"\mp ",
    "±": r"\pm ",
    "×": r"\times ",
    "′": "'",
    "ᵀ": r"^{\top}",
    "∞": r"\infty ",
    "⁻ᶻ": "^{-z}",
    "⁻ᴬ": "^{-A}",
    "X̂": r"\hat{X}",
}
"""What stands in the words of a formula and in no font of text."""


class Latex(Notation):
    """What stands inside of a formula."""

    space = r"\,"

    def number(self, number: Number, *, of: Number | None = None) -> str:
        mantissa, exponent = self.significant(number.value)
        mantissa = mantissa.replace("−", "-").replace("∞", r"\infty ").replace("nan", r"\mathrm{NaN}")
        return mantissa if exponent is None else rf"{mantissa}\cdot 10^{{{exponent}}}"

    def symbol(self, symbol: Symbol) -> str:
        raised = (f"[{_worded(symbol.layer)}]" if symbol.layer else "") + (r"\top" if symbol.is_transposed else "")
        index = f"_{{{','.join(symbol.index)}}}" if symbol.index else ""
        letter = _letter(LETTERS.get(symbol.letter, symbol.letter))
        if raised and "^" in letter:
            letter = f"{{{letter}}}"
        return f"{letter}{f'^{{{raised}}}' if raised else ''}{index}"

    def size(self, shape: tuple[int, ...]) -> str:
        sides = r"\times ".join(map(str, shape))
        return f"({sides})"

    def matrix(self, matrix: Matrix) -> str:
        rows = matrix.values.reshape(-1, matrix.values.shape[-1]).tolist()
        inner = r" \\ ".join(" & ".join(self.number(Number(value)) for value in row) for row in rows)
        raised = r"^{\top}" if matrix.is_transposed else ""
        return rf"\begin{{pmatrix}} {inner} \end{{pmatrix}}{raised}"

    def sign(self, sign: str, *, spaced: bool = False) -> str:
        return f" {SIGNS[sign]} " if spaced else SIGNS[sign]

    def bracketed(self, inner: str) -> str:
        return rf"\bigl({inner}\bigr)"

    def truth(self, inner: str) -> str:
        return f"[{inner}]"

    def rest(self, rest: Rest) -> str:
        return rf"\underbrace{{{self.number(Number(rest.subtotal))}}}_{{\text{{{rest.count} more}}}}"

    def sum_over(self, index: str, body: str) -> str:
        return rf"\sum_{{{index}}} {body}"

    def quotient(self, top: Expression, bottom: Expression) -> str:
        return rf"\frac{{{self.write(top)}}}{{{self.write(bottom)}}}"

    def power(self, base: str, exponent: Expression) -> str:
        return f"{{{base}}}^{{{self.write(exponent)}}}"

    def apply(self, function: str, arguments: Sequence[Expression]) -> str:
        inner = ", ".join(map(self.write, arguments))
        if function == "exp":
            return f"e^{{{inner}}}"
        if function == "abs":
            return rf"\lvert {inner}\rvert "
        if function == "sqrt":
            return rf"\sqrt{{{inner}}}"
        name = FUNCTIONS.get(function, rf"\operatorname{{{function}}}")
        return f"{name}{self.bracketed(inner)}"


def _letter(letter: str) -> str:
    prefix = "d" if letter.startswith("d") and len(letter) > 1 else ""
    rest = letter.removeprefix("d") if prefix else letter
    if rest in LETTERS_IN_LATEX:
        return f"{prefix}{LETTERS_IN_LATEX[rest]}"
    return letter if len(rest) == 1 else rf"\mathrm{{{escaped(letter)}}}"


def _worded(layer: str) -> str:
    return layer if layer.isdigit() else rf"\text{{{escaped(layer)}}}"


def escaped(text: str) -> str:
    """Words, with every character that means something in LaTeX made plain."""
    return "".join(SPECIAL.get(each, each) for each in text)


def in_words(text: str) -> str:
    """Words with signs of mathematics in them, in ASCII alone."""
    longest_first = sorted(IN_FORMULAS, key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, longest_first))})", text)
    written = (f"${IN_FORMULAS[part]}$" if part in IN_FORMULAS else escaped(part) for part in parts if part)
    return "".join(written).replace("$$", "")
