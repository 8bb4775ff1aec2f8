"""Documents: an explanation as JSON, Markdown, LaTeX or a page of HTML."""

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from engine.inspection.explain.derivation import Explanation
from engine.inspection.explain.notations.base import Notation
from engine.inspection.explain.notations.latex import Latex, escaped, in_words
from engine.inspection.explain.notations.mathml import XHTML, Link, MathMl
from engine.inspection.explain.notations.structure import finite, structure
from engine.inspection.explain.notations.text import Text
from engine.inspection.explain.page import Line, Section

DIGITS = 6
"""Significant ones, unless told otherwise; JSON has them all beside."""


def as_json(found: Explanation, *, digits: int = DIGITS) -> dict[str, Any]:
    """An object in which each line is a text and a tree, whose numbers are whole and carry their addresses."""
    text = Text(digits)
    return {
        "address": found.address,
        "orientation": found.orientation,
        "convention": found.convention,
        "value": None if found.value is None else finite(found.value),
        "computed": None if found.computed is None else finite(found.computed),
        "ulps": found.ulps,
        "sections": [
            {"title": section.title, "lines": [_object(line, text) for line in section.lines]}
            for section in found.sections
        ],
    }


def _object(line: Line, text: Text) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "text": _equation(line, text),
        "note": line.note,
        "left": None if line.left is None else structure(line.left),
        "right": structure(line.right),
    }


def _equation(line: Line, notation: Notation) -> str:
    left = "" if line.left is None else f"{notation.write(line.left)} "
    return f"{left}= {notation.write(line.right)}"


def as_markdown(found: Explanation, *, digits: int = DIGITS) -> str:
    """Headings, and formulas in $$ as GitHub and notebooks show them."""
    latex = Latex(digits)
    parts = [f"# {found.address}", _introduction(found)]
    for section in found.sections:
        if section.title != found.address:
            parts.append(f"## {section.title}")
        parts.append(f"$$\n\\begin{{aligned}}\n{_rows(section, latex, escaped)}\n\\end{{aligned}}\n$$")
    return "\n\n".join([*parts, _ending(found)]).rstrip() + "\n"


def as_latex(found: Explanation, *, digits: int = DIGITS) -> str:
    """A document that compiles as it is, with amsmath and geometry."""
    latex = Latex(digits)
    parts = [f"{in_words(_introduction(found))}\n"]
    for section in found.sections:
        parts.append(f"\\section*{{{in_words(section.title)}}}")
        parts.append(f"\\begin{{align*}}\n{_rows(section, latex, in_words)}\n\\end{{align*}}")
    body = "\n".join([*parts, in_words(_ending(found))]).rstrip()
    return f"{PREAMBLE}\\begin{{document}}\n{body}\n\\end{{document}}\n"


PREAMBLE = r"""\documentclass{article}
\usepackage{amsmath}
\usepackage[a3paper,landscape,margin=15mm]{geometry}
\setcounter{MaxMatrixCols}{64}
\allowdisplaybreaks
"""


def _rows(section: Section, latex: Latex, words: Callable[[str], str]) -> str:
    """The lines, aligned at their equals signs; `words` makes a note's characters plain."""
    rows = []
    for line in section.lines:
        left = "" if line.left is None else latex.write(line.left)
        note = f" && \\text{{{words(line.note)}}}" if line.note else ""
        rows.append(f"{left} &= {latex.write(line.right)}{note}")
    return " \\\\\n".join(rows)


def as_html(found: Explanation, *, digits: int = DIGITS, link: Link = lambda address: None) -> str:
    """A page of its own, in XHTML's spelling, with MathML whose numbers link to their own explanations."""
    return (
        f'<!DOCTYPE html>\n<html xmlns="{XHTML}" lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f"<title>{escape(found.address)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{html_body(found, digits=digits, link=link)}\n</body>\n</html>\n"
    )


def html_body(found: Explanation, *, digits: int = DIGITS, link: Link = lambda address: None) -> str:
    """What such a page says, for a page that has a head of its own."""
    mathml = MathMl(digits, link)
    parts = [f"<h1>{escape(found.address)}</h1>", f"<p>{escape(_introduction(found))}</p>"]
    for section in found.sections:
        if section.title != found.address:
            parts.append(f"<h2>{escape(section.title)}</h2>")
        rows = "\n".join(_row(line, mathml) for line in section.lines)
        parts.append(f"<table>\n{rows}\n</table>")
    if ending := _ending(found):
        parts.append(f"<p>{escape(ending)}</p>")
    return "\n".join(parts)


STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem;overflow-x:auto}"
    "td{padding:.3rem .5rem;vertical-align:middle;white-space:nowrap}td:first-child{text-align:right}"
    "td.note{color:#666;font-size:.9rem}a{color:inherit;text-decoration-color:#8ac}"
)
MATH = "http://www.w3.org/1998/Math/MathML"


def _row(line: Line, mathml: MathMl) -> str:
    left = "" if line.left is None else _math(mathml.write(line.left))
    right = _math(f"<mo>=</mo>{mathml.write(line.right)}")
    return f'<tr class="{line.kind}"><td>{left}</td><td>{right}</td><td class="note">{escape(line.note)}</td></tr>'


def _math(inner: str) -> str:
    role = ' role="group"' if "<a " in inner else ""  # or what is inside, its links too, would count as one picture
    return f'<math xmlns="{MATH}" displaystyle="true"{role}><mrow>{inner}</mrow></math>'


def _introduction(found: Explanation) -> str:
    shape = (
        "examples are columns, W is (n_out, n_in)"
        if found.orientation == "columns"
        else ("examples are rows, W is (n_in, n_out)")
    )
    own = "each example's own loss, without 1/m" if found.convention == "per_example" else "the mean loss, with 1/m"
    return f"With dropout off; {shape}; dZ and dA are derivatives of {own}."


def _ending(found: Explanation) -> str:
    if found.value is None or found.computed is None:
        return ""
    distance = "" if found.ulps is None else f", {found.ulps:.3g} units in the last place away"
    return (
        f"In full {found.value!r}; the engine's own pass, whose sums are rounded at each step, gave "
        f"{found.computed!r}{distance}."
    )
