"""The tables. Every class is a row; what a row means is said where its columns stand."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Float, ForeignKey, Index, LargeBinary, String, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column
from sqlalchemy.types import TypeDecorator

Json = dict[str, Any]

WORST = 1e308
"""Stands where a run has no best yet, so that it comes last."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: kept without a zone where the database has none, always given back with one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(DeclarativeBase):
    """Base of every table."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        datetime: UtcDateTime,
        Json: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        bytes: LargeBinary,
    }


class FolderRow(Row):
    """The one data folder that this database belongs to: its files are the datasets named here."""

    __tablename__ = "data_folder"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)


class DatasetRow(Row):
    """An uploaded table. Its typed columns lie in the data folder, in `datasets/<id>.arrow`."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    format: Mapped[Json | None]
    """How it was read, such as `{"delimiter": ";"}`; null of datasets older than this column."""
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    """Of the bytes as they were received."""
    schema_sha256: Mapped[str] = mapped_column(String(64))
    """Of the resolved schema and the format: with `sha256` it tells whether an upload is known."""
    received_bytes: Mapped[int] = mapped_column(BigInteger)
    stored_bytes: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[Any]]
    """In order, each `{"name", "type", ...}`."""
    profile: Mapped[Json]
    warnings: Mapped[list[Any]]
    created_at: Mapped[datetime]

    __table_args__ = (Index("datasets_by_content", "sha256", "schema_sha256", unique=True),)


class RunRow(Row):
    """One training of one network on one dataset with one seed: the job and its record. This table is the queue."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    notes: Mapped[str] = mapped_column(Text)
    priority: Mapped[int]
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    spec: Mapped[Json]
    """As it was sent."""
    resolved: Mapped[Json]
    """With every default filled in: an engine.spec.RunSpec."""
    preprocessing: Mapped[Json]
    """Fitted on the training rows: an engine.data.Preprocessing."""
    parameter_count: Mapped[int] = mapped_column(BigInteger)
    memory_bytes: Mapped[int] = mapped_column(BigInteger)
    seed: Mapped[int] = mapped_column(BigInteger)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"), index=True)
    parent_checkpoint_id: Mapped[str | None] = mapped_column(String(40))

    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[Json | None]
    """`{"code", "detail", ...}`: why the run stands where it stands."""
    cancel_requested_at: Mapped[datetime | None]
    pause_requested_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    worker_id: Mapped[str | None] = mapped_column(ForeignKey("workers.id", ondelete="SET NULL"), index=True)
    attempt: Mapped[int]
    """Only ever rises: every write of a worker carries the attempt it claimed, which is the fence."""
    deaths: Mapped[int]
    """Of workers under a living supervisor since the last checkpoint."""
    lease_until: Mapped[float | None] = mapped_column(Float(53))
    """By the database's clock, in seconds since 1970."""

    epoch: Mapped[int]
    """Whole epochs done."""
    step: Mapped[int]
    """Steps done in the epoch under way."""
    steps_per_epoch: Mapped[int]
    best: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))
    """`{"epoch", "metric", "value", "checkpoint"}`."""
    best_rising: Mapped[float] = column_property(func.coalesce(best["value"].as_float(), WORST), deferred=True)
    best_falling: Mapped[float] = column_property(func.coalesce(best["value"].as_float(), -WORST), deferred=True)
    """Its value, to order by."""
    last: Mapped[Json | None]
    """The newest epoch's report with its checkpoint, if it has one."""
    metrics: Mapped[Json | None]
    """`{"validation": {...}, "test": {...}}` of the best parameters, once the run has succeeded."""
    fingerprint: Mapped[Json | None]
    weights_digest: Mapped[str | None] = mapped_column(String(64))
    warnings: Mapped[list[Any]]
    last_event: Mapped[int]
    """The sequence number of the run's newest event."""
    diagnosis: Mapped[Json | None]
    """What the doctor found, as it is answered, once the run has ended."""
    amendments: Mapped[list[Any]] = mapped_column(default=list)
    """`[{"moment", "training"}]`, in their order: up to that moment the run was trained so, and not as resolved now."""

    __table_args__ = (
        Index("runs_to_claim", "status", "priority", "created_at"),
        Index("runs_by_creation", "created_at", "id"),
    )


class RunTagRow(Row):
    """A word a user filed a run under."""

    __tablename__ = "run_tags"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(100), primary_key=True, index=True)


class EpochRow(Row):
    """What was measured at the end of one epoch."""

    __tablename__ = "epochs"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    values: Mapped[Json]
    """`{"train.running_loss": …, "train.loss": …, "validation.loss": …, …, "seconds": …}`."""
    parameters_digest: Mapped[str] = mapped_column(String(64))


class EventRow(Row):
    """Something that happened to a run, numbered from 1 within it."""

    __tablename__ = "events"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    data: Mapped[Json]


class CheckpointRow(Row):
    """A stored moment of a run, from which it can be served, inspected and continued."""

    __tablename__ = "checkpoints"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    epoch: Mapped[int]
    """Whole epochs done."""
    step: Mapped[int]
    """Steps done after them: 0 at an epoch's end."""
    is_best: Mapped[bool]
    is_periodic: Mapped[bool]
    """Kept because `training.checkpoints.every` asked for it."""
    is_waypoint: Mapped[bool] = mapped_column(default=False)
    """Kept so that the steps behind it can be computed again."""
    values: Mapped[Json | None]
    """The epoch's report; null in mid-epoch."""
    parameters_digest: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[Json]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class CheckpointBytesRow(Row):
    """A checkpoint's safetensors bytes, apart from what lists it."""

    __tablename__ = "checkpoint_bytes"

    checkpoint_id: Mapped[str] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"), primary_key=True)
    content: Mapped[bytes]


class StepDigestsRow(Row):
    """Digests of the parameters at some moments of a run, as `service.store.digests` writes them."""

    __tablename__ = "step_digests"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    last_moment: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """The furthest moment in it: so many steps were done."""
    content: Mapped[bytes]


class WatchpointRow(Row):
    """A comparison of a number of every step, at which the run is paused once it holds."""

    __tablename__ = "watchpoints"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    quantity: Mapped[str] = mapped_column(String(120))
    """An engine.inspection.measures.Measure, as it was written."""
    comparison: Mapped[str] = mapped_column(String(2))
    value: Mapped[float] = mapped_column(Float(53))
    created_at: Mapped[datetime]
    hit_step: Mapped[int | None] = mapped_column(BigInteger)
    """Once it was met, it is not looked for again."""
    hit_value: Mapped[float | None] = mapped_column(Float(53))
    """None also where it was not finite."""


class DeferredRow(Row):
    """A request that is answered later, by a worker: what was asked, and the answer once it is there."""

    __tablename__ = "deferred"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    method: Mapped[str] = mapped_column(String(10))
    address: Mapped[str] = mapped_column(Text)
    """Path and query."""
    headers: Mapped[Json]
    body: Mapped[bytes]
    status: Mapped[str] = mapped_column(String(20))
    """`queued`, `running`, `answered` or `failed`."""
    attempts: Mapped[int]
    lease_until: Mapped[float | None] = mapped_column(Float(53))
    """By the database's clock, in seconds since 1970."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    answer_status: Mapped[int | None]
    answer_headers: Mapped[Json | None]
    answer: Mapped[bytes | None]

    __table_args__ = (Index("deferred_to_claim", "status", "created_at"),)


class WorkerRow(Row):
    """A process that claims runs."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    server_id: Mapped[str | None] = mapped_column(String(40), index=True)
    """The data folder's id for a worker inside `serve`; null for one started on its own."""
    started_at: Mapped[datetime]
    last_seen: Mapped[float] = mapped_column(Float(53))
    """By the database's clock, in seconds since 1970."""


class IdempotencyRow(Row):
    """The answer once given to a request with an Idempotency-Key."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    route: Mapped[str] = mapped_column(String(200), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    headers: Mapped[Json]
    body: Mapped[bytes]
    created_at: Mapped[datetime]
