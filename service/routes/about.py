"""Where to begin."""

from fastapi import APIRouter

from engine import __version__
from service.problems import errors_of
from service.schemas.about import AboutBody

router = APIRouter(tags=["about"])


@router.get("/", responses=errors_of())
async def get_about() -> AboutBody:
    """What answers here, and where to look first."""
    return AboutBody(
        name="Chainrule", version=__version__, documentation="/docs", openapi="/openapi.json", health="/v1/health/ready"
    )
