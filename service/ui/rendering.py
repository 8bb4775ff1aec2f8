"""Rendering: templates with the application's addresses, under a policy that lets nothing in from elsewhere."""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from service.ui import numbers, specs
from service.ui.figures import Figure, asked_for, query

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


TABS = {
    "run_page": "Training",
    "boundary_page": "Plane",
    "flow_page": "Gradient flow",
    "network_page": "Network",
    "walk_page": "Walk through",
    "evaluation_page": "Evaluation",
    "try_page": "Try it",
    "doctor_page": "Doctor",
}
"""The pages of a run by their routes; the plane is only of those that learn from two numbers."""


def render(
    request: Request, template: str, *, code: int = 200, figures: Sequence[Figure] | None = None, **values: Any
) -> Response:
    """A page, or one of its figures if that is what the address asks for."""
    if figures is not None and (taken := asked_for(request, figures)):
        taken.headers.update(HEADERS)
        return taken
    found = (
        _environment()
        .get_template(template)
        .render(
            url=lambda route, **names: address(request, route, **names),
            static=lambda name: address(request, "static", path=name),
            tabs=TABS,
            root=request.scope.get("root_path", ""),
            query=partial(query, request),
            figures={figure.name: figure for figure in figures or ()},
            **values,
        )
    )
    return Response(found, code, HEADERS, "text/html; charset=utf-8")


def address(request: Request, route: str, **names: Any) -> str:
    """The path of a page, under whatever the application is mounted on."""
    return str(request.scope.get("root_path", "")) + str(request.app.url_path_for(route, **names))


@cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("service.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "number": numbers.number,
        "share": numbers.share,
        "duration": numbers.duration,
        "size": numbers.size,
        "moment": numbers.moment,
        "ago": numbers.ago,
        "plain": _plain,
        "cell": _cell,
        "said": _said,
        "layer": specs.layer,
    }
    return found


def _plain(value: Any) -> str:
    """A cell of a table as it is read."""
    if value is None:
        return ""
    return numbers.number(value) if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    """A cell of a figure's table."""
    return value if isinstance(value, str) else numbers.number(value)


def _said(answer: Mapping[str, Any]) -> str:
    """A target's truth, or what the network says of it."""
    if answer.get("targets"):
        return "; ".join(f"{name}: {_said(each)}" for name, each in answer["targets"].items())
    if answer.get("label") is None:
        return numbers.number(answer.get("value"))
    likely = answer.get("probability")
    return str(answer["label"]) + ("" if likely is None else f" ({numbers.number(likely, 3)})")
