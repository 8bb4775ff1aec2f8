"""What a spec can name."""

from fastapi import APIRouter

from engine.catalogue import catalogue
from service.problems import errors_of
from service.schemas.layers import CatalogueBody

router = APIRouter(prefix="/v1/layers", tags=["about"])


@router.get("", responses=errors_of())
def list_layers() -> CatalogueBody:
    """Everything a spec can name, from layers to clips and metrics: its formula, its source, its parameters."""
    return CatalogueBody.model_validate(catalogue())
