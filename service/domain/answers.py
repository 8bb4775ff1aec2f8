"""Answers: what a network says of many rows, written in a format that can be sent while it is made.

Where a format says how many rows there are, or what is to be said of them, before or behind them all, its first bytes
come when all rows were read; until then they lie in a file.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import numpy as np
import orjson

from engine.data.outputs import Output
from engine.data.writers import ArrowWriter, CsvWriter, Writer, npy_header
from service.domain.predictions import Outputs

BLOCK_BYTES = 1024 * 1024
KEPT_BYTES = 8 * BLOCK_BYTES
"""Of an answer that waits for its end, kept in memory."""


def as_json(outputs: Outputs, scratch: Path) -> Generator[bytes]:
    """Today's body: predictions, checkpoint, warnings."""
    with SpooledTemporaryFile(KEPT_BYTES, dir=str(scratch)) as file:
        for place, found in enumerate(_decoded(outputs)):
            file.write(b"," if place else b"")
            file.write(orjson.dumps(found)[1:-1])
        rest = {"checkpoint": outputs.moment.checkpoint_id, "warnings": list(outputs.warnings)}
        yield b'{"predictions":['
        yield from _blocks(file)
        yield b"]," + orjson.dumps(rest)[1:]


def as_ndjson(outputs: Outputs, scratch: Path) -> Generator[bytes]:
    """A prediction on each line."""
    for found in _decoded(outputs):
        yield b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in found)


def as_csv(outputs: Outputs, scratch: Path) -> Generator[bytes]:
    """A line for each row, below the columns' names."""
    yield from _written(outputs, CsvWriter())


def as_arrow(outputs: Outputs, scratch: Path) -> Generator[bytes]:
    """A stream of record batches with the same columns."""
    yield from _written(outputs, ArrowWriter())


def as_npy(outputs: Outputs, scratch: Path) -> Generator[bytes]:
    """Float64 (m, n): the probabilities, or scores, of the classes in their order, or values in the targets' units."""
    rows = width = 0
    with SpooledTemporaryFile(KEPT_BYTES, dir=str(scratch)) as file:
        for columns in _columns(outputs):
            numbers = np.stack([each.values for each in columns if not each.labels], axis=1)
            file.write(np.ascontiguousarray(numbers, "<f8").tobytes())
            rows, width = rows + len(numbers), numbers.shape[1]
        yield npy_header((rows, width))
        yield from _blocks(file)


FORMATS: dict[str, tuple[str, Callable[[Outputs, Path], Generator[bytes]]]] = {
    "json": ("application/json", as_json),
    "csv": ("text/csv", as_csv),
    "arrow": ("application/vnd.apache.arrow.stream", as_arrow),
    "npy": ("application/x-npy", as_npy),
    "ndjson": ("application/x-ndjson", as_ndjson),
}
"""Each format's media type, and what writes it with a folder for what must wait."""


def _decoded(outputs: Outputs) -> Iterator[list[dict[str, Any]]]:
    moment = outputs.moment
    for A in outputs:
        yield moment.preprocessing.decode(A, scores=moment.network.loss.scores)


def _columns(outputs: Outputs) -> Iterator[list[Output]]:
    moment = outputs.moment
    for A in outputs:
        yield moment.preprocessing.outputs(A, scores=moment.network.loss.scores)


def _written(outputs: Outputs, writer: Writer) -> Iterator[bytes]:
    for columns in _columns(outputs):
        yield writer.write(columns)
    yield writer.end()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while block := file.read(BLOCK_BYTES):
        yield block
