"""What pages have in common: forms, and going on to another page."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.responses import RedirectResponse, Response

from service.ui.rendering import address

ItemT = TypeVar("ItemT")

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


def checked(kind: type[ItemT], content: Any) -> ItemT:
    """What a form says, as a body or a question of that kind. RequestValidationError names each field that is wrong."""
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found, body=content) from error


def there(request: Request, route: str, *, query: Mapping[str, Any] | None = None, **names: Any) -> Response:
    """Go on to another page."""
    asked = f"?{urlencode(query)}" if query else ""
    return RedirectResponse(address(request, route, **names) + asked, status_code=303)
