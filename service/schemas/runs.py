"""Runs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from engine.spec import RowNumber, RunSpec
from engine.training import LearningRates
from service.schemas.base import NO_NUL, At, Body, Request, example
from service.schemas.diagnoses import FindingBody
from service.schemas.watchpoints import WatchpointRequest

if TYPE_CHECKING:
    from service.domain.runs import RunDetail
    from service.domain.training import Plan

Status = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Notes = Annotated[str, Field(max_length=20_000, pattern=NO_NUL)]
Tags = Annotated[list[Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]], Field(max_length=50)]
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

RESOLVED: dict[str, Any] = RunSpec(target=("species",), task="classification").model_dump(mode="json")
SUMMARY: dict[str, Any] = {
    "id": "run_0193d2f4c1a09f86d081884c7d65",
    "name": "iris-1",
    "tags": [],
    "priority": 0,
    "status": "succeeded",
    "reason": {"code": "early_stopping", "detail": "no better epoch for 30 epochs"},
    "done": True,
    "allowed_actions": ["fork", "delete"],
    "attempt": 1,
    "queue_position": None,
    "created_at": "2026-11-24T09:30:00Z",
    "queued_at": "2026-11-24T09:30:00Z",
    "started_at": "2026-11-24T09:30:01Z",
    "finished_at": "2026-11-24T09:30:02Z",
    "cancel_requested_at": None,
    "pause_requested_at": None,
    "progress": 1.0,
    "eta_seconds": None,
    "epoch": 42,
    "epochs": 200,
    "dataset": {
        "id": "ds_0193d2f4c1a09f86d081884c7d65",
        "sha256": "5d09ecd1ccd4ea9a6ea2b0d1a8b1b3a1f4ad70f2b9f7c2f8e0d8b7c7a4c0e9d1",
    },
    "target": ["species"],
    "task": "classification",
    "parameter_count": 2499,
    "seed": 0,
    "best": {
        "epoch": 12,
        "metric": "validation.loss",
        "value": 0.14,
        "checkpoint": "ckpt_0193d2f4d2b19f86d081884c7d65",
    },
    "last": {"epoch": 42, "values": {"train.loss": 0.09, "validation.loss": 0.16}, "checkpoint": None},
    "metrics": {"validation": {"loss": 0.14, "accuracy": 0.97}, "test": {"loss": 0.12, "accuracy": 0.96}},
    "warnings": [],
    "parent": None,
    "weights_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


class PreprocessingBody(Body):
    """How a run's columns become inputs of its network, and its outputs words; fitted on the training rows."""

    model_config = example(
        {
            "inputs": ["petal_length", "color=red", "color=white"],
            "features": [
                {"name": "petal_length", "encoding": "number", "fill": 4.35, "mean": 3.76, "scale": 1.76},
                {"name": "color", "encoding": "one_hot", "fill": "red", "levels": ["red", "white"]},
            ],
            "targets": [{"name": "species", "type": "text", "classes": ["setosa", "versicolor", "virginica"]}],
            "dropped": ["id"],
            "split": {"validation": 0.0, "test": 0.15, "stratify": True},
            "seed": 0,
            "weight": None,
            "class_weights": None,
            "warnings": ["id: 127 different texts in 127 rows, like an identifier; dropped"],
        }
    )

    inputs: list[str]
    """A name for each input, in order: the column, with its level or part behind it."""
    features: list[dict[str, Any]]
    """The columns learned from: how each is encoded, what a blank is read as, and every number fitted."""
    targets: list[dict[str, Any]]
    dropped: list[str]
    """Columns that carry nothing."""
    split: dict[str, Any]
    seed: int
    weight: str | None
    class_weights: dict[str, float] | None
    """By class, how much its rows count; null where all count alike."""
    warnings: list[str]


class RunCreate(RunSpec):
    """A training to do. Only `dataset` and `target` are required."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    dataset: Annotated[str, Field(max_length=60, pattern=NO_NUL, description="A dataset's id.")]
    name: Name | None = None
    notes: Notes = ""
    tags: Tags = []
    priority: Priority = 0
    watchpoints: Annotated[
        list[WatchpointRequest], Field(max_length=20, description="The run is paused where one is met.")
    ] = []

    def spec(self) -> RunSpec:
        """The part that decides the training's bits."""
        named = {name: getattr(self, name) for name in RunSpec.model_fields}
        return RunSpec.model_construct(_fields_set=self.model_fields_set & set(named), **named)

    def sent(self) -> dict[str, Any]:
        """That part as the client wrote it."""
        return self.model_dump(mode="json", exclude_unset=True, include=set(RunSpec.model_fields))


class RunResume(Request):
    """What to change before a paused run goes on."""

    model_config = example({"training": {"optimizer": {"learning_rate": 0.0003}}})

    training: Annotated[
        dict[str, Any], Field(description="Parts of `training` to change from here on; the rest stays.")
    ] = {}


class RunUpdate(Request):
    """What of a run may be changed at any time. What is left out stays."""

    model_config = {"json_schema_extra": {"examples": [{"name": "iris-2", "tags": ["keep"], "priority": 1}]}}

    name: Name = ""
    notes: Notes = ""
    tags: Tags = []
    priority: Priority = 0

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class RunFork(Request):
    """A new run that goes on from a checkpoint."""

    model_config = example({"at": "last", "training": {"epochs": 400, "optimizer": {"learning_rate": 0.0003}}})

    at: At = "last"
    training: Annotated[
        dict[str, Any], Field(description="Parts of `training` to change; the rest stays as it was resolved.")
    ] = {}
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    without_rows: Annotated[
        list[RowNumber], Field(max_length=100_000, description="Rows of the dataset that it is not to train on.")
    ] = []
    name: Name | None = None
    notes: Notes = ""
    tags: Tags = []
    priority: Priority = 0

    def overrides(self) -> dict[str, Any]:
        """The changed parts of the spec."""
        changed: dict[str, Any] = {"training": self.training} if self.training else {}
        if self.without_rows:
            changed["split"] = {"without": self.without_rows}
        return changed if self.seed is None else {**changed, "seed": self.seed}


class DatasetReference(Body):
    """Which table, and the hash of its bytes."""

    id: str
    sha256: str


class ParentReference(Body):
    """Where a fork began."""

    run: str
    checkpoint: str | None
    """Its id; `step:96` where the moment was not stored, but computed again."""


class RunSummary(Body):
    """A run as lists show it: what it is, where it stands, how good it became."""

    model_config = example(SUMMARY)

    id: str
    name: str
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
    target: list[str]
    task: Literal["classification", "regression"]
    parameter_count: int
    seed: int
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
        parent = ParentReference(run=row.parent_id, checkpoint=row.parent_checkpoint_id) if row.parent_id else None
        made = {
            "dataset": DatasetReference(id=row.dataset_id, sha256=detail.dataset_sha256),
            "target": row.resolved["target"],
            "task": row.resolved["task"],
            "parent": parent,
        }
        names = set(cls.model_fields) - set(made)
        return cls(**{name: getattr(detail if name in _FROM_DETAIL else row, name) for name in names}, **made)


class RunBody(RunSummary):
    """One training of one network on one dataset with one seed: the job and its record."""

    model_config = example(
        {
            **SUMMARY,
            "notes": "",
            "spec": {"target": ["species"]},
            "resolved": RESOLVED,
            "preprocessing": {},
            "fingerprint": {"engine": "0.1.0", "numpy": "2.4.6", "dtype": "float32"},
        }
    )

    notes: str
    spec: dict[str, Any]
    """As it was sent."""
    resolved: RunSpec
    """With every default filled in."""
    preprocessing: dict[str, Any]
    fingerprint: dict[str, Any] | None


_FROM_DETAIL = ("tags", "queue_position", "done", "progress", "eta_seconds", "epochs", "allowed_actions")


class PlanBody(Body):
    """What a run would be."""

    model_config = example(
        {
            "resolved": RESOLVED,
            "shapes": {"W.1": [4, 64], "b.1": [64]},
            "parameter_count": 2499,
            "rows": {"train": 105, "validation": 23, "test": 22},
            "inputs": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
            "steps_per_epoch": 4,
            "learning_rates": [0.001],
            "memory_bytes": 25_100_000,
            "estimated_seconds": 0.4,
            "preprocessing": {},
            "warnings": [],
            "findings": [],
        }
    )

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
    findings: list[FindingBody]
    """What the doctor says of the spec and the rows; empty for very large tables."""

    @classmethod
    def of(cls, plan: "Plan", findings: Sequence[Mapping[str, Any]]) -> Self:
        """The plan as JSON."""
        return cls(
            resolved=plan.resolved,
            shapes={name: list(shape) for name, shape in plan.network.shapes.items()},
            parameter_count=plan.network.parameter_count,
            rows=plan.rows,
            inputs=list(plan.preprocessing.input_names),
            steps_per_epoch=plan.steps_per_epoch,
            learning_rates=LearningRates(plan.resolved.training).to_come(),
            memory_bytes=plan.memory_bytes,
            estimated_seconds=plan.estimated_seconds,
            preprocessing=plan.preprocessing.to_json(),
            warnings=list(plan.warnings),
            findings=[FindingBody.model_validate(each) for each in findings],
        )
