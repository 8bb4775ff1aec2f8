"""What a spec can name."""

from fastapi import APIRouter

from engine.catalogue import catalogue
from service.problems import errors_of
from service.schemas.layers import CatalogueBody

router = APIRouter(prefix="/v1/layers", tags=["about"])


@router.get("", responses=errors_of())
def list_layers() -> CatalogueBody:
    """Every layer, activation, loss, initializer, optimizer and metric: its formula, its source, its parameters."""
    return CatalogueBody.model_validate(catalogue())
