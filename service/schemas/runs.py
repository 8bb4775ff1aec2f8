"""Runs."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from engine.spec import RunSpec
from engine.training import learning_rates
from service.schemas.base import Body, Request

if TYPE_CHECKING:
    from service.domain.runs import RunDetail
    from service.domain.training import Plan

Status = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Higher ones are trained first.")]

EXAMPLE: dict[str, Any] = {
    "name": "iris-1",
    "dataset": "ds_0193d2f4c1a09f86d081884c7d65",
    "target": "species",
    "split": {"validation": 0.2, "test": 0.1, "stratify": True},
    "network": {
        "layers": [
            {"type": "dense", "units": 16, "activation": "relu", "init": "he_normal"},
            {"type": "dropout", "rate": 0.1},
        ],
        "output": "auto",
    },
    "training": {"epochs": 200, "batch_size": 32, "optimizer": {"type": "adam", "learning_rate": 0.003}},
    "seed": 7,
}


class RunCreate(RunSpec):
    """A training to do. Only `dataset` and `target` are required."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    dataset: Annotated[str, Field(max_length=60, description="A dataset's id.")]
    name: Name | None = None
    notes: Annotated[str, Field(max_length=20_000)] = ""
    tags: Tags = []
    priority: Priority = 0

    def spec(self) -> RunSpec:
        """The part that decides the training's bits."""
        return RunSpec.model_construct(**{name: getattr(self, name) for name in RunSpec.model_fields})

    def sent(self) -> dict[str, Any]:
        """That part as the client wrote it."""
        return self.model_dump(mode="json", exclude_unset=True, include=set(RunSpec.model_fields))


class RunUpdate(Request):
    """What of a run may be changed at any time."""

    name: Name | None = None
    notes: Annotated[str, Field(max_length=20_000)] | None = None
    tags: Tags | None = None
    priority: Priority | None = None

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: value for name, value in self.model_dump(exclude_unset=True).items() if value is not None}


class RunFork(Request):
    """A new run that goes on from a checkpoint."""

    at: Annotated[str, Field(max_length=80, description="best, last, epoch:3 or checkpoint:ckpt_…")] = "last"
    training: Annotated[
        dict[str, Any], Field(description="Parts of `training` to change; the rest stays as it was resolved.")
    ] = {}
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    name: Name | None = None
    notes: Annotated[str, Field(max_length=20_000)] = ""
    tags: Tags = []
    priority: Priority = 0

    def overrides(self) -> dict[str, Any]:
        """The changed parts of the spec."""
        changed: dict[str, Any] = {"training": self.training} if self.training else {}
        return changed if self.seed is None else {**changed, "seed": self.seed}


class DatasetReference(Body):
    """Which table, and the hash of its bytes."""

    id: str
    sha256: str


class ParentReference(Body):
    """Where a fork began."""

    run: str
    checkpoint: str | None


class RunBody(Body):
    """One training of one network on one dataset with one seed: the job and its record."""

    id: str
    name: str
    notes: str
    tags: list[str]
    priority: int
    status: Status
    reason: dict[str, Any] | None
    """`{"code", "detail"}`: why the run stands where it stands."""
    done: bool
    allowed_actions: list[str]
    attempt: int
    queue_position: int | None
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested_at: datetime | None
    pause_requested_at: datetime | None
    progress: float
    """From 0 to 1."""
    eta_seconds: float | None
    epoch: int
    """Whole epochs done."""
    epochs: int
    dataset: DatasetReference
    spec: dict[str, Any]
    """As it was sent."""
    resolved: RunSpec
    """With every default filled in."""
    preprocessing: dict[str, Any]
    parameter_count: int
    seed: int
    fingerprint: dict[str, Any] | None
    best: dict[str, Any] | None
    """`{"epoch", "metric", "value", "checkpoint"}`."""
    last: dict[str, Any] | None
    """The newest epoch's `{"epoch", "values", "checkpoint"}`."""
    metrics: dict[str, dict[str, float | None] | None] | None
    """Of the best parameters, on the parts held out."""
    warnings: list[str]
    parent: ParentReference | None
    weights_digest: str | None
    """SHA-256 of the best parameters' bytes."""

    @classmethod
    def of(cls, detail: "RunDetail") -> Self:
        """The run as JSON."""
        row = detail.row
        return cls(
            **{name: getattr(row, name) for name in cls.model_fields if name in _FROM_ROW},
            **{name: getattr(detail, name) for name in _FROM_DETAIL},
            allowed_actions=list(detail.allowed_actions),
            dataset=DatasetReference(id=row.dataset_id, sha256=detail.dataset_sha256),
            resolved=RunSpec.model_validate(row.resolved),
            parent=ParentReference(run=row.parent_id, checkpoint=row.parent_checkpoint_id) if row.parent_id else None,
        )


_FROM_DETAIL = ("tags", "queue_position", "done", "progress", "eta_seconds", "epochs")
_FROM_ROW = set(RunBody.model_fields) - {*_FROM_DETAIL, "allowed_actions", "dataset", "resolved", "parent"}


class PlanBody(Body):
    """What a run would be."""

    resolved: RunSpec
    shapes: dict[str, list[int]]
    """Of every parameter."""
    parameter_count: int
    rows: dict[str, int]
    """Of each part."""
    inputs: list[str]
    """A name for each of the network's inputs."""
    steps_per_epoch: int
    learning_rates: list[float]
    """At the start of each of the first 1000 epochs, plateaus left out."""
    memory_bytes: int
    estimated_seconds: float
    preprocessing: dict[str, Any]
    warnings: list[str]

    @classmethod
    def of(cls, plan: "Plan") -> Self:
        """The plan as JSON."""
        return cls(
            resolved=plan.resolved,
            shapes={name: list(shape) for name, shape in plan.network.shapes.items()},
            parameter_count=plan.network.parameter_count,
            rows=plan.rows,
            inputs=list(plan.preprocessing.input_names),
            steps_per_epoch=plan.steps_per_epoch,
            learning_rates=learning_rates(plan.resolved.training),
            memory_bytes=plan.memory_bytes,
            estimated_seconds=plan.estimated_seconds,
            preprocessing=plan.preprocessing.to_json(),
            warnings=list(plan.warnings),
        )
