"""Explanations: how any one number of a pass comes about, and sheets of whole small nets, in several notations."""

from engine.inspection.explain.derivation import TERMS, Explanation, explain
from engine.inspection.explain.documents import DIGITS, as_html, as_json, as_latex, as_markdown, html_body
from engine.inspection.explain.sheet import sheet

__all__ = [
    "DIGITS",
    "TERMS",
    "Explanation",
    "as_html",
    "as_json",
    "as_latex",
    "as_markdown",
    "explain",
    "html_body",
    "sheet",
]
