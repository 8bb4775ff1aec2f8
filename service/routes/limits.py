"""What one request or run may ask for."""

from fastapi import APIRouter

from service.dependencies import LimitsDep
from service.problems import errors_of

router = APIRouter(prefix="/v1/limits", tags=["about"])


@router.get("", responses=errors_of())
def get_limits(limits: LimitsDep) -> dict[str, int]:
    """Every limit by the name that errors give it; each is the setting CHAINRULE_LIMIT_<NAME>."""
    return limits.model_dump()
