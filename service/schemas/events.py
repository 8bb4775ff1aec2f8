"""Events."""

from datetime import datetime
from typing import Any

from service.schemas.base import Body


class EventBody(Body):
    """Something that happened to a run."""

    sequence: int
    """Counted from 1 within the run."""
    kind: str
    at: datetime
    data: dict[str, Any]
