"""Pages at the door: the token, and the API's own documentation."""

import hmac

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.dependencies import SettingsDep
from service.security import COOKIE, pass_of
from service.ui.pages.common import IN_FORMS, Form, there
from service.ui.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs_page(request: Request) -> Response:
    """Every route, to be tried in the browser, without anything from another host."""
    return render(request, "docs.html", here="docs_page")


@router.get("/login")
def login_page(request: Request) -> Response:
    """Where a browser says the token."""
    return render(request, "login.html", here="", is_wrong=False)


@router.post("/login", openapi_extra=IN_FORMS)
def login(request: Request, form: Form, settings: SettingsDep) -> Response:
    """Remember in a cookie, which no script can read, that the token was said."""
    token = settings.token.get_secret_value().encode() if settings.token else b""
    if not hmac.compare_digest(form.get("token", "").encode(), token):
        return render(request, "login.html", code=401, here="", is_wrong=True)
    found = there(request, "list_runs_page")
    secure = request.url.scheme == "https"
    found.set_cookie(COOKIE, pass_of(token), httponly=True, samesite="lax", secure=secure, max_age=30 * 24 * 3600)
    return found
