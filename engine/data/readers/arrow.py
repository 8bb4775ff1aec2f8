"""Arrow: record batches of typed columns, as a file with an index or as a stream (the IPC formats)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.data.readers.columns import type_of
from engine.data.readers.contents import BLOCK_CELLS, Block, Bounds, Contents, Options, check_names
from engine.errors import DataError


def open_arrow_file(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The contents of an Arrow file. Raises DataError for one that is damaged, too large or of nested columns."""
    with damage_named("an Arrow file"):
        schema = pa.ipc.open_file(pa.memory_map(str(source))).schema
    return typed_contents(schema, partial(_file_batches, source), "an Arrow file", bounds)


def open_arrow_stream(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The contents of an Arrow stream. Raises DataError as `open_arrow_file` does."""
    with damage_named("an Arrow stream"):
        schema = pa.ipc.open_stream(pa.memory_map(str(source))).schema
    return typed_contents(schema, partial(_stream_batches, source), "an Arrow stream", bounds)


def _file_batches(source: Path) -> Iterator[Any]:
    reader = pa.ipc.open_file(pa.memory_map(str(source)))
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _stream_batches(source: Path) -> Iterator[Any]:
    yield from pa.ipc.open_stream(pa.memory_map(str(source)))


@contextmanager
def damage_named(what: str) -> Iterator[None]:
    """Let what pyarrow says of a file it can't read be a DataError; it is `what` by its media type."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError("file", f"expected {what}, got one that can't be read: {said}", code="damaged") from error


def typed_contents(schema: Any, batches: Callable[[], Iterator[Any]], what: str, bounds: Bounds) -> Contents:
    """The contents of a file with an Arrow schema. No batch is trusted: each is checked before its cells are read."""
    bounds.check(0, len(schema))
    with damage_named(what):
        names = list(schema.names)
    check_names(names)
    types = {name: type_of(name, kind) for name, kind in zip(names, schema.types, strict=True)}

    def blocks() -> Iterator[Block]:
        rows, found = 0, batches()
        while True:
            with damage_named(what):
                batch = next(found, None)
                if batch is None:
                    return
                bounds.check(rows + batch.num_rows, len(names))
                batch.validate(full=True)
            rows += batch.num_rows
            step = max(1, BLOCK_CELLS // max(1, len(names)))
            for start in range(0, batch.num_rows, step):
                part = batch.slice(start, step)
                yield Block(part.columns, part.num_rows)

    return Contents(names, blocks, types)
