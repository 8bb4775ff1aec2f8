"""The profile of a table: what one would look at first, column by column and of the whole."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from engine.data.column_profile import column_profile, warning
from engine.data.duplicates import RowHashes, duplicates
from engine.data.groups import groups
from engine.data.table import Table

FEW_ROWS = 50
"""A table with fewer is too small to hold rows back and learn from the rest."""
MANY_DUPLICATES = 0.01
"""From this share of rows on, equal rows are warned of."""


def profile(table: Table) -> dict[str, Any]:
    """`{"rows", "columns": {name: {…}}, "duplicate_rows": {"count", "share"}, "groups": […], "warnings": […]}`.

    Columns are as `column_profile` and groups as `groups` have them. Duplicate rows are those that equal an earlier one
    in every column. A warning is `{"code", "detail"}`. No more of the table is held in memory at a time than one column
    of numbers, and no text that is not told.
    """
    table = replace(table, kept_bytes=0)
    columns = {column.name: column_profile(table, column) for column in table.schema.columns}
    count = len(duplicates(RowHashes(table, table.schema.names)))
    share = count / table.row_count if table.row_count else 0.0
    return {
        "rows": table.row_count,
        "columns": columns,
        "duplicate_rows": {"count": count, "share": share},
        "groups": groups(columns),
        "warnings": list(_warnings(table.row_count, count, share)),
    }


def _warnings(rows: int, count: int, share: float) -> Iterator[dict[str, str]]:
    if rows < FEW_ROWS:
        yield warning("too_few_rows", f"{rows} rows; with fewer than {FEW_ROWS} little can be learned or measured")
    if share >= MANY_DUPLICATES:
        yield warning(
            "duplicate_rows", f"{count} of {rows} rows equal an earlier one; a split may put twins into several parts"
        )
