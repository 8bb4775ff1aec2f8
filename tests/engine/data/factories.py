"""Tables for the data tests, read from real files."""

import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.data import Bounds, Ingested, Options, Table, ingest, open_table, stretches_of
from engine.spec import RunSpec


def read_csv(text: str | bytes, options: Options | None = None, **bounds: int) -> tuple[Ingested, Table]:
    """What a CSV file with this text turns out to hold."""
    return read(text.encode() if isinstance(text, str) else text, "text/csv", options, **bounds)


def read_json(content: Any, options: Options | None = None, **bounds: int) -> tuple[Ingested, Table]:
    """The same of JSON: text and bytes as they are, other things dumped."""
    text = content if isinstance(content, (str, bytes)) else json.dumps(content)
    return read(text.encode() if isinstance(text, str) else text, "application/json", options, **bounds)


def read(content: bytes, media_type: str, options: Options | None = None, **bounds: int) -> tuple[Ingested, Table]:
    """The same of a file of any format."""
    with tempfile.TemporaryDirectory() as folder:  # what is mapped into memory outlives its file
        source, target = Path(folder, "source"), Path(folder, "table.arrow")
        source.write_bytes(content)
        return ingest(source, target, media_type, options=options, bounds=Bounds(**bounds)), open_table(target)


def table(**columns: Sequence[Any]) -> Table:
    """A table of these columns."""
    return read_json({"columns": columns})[1]


def spec(target: str | list[str], **more: Any) -> RunSpec:
    return RunSpec.model_validate({"target": target, "split": {"validation": 0.15}, **more})


def rows_of(found: Table) -> list[Mapping[str, Any]]:
    return list(found.rows(range(found.row_count)))


def sent_rows(path: Path, media_type: str, numbers: Collection[str] = (), **options: Any) -> list[Any]:
    """The rows of a file as they come for prediction, `numbers` being features of numbers."""
    return [
        row
        for stretch in stretches_of(path, media_type, dict.fromkeys(numbers, "number"), **options)
        for row in stretch.rows
        or [dict(zip(stretch.columns, cells, strict=True)) for cells in zip(*stretch.columns.values(), strict=True)]
    ]
