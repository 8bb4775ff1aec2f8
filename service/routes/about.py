"""Where to begin."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import RedirectResponse, Response

from engine import __version__
from service.problems import errors_of
from service.schemas.about import AboutBody

router = APIRouter(tags=["about"])


@router.get("/", response_model=AboutBody, responses=errors_of())
async def get_about(request: Request, accept: Annotated[str, Header()] = "*/*") -> AboutBody | Response:
    """What answers here, and where to look first. A browser goes on to the pages."""
    if "text/html" in accept:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/runs", status_code=303)
    return AboutBody(
        name="Chainrule", version=__version__, documentation="/docs", openapi="/openapi.json", health="/v1/health/ready"
    )
