"""Requests that are answered later."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from service.schemas.base import Body, example

if TYPE_CHECKING:
    from service.store.tables import DeferredRow


class DeferredBody(Body):
    """A request that is answered later, and how far it is."""

    model_config = example(
        {
            "id": "insp_0193d2f4d2b19f86d081884c7d65",
            "method": "GET",
            "address": "/v1/runs/run_0193d2f4c1a09f86d081884c7d65/steps/9600",
            "status": "answered",
            "created_at": "2026-11-24T09:31:00Z",
            "finished_at": "2026-11-24T09:31:09Z",
            "answer_status": 200,
            "answer": "/v1/inspections/insp_0193d2f4d2b19f86d081884c7d65/answer",
        }
    )

    id: str
    method: str
    address: str
    """What was asked: path and query."""
    status: Literal["queued", "running", "answered", "failed"]
    created_at: datetime
    finished_at: datetime | None
    answer_status: int | None
    """Of the answer, which may be a problem."""
    answer: str | None
    """Its address, once it is there; it is kept for a day."""

    @classmethod
    def of(cls, row: "DeferredRow") -> Self:
        """The request as JSON."""
        names = ("id", "method", "address", "status", "created_at", "finished_at", "answer_status")
        address = f"/v1/inspections/{row.id}/answer" if row.status == "answered" else None
        return cls(**{name: getattr(row, name) for name in names}, answer=address)
