"""Tables: contents as one Arrow file of typed columns, which is mapped into memory when it is used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.data.readers.columns import ColumnReader, TextColumn, columns_of
from engine.data.readers.contents import Block, Bounds, Contents, Ingested, Options
from engine.data.schema import Column, Schema
from engine.data.table import BLANK, Table, Text, Values
from engine.errors import DataError


def write_table(target: Path, contents: Contents, options: Options, bounds: Bounds) -> Ingested:
    """Write contents as a table at `target`. Raises DataError for what is too large, too small or no cell."""
    columns = columns_of(contents, options)
    rows = 0
    for block in contents.blocks():
        bounds.check(rows + block.row_count, len(columns))
        _look(columns, block, rows)
        rows += block.row_count
    if rows < 2:
        got = "none" if rows == 0 else "one"
        raise DataError("file", f"expected at least 2 rows of data, got {got}", code="too_few_rows")
    if not columns:
        raise DataError("file", "expected at least one column, got none", code="no_columns")
    pool = pa.default_memory_pool()
    pool.release_unused()  # blocks of texts leave the allocator's memory in pieces
    schema = Schema(tuple(column.decide() for column in columns))
    fields = [(column.name, pa.string() if column.type == "text" else pa.float64()) for column in schema.columns]
    arrow = pa.schema(fields, metadata={"chainrule": json.dumps(schema.to_json()), "na": json.dumps(options.na)})
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, arrow) as writer:
        for block in contents.blocks():
            arrays = [column.values(cells) for column, cells in zip(columns, block.columns, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=arrow))
    pool.release_unused()
    warnings = [*contents.warnings, *(warning for column in columns if (warning := column.warning()))]
    return Ingested(schema, rows, tuple(warnings), _format(contents, columns, options))


def _look(columns: list[ColumnReader], block: Block, rows_before: int) -> None:
    kinds = block.kinds or [frozenset[type]()] * len(columns)
    for column, cells, of_cells in zip(columns, block.columns, kinds, strict=True):
        column.look(cells, rows_before, of_cells)


def _format(contents: Contents, columns: list[ColumnReader], options: Options) -> dict[str, Any]:
    """How the file was read."""
    found = dict(contents.format)
    if any(isinstance(column, TextColumn) and column.has_decimal_commas for column in columns):
        found["decimal"] = ","
    if options.na or options.na_only:
        found |= {"na": sorted(set(options.na)), "na_only": options.na_only}
    return found


def open_table(path: Path) -> Table:
    """The table in an Arrow file that an ingest wrote, mapped into memory."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    metadata = reader.schema.metadata
    schema, na = Schema.from_json(json.loads(metadata[b"chainrule"])), json.loads(metadata.get(b"na", b"[]"))
    table = reader.read_all()

    def read(column: Column, rows: slice) -> Values:
        cells = table.column(schema.names.index(column.name))[rows]
        if column.type != "text":
            return np.asarray(cells.to_numpy())
        chunks = cells.dictionary_encode().chunks
        if not chunks:
            return Text(np.empty(0, np.int32), ())
        codes = [chunk.indices.fill_null(BLANK).to_numpy(zero_copy_only=False) for chunk in chunks]
        return Text(np.concatenate(codes), tuple(chunks[-1].dictionary.to_pylist()))

    return Table(schema, table.num_rows, read, tuple(na))
