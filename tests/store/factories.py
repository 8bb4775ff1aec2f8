"""Rows for the store's tests, every column with a plain value."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from service.ids import new_id
from service.store import checkpoints, runs, workers
from service.store.tables import CheckpointRow, DatasetRow, RunRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def worker(session: Session, name: str = "w1", **more: Any) -> str:
    workers.register(session, worker_id=name, **{"host": "here", "pid": 1, "server_id": None, **more})
    return name


def dataset(session: Session, **more: Any) -> DatasetRow:
    row = DatasetRow(
        **{
            "id": new_id("ds"),
            "name": "table",
            "media_type": "text/csv",
            "sha256": new_id("x"),
            "schema_sha256": "s",
            "received_bytes": 1,
            "stored_bytes": 1,
            "rows": 2,
            "columns": [],
            "profile": {},
            "warnings": [],
            "created_at": NOW,
            **more,
        }
    )
    session.add(row)
    session.flush()
    return row


def run(session: Session, *, tags: tuple[str, ...] = (), **more: Any) -> RunRow:
    if "dataset_id" not in more:
        more["dataset_id"] = dataset(session).id
    row = RunRow(
        **{
            "id": new_id("run"),
            "name": "a run",
            "notes": "",
            "priority": 0,
            "spec": {},
            "resolved": {},
            "preprocessing": {},
            "parameter_count": 1,
            "memory_bytes": 1,
            "seed": 0,
            "status": "queued",
            "created_at": datetime.now(UTC),
            "queued_at": NOW,
            "attempt": 0,
            "deaths": 0,
            "epoch": 0,
            "step": 0,
            "steps_per_epoch": 1,
            "warnings": [],
            "last_event": 0,
            **more,
        }
    )
    runs.add(session, row, tags)
    return row


def checkpoint(session: Session, run_id: str, epoch: int, content: bytes = b"bytes", **more: Any) -> CheckpointRow:
    row = CheckpointRow(
        **{
            "id": new_id("ckpt"),
            "run_id": run_id,
            "epoch": epoch,
            "step": 0,
            "is_best": False,
            "is_periodic": False,
            "is_waypoint": False,
            "values": None,
            "parameters_digest": "d",
            "fingerprint": {},
            "created_at": NOW,
            **more,
        }
    )
    checkpoints.add(session, row, content)
    return row
