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


class DatasetDetail(DatasetBody):
    """A dataset with how many runs use it."""

    model_config = example({**EXAMPLE, "run_count": 2})

    run_count: int


class ProfileBody(Body):
    """What one would look at first in a table."""

    model_config = example(
        {
            "dataset": EXAMPLE["id"],
            "rows": 150,
            "columns": {
                "species": {"type": "text", "missing": 0, "distinct": 3, "top": [{"value": "setosa", "count": 50}]}
            },
        }
    )

    dataset: str
    rows: int
    columns: dict[str, dict[str, Any]]


class RowsBody(Body):
    """Some rows of a table, by column name."""

    model_config = example({"items": ROWS, "offset": 0, "total": 150})

    items: list[dict[str, Any]]
    offset: int
    total: int


class PreviewBody(Body):
    """What a file holds; nothing of it is kept."""

    model_config = example(
        {name: EXAMPLE[name] for name in ("media_type", "format", "rows", "columns")}
        | {"first_rows": ROWS, "warnings": []}
    )

    media_type: str
    format: dict[str, Any]
    """How the file was read."""
    rows: int
    columns: list[ColumnBody]
    first_rows: list[dict[str, Any]]
    warnings: list[str]
