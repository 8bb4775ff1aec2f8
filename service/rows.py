"""Rows of a file as the prediction API takes them."""

import csv
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any


def rows_in(path: Path, text_columns: Collection[str]) -> list[Any]:
    """A JSON list of rows, or a CSV file's rows by column name; cells outside `text_columns` become numbers."""
    if path.suffix.lower() == ".json":
        content = json.loads(path.read_text())
        return list(content["rows"] if isinstance(content, dict) else content)
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [
            {name: cell if name in text_columns else _number(cell) for name, cell in row.items() if name is not None}
            for row in csv.DictReader(file)
        ]


def _number(cell: str | None) -> float | int | str | None:
    """The number a cell spells; other cells as they are, for the server to judge."""
    for convert in (int, float):
        try:
            return convert(cell or "")
        except ValueError:
            continue
    return cell or None
