"""JSON lines: a JSON object on each line, with a row's cells by column name."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine.data.readers.contents import BLOCK_BYTES, Block, Bounds, Contents, Options, check_names
from engine.data.readers.json import parsed, texts_of
from engine.errors import DataError

_ROWS = 20_000
"""Read at once."""


def open_json_lines(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The contents of JSON lines: columns in the order they first turn up, a key that a row lacks being a blank.

    Raises DataError, naming the place, for a line that is no object or longer than `BLOCK_BYTES`, and as `open_json`.
    """
    names: dict[str, None] = {}
    for rows, first in _batches(source):
        names |= dict.fromkeys(name for row in rows for name in row)
        bounds.check(first + len(rows), len(names))
    check_names(list(names))
    return Contents(list(names), partial(_blocks, source, list(names)))


def json_lines_rows(source: Path, bounds: Bounds) -> Iterator[Any]:
    """The rows of JSON lines, to be sent; cells as they stand. Raises DataError for a line that is no object."""
    for rows, _ in _batches(source):
        yield from rows


def _blocks(source: Path, names: list[str]) -> Iterator[Block]:
    for rows, first in _batches(source):
        texts = [texts_of(name, [row.get(name) for row in rows], first) for name in names]
        yield Block([array for array, _ in texts], len(rows), [kinds for _, kinds in texts])


def _batches(source: Path) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Rows, a few at once, with the number of the first."""
    rows, size, first = list[dict[str, Any]](), 0, 0
    for number, line in _lines(source):
        row = parsed(line, f"line {number}")
        if not isinstance(row, dict):
            raise DataError(
                f"rows[{first + len(rows)}]", f"expected an object by column name in line {number}", code="wrong_shape"
            )
        rows.append(row)
        size += len(line)
        if len(rows) == _ROWS or size >= BLOCK_BYTES:
            yield rows, first
            rows, size, first = [], 0, first + len(rows)
    if rows:
        yield rows, first


def _lines(source: Path) -> Iterator[tuple[int, str]]:
    """The lines that hold something, each with its number."""
    with source.open("rb") as file:
        number = 0
        while line := file.readline(BLOCK_BYTES + 1):
            number += 1
            if len(line) > BLOCK_BYTES:
                raise DataError(
                    "file", f"expected lines shorter than {BLOCK_BYTES} bytes, got a longer one", code="long_row"
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(
                    "file",
                    f"expected text in UTF-8, got the byte 0x{line[error.start]:02x} in line {number}",
                    code="not_utf8",
                ) from error
            if text.strip():
                yield number, text
    if number == 0:
        raise DataError("file", "expected a JSON object on each line, got an empty file", code="empty")
