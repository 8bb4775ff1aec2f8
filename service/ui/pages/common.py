"""What pages have in common: forms, and going on to another page."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from service.ui.rendering import address

LISTED = 25
CURVE_POINTS = 600
FORM_TYPE = "application/x-www-form-urlencoded"
IN_FORMS = {"requestBody": {"content": {FORM_TYPE: {"schema": {"type": "object"}}}}}
FILE_TYPE = "multipart/form-data"
IN_FILES = {"requestBody": {"content": {FILE_TYPE: {"schema": {"type": "object"}}}}}


async def _form(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _figure(
    figure: Annotated[str | None, Query(max_length=60)] = None,
    form: Annotated[Literal["svg", "csv"] | None, Query(alias="as")] = None,
) -> None:
    """What `figures.asked_for` reads."""


WithFigures = Depends(_figure)
"""A page whose figures can be taken along."""

Form = Annotated[dict[str, str], Depends(_form)]


def there(request: Request, route: str, *, query: Mapping[str, Any] | None = None, **names: Any) -> Response:
    """Go on to another page."""
    asked = f"?{urlencode(query)}" if query else ""
    return RedirectResponse(address(request, route, **names) + asked, status_code=303)
