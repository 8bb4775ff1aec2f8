"""What an inspection can be asked for."""

from fastapi import APIRouter

from engine.inspection import inspection_catalogue
from service.problems import errors_of
from service.schemas.quantities import QuantitiesBody, QuantityBody

router = APIRouter(prefix="/v1/inspection/quantities", tags=["inspection"])


@router.get("", responses=errors_of())
def list_quantities() -> QuantitiesBody:
    """Every tensor of a pass, and every quantity computed of it: equation, shape, cost, source, options it wants."""
    return QuantitiesBody(items=[QuantityBody.model_validate(entry) for entry in inspection_catalogue()])
