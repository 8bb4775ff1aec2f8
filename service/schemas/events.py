"""Events."""

from datetime import datetime
from typing import Any

from service.schemas.base import Body, example


class EventBody(Body):
    """Something that happened to a run."""

    model_config = example(
        {
            "sequence": 3,
            "kind": "epoch",
            "at": "2026-11-24T09:31:00Z",
            "data": {"epoch": 1, "train.loss": 0.61, "validation.loss": 0.66},
        }
    )

    sequence: int
    """Counted from 1 within the run."""
    kind: str
    at: datetime
    data: dict[str, Any]
