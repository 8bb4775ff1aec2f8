"""Inspections that are answered later: asked with `Prefer: respond-async`, worked at by a worker, fetched here."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from service.dependencies import ReadSession, WriteSession
from service.domain import deferred
from service.problems import errors_of
from service.schemas.base import NO_NUL
from service.schemas.deferred import DeferredBody

router = APIRouter(prefix="/v1/inspections/{inspection_id}", tags=["inspection"])

InspectionId = Annotated[str, Path(examples=["insp_0193d2f4c1a09f86d081884c7d65"], max_length=60, pattern=NO_NUL)]


@router.get("", responses=errors_of(404, 422))
def get_inspection(inspection_id: InspectionId, session: ReadSession) -> DeferredBody:
    """How far a request is that was sent with `Prefer: respond-async`."""
    return DeferredBody.of(deferred.get(session, inspection_id))


@router.get("/answer", response_class=Response, responses=errors_of(404, 409, 422))
def get_inspection_answer(inspection_id: InspectionId, session: ReadSession) -> Response:
    """The answer, as the request itself would have been given it; it may be a problem."""
    row = deferred.answered(session, inspection_id)
    return Response(row.answer, row.answer_status or 200, row.answer_headers)


@router.delete("", status_code=204, responses=errors_of(404, 422))
def delete_inspection(inspection_id: InspectionId, session: WriteSession) -> None:
    """Forget a request and its answer."""
    deferred.remove(session, inspection_id)
