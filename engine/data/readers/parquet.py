"""Parquet: typed columns in row groups, compressed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.data.readers.arrow import damage_named, typed_contents
from engine.data.readers.contents import BLOCK_CELLS, Bounds, Contents, Options

_WHAT = "a Parquet file"


def open_parquet(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The contents of a Parquet file.

    Raises DataError for one that is damaged, that says it is too large or turns out to be, or of columns without cells.
    """
    with damage_named(_WHAT), pq.ParquetFile(source, memory_map=True) as file:
        bounds.check(file.metadata.num_rows, file.metadata.num_columns)
        schema = file.schema_arrow
    return typed_contents(schema, partial(_batches, source, len(schema)), _WHAT, bounds)


def _batches(source: Path, width: int) -> Iterator[Any]:
    with pq.ParquetFile(source, memory_map=True) as file:
        yield from file.iter_batches(batch_size=max(1, min(65_536, BLOCK_CELLS // max(1, width))), use_threads=False)
