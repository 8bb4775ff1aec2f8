"""Checkpoints and weights."""

from datetime import datetime
from typing import Any

from service.schemas.base import Body, example

EXAMPLE: dict[str, Any] = {
    "id": "ckpt_0193d2f4d2b19f86d081884c7d65",
    "epoch": 12,
    "step": 0,
    "is_best": True,
    "is_periodic": False,
    "is_waypoint": True,
    "values": {"train.loss": 0.11, "validation.loss": 0.14, "validation.accuracy": 0.97},
    "parameters_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "fingerprint": {"engine": "0.1.0", "numpy": "2.4.6", "dtype": "float32"},
    "size": 9120,
    "sha256": "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
    "created_at": "2026-11-24T09:31:00Z",
}


class CheckpointBody(Body):
    """A stored moment of a run."""

    model_config = example(EXAMPLE)

    id: str
    epoch: int
    """Whole epochs done."""
    step: int
    """Steps done after them: 0 at an epoch's end."""
    is_best: bool
    is_periodic: bool
    is_waypoint: bool
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

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "checkpoint": EXAMPLE["id"],
            "epoch": 12,
            "step": 0,
            "dtype": "float32",
            "parameters": {
                "W.1": {"shape": [2, 1], "values": [[0.7], [-0.5]]},
                "b.1": {"shape": [1], "values": [0.2]},
            },
        }
    )

    run: str
    checkpoint: str
    epoch: int
    step: int
    dtype: str
    parameters: dict[str, TensorBody]
