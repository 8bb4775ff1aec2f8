"""Checkpoints and weights."""

from datetime import datetime
from typing import Any

from service.schemas.base import Body


class CheckpointBody(Body):
    """A stored moment of a run."""

    id: str
    epoch: int
    """Whole epochs done."""
    step: int
    """Steps done after them: 0 at an epoch's end."""
    is_best: bool
    is_periodic: bool
    values: dict[str, float | None] | None
    """The epoch's report; null in mid-epoch."""
    parameters_digest: str
    fingerprint: dict[str, Any]
    size: int
    sha256: str
    created_at: datetime


class TensorBody(Body):
    """An array in full."""

    shape: list[int]
    values: Any


class WeightsBody(Body):
    """Every parameter of a run at a checkpoint."""

    run: str
    checkpoint: str
    epoch: int
    step: int
    dtype: str
    parameters: dict[str, TensorBody]
