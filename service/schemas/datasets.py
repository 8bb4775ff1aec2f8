"""Datasets."""

from datetime import datetime
from typing import Any, Literal

from service.schemas.base import Body


class ColumnBody(Body):
    """One column of a table."""

    name: str
    type: Literal["number", "integer", "boolean", "text"]
    missing: int


class DatasetBody(Body):
    """An uploaded table; it never changes."""

    id: str
    name: str
    media_type: str
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

    run_count: int


class ProfileBody(Body):
    """What one would look at first in a table."""

    dataset: str
    rows: int
    columns: dict[str, dict[str, Any]]


class RowsBody(Body):
    """Some rows of a table, by column name."""

    items: list[dict[str, Any]]
    offset: int
    total: int


class PreviewBody(Body):
    """What a file holds; nothing of it is kept."""

    rows: int
    columns: list[ColumnBody]
    first_rows: list[dict[str, Any]]
    warnings: list[str]
