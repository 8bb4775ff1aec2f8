"""Datasets."""

from datetime import datetime
from typing import Any, Literal

from service.schemas.base import Body, example

EXAMPLE: dict[str, Any] = {
    "id": "ds_0193d2f4c1a09f86d081884c7d65",
    "name": "iris",
    "media_type": "text/csv",
    "format": {"delimiter": ",", "encoding": "utf-8", "header": True, "decimal": "."},
    "sha256": "5d09ecd1ccd4ea9a6ea2b0d1a8b1b3a1f4ad70f2b9f7c2f8e0d8b7c7a4c0e9d1",
    "received_bytes": 3975,
    "stored_bytes": 6874,
    "rows": 150,
    "columns": [
        {"name": "petal_length", "type": "number", "missing": 0},
        {"name": "species", "type": "text", "missing": 0},
    ],
    "warnings": [],
    "created_at": "2026-11-24T09:30:00Z",
}
ROWS = [{"petal_length": 1.4, "species": "setosa"}, {"petal_length": 4.7, "species": "versicolor"}]


class ColumnBody(Body):
    """One column of a table."""

    name: str
    type: Literal["number", "integer", "boolean", "datetime", "text"]
    missing: int


class DatasetBody(Body):
    """An uploaded table; it never changes."""

    model_config = example(EXAMPLE)

    id: str
    name: str
    media_type: str
    format: dict[str, Any] | None
    """How the file was read; null of datasets that are older than this field."""
    sha256: str
    """Of the bytes as they were received."""
    received_bytes: int
    stored_bytes: int
    rows: int
    columns: list[ColumnBody]
    warnings: list[str]
    created_at: datetime


class UsingRunBody(Body):
    """A run that uses a dataset."""

    id: str
    name: str
    status: Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
    created_at: datetime


class DatasetDetail(DatasetBody):
    """A dataset with how many runs use it, and the newest 20 of them."""

    model_config = example(
        {
            **EXAMPLE,
            "run_count": 1,
            "runs": [
                {
                    "id": "run_0193d2f4c1a09f86d081884c7d65",
                    "name": "iris: species",
                    "status": "succeeded",
                    "created_at": "2026-11-24T09:31:00Z",
                }
            ],
        }
    )

    run_count: int
    runs: list[UsingRunBody]


class WarningBody(Body):
    """What a user should know of a column or table: a code that stays, and a sentence."""

    code: str
    detail: str


class TopBody(Body):
    """A frequent value, as the file spells it, and its rows."""

    value: str
    count: int


class HistogramBody(Body):
    """Rows by equal-width bins: one more edge than counts."""

    edges: list[float]
    counts: list[int]


class ColumnProfileBody(Body):
    """What one would look at first in a column; what its type does not have is left out."""

    type: Literal["number", "integer", "boolean", "datetime", "text"]
    missing: int
    missing_share: float
    distinct: int
    minimum: float | str | None = None
    """A moment is ISO 8601, and its deviation and histogram are in seconds."""
    quartiles: list[float | str | None] | None = None
    maximum: float | str | None = None
    mean: float | str | None = None
    standard_deviation: float | None = None
    """With n − 1."""
    skewness: float | None = None
    histogram: HistogramBody | None = None
    top: list[TopBody] | None = None
    mean_length: float | None = None
    """In characters."""
    maximum_length: int | None = None
    warnings: list[WarningBody]


class DuplicatesBody(Body):
    """Rows that equal an earlier one in every column."""

    count: int
    share: float


class GroupBody(Body):
    """Columns of numbers that share a prefix and end in numbers, such as pixels."""

    prefix: str
    columns: int
    minimum: float
    maximum: float
    shape: list[int] | None


class ClassBody(Body):
    """A class and its rows."""

    name: str
    count: int
    share: float


class StrengthBody(Body):
    """How much a column tells of the target, from 0 to 1; null where it does not vary or has too many texts."""

    measure: Literal["pearson", "correlation_ratio", "cramers_v"]
    strength: float | None


class TargetProfileBody(Body):
    """A target: its classes, in the order of a network's outputs, and what each other column tells of it."""

    name: str
    task: Literal["classification", "regression"]
    rows: int
    """Those with a target."""
    classes: list[ClassBody] | None
    strengths: dict[str, StrengthBody]


class ProfileBody(Body):
    """What one would look at first in a table; `target` where it is asked for."""

    model_config = example(
        {
            "dataset": EXAMPLE["id"],
            "rows": 150,
            "columns": {
                "species": {
                    "type": "text",
                    "missing": 0,
                    "missing_share": 0.0,
                    "distinct": 3,
                    "top": [{"value": "setosa", "count": 50}],
                    "mean_length": 8.33,
                    "maximum_length": 10,
                    "warnings": [],
                }
            },
            "duplicate_rows": {"count": 1, "share": 0.0067},
            "groups": [],
            "warnings": [],
            "target": {
                "name": "species",
                "task": "classification",
                "rows": 150,
                "classes": [{"name": "setosa", "count": 50, "share": 0.333}],
                "strengths": {"petal_length": {"measure": "correlation_ratio", "strength": 0.97}},
            },
        }
    )

    dataset: str
    rows: int
    columns: dict[str, ColumnProfileBody]
    duplicate_rows: DuplicatesBody | None
    """Null for a dataset of a release that did not count them."""
    groups: list[GroupBody]
    warnings: list[WarningBody]
    target: TargetProfileBody | None = None


class RowsBody(Body):
    """Some rows of a table, by column name."""

    model_config = example({"items": ROWS, "offset": 0, "total": 150})

    items: list[dict[str, Any]]
    offset: int
    total: int


class PreviewColumnBody(ColumnBody):
    """A column with what its profile warns of."""

    warnings: list[WarningBody]


class PreviewBody(Body):
    """What a file holds; nothing of it is kept. `warnings` are of reading it, the others of what it holds."""

    model_config = example(
        {
            **{name: EXAMPLE[name] for name in ("media_type", "format", "rows")},
            "columns": [{**column, "warnings": []} for column in EXAMPLE["columns"]],
            "first_rows": ROWS,
            "warnings": [],
            "table_warnings": [],
        }
    )

    media_type: str
    format: dict[str, Any]
    """How the file was read."""
    rows: int
    columns: list[PreviewColumnBody]
    first_rows: list[dict[str, Any]]
    warnings: list[str]
    table_warnings: list[WarningBody]
