"""Watchpoints of runs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from service.schemas.base import NO_NUL, Body, Request, example

EXAMPLE: dict[str, Any] = {"quantity": "A.1.zero_share", "comparison": ">", "value": 0.9}


class WatchpointRequest(Request):
    """What a run is to be paused at."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    quantity: Annotated[
        str,
        Field(
            min_length=1, max_length=120, pattern=NO_NUL, description="A number of a step: loss, dW.1.norm, W.2[0,3]."
        ),
    ]
    comparison: Literal[">", ">=", "<", "<=", "==", "!="]
    value: Annotated[float, Field(strict=True)]


class WatchpointBody(Body):
    """A watchpoint, and where it was met."""

    model_config = example(
        {
            "id": "watch_0193d2f4d2b19f86d081884c7d65",
            **EXAMPLE,
            "created_at": "2026-11-24T09:31:00Z",
            "hit_step": 96,
            "hit_value": 0.93,
        }
    )

    id: str
    quantity: str
    comparison: str
    value: float
    created_at: datetime
    hit_step: int | None
    """The step where it held and the run was paused; it is not looked for again. Null while it is awaited."""
    hit_value: float | None
    """Null also where it was not finite."""


class WatchpointsBody(Body):
    """All watchpoints of a run."""

    items: list[WatchpointBody]
