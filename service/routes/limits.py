"""What one request or run may ask for."""

from typing import Any

from fastapi import APIRouter

from service.dependencies import LimitsDep
from service.problems import errors_of

router = APIRouter(prefix="/v1/limits", tags=["about"])


EXAMPLE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": {"request_bytes": 8_388_608, "epochs": 100_000}}}}
}


@router.get("", responses={**EXAMPLE, **errors_of()})
def get_limits(limits: LimitsDep) -> dict[str, int]:
    """Every limit by the name that errors give it; each is the setting CHAINRULE_LIMIT_<NAME>."""
    return limits.model_dump()
