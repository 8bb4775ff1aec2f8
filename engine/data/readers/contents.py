"""Contents: a file as its reader sees it, before anything is decided about its columns."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.data.schema import BLANKS, ColumnType, Schema
from engine.errors import DataError

BLOCK_BYTES = 8 * 1024 * 1024
"""Read at once; no single row of text may be longer."""
BLOCK_CELLS = 4_000_000
"""Cells of a typed file read at once."""

SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, which JSON can write and UTF-8 can't."""


@dataclass(frozen=True)
class Bounds:
    """How much a file may hold."""

    rows: int = 20_000_000
    columns: int = 10_000
    cells: int = 500_000_000
    decompressed_bytes: int = 4 * 1024**3
    """Of what was compressed, once it is not."""
    json_bytes: int = 256 * 1024**2
    """Of a JSON document, which is read as a whole."""

    def check(self, rows: int, columns: int) -> None:
        """Raise DataError for a table that is larger, or will be."""
        for limit, got, what in (
            (self.columns, columns, "columns"),
            (self.rows, rows, "rows"),
            (self.cells, rows * columns, "cells"),
        ):
            if got > limit:
                raise DataError("file", f"expected at most {limit} {what}, got {got} or more", code="too_large")


@dataclass(frozen=True)
class Options:
    """What a user says of a file; None is for the reader to find out."""

    delimiter: str | None = None
    """What separates the cells of a CSV file: one ASCII character."""
    encoding: str | None = None
    """Of a CSV file; a key of `ENCODINGS`."""
    header: bool | None = None
    """Whether a CSV file's first line names the columns."""
    decimal: str | None = None
    """What stands before the decimals in a CSV file: a point or a comma."""
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    """Of columns by name, whatever their cells look like."""
    na: tuple[str, ...] = ()
    """More spellings of a blank."""
    na_only: bool = False
    """Whether these are all of them, beside the empty cell."""

    is_compressed: bool = False
    """Whether it must be a gzip file; others are found out by their first bytes."""

    @property
    def blanks(self) -> frozenset[str]:
        """Every spelling of a cell that holds nothing."""
        return frozenset(self.na) | ({""} if self.na_only else BLANKS)

    def said_of_text(self) -> list[str]:
        """The options given that only a CSV file can follow."""
        return [name for name in ("delimiter", "encoding", "header", "decimal") if getattr(self, name) is not None]


@dataclass(frozen=True)
class Ingested:
    """What a file turned out to hold."""

    schema: Schema
    row_count: int
    warnings: tuple[str, ...]
    format: dict[str, Any]
    """How it was read: for CSV delimiter, encoding, header and decimal; `na`, `na_only`, `compression` where they say
    something."""
    media_type: str = ""
    """The format, found out where it was not said."""


@dataclass(frozen=True)
class Block:
    """Some rows: an Arrow array of each column."""

    columns: Sequence[Any]
    row_count: int
    kinds: Sequence[frozenset[type]] | None = None
    """The kinds of JSON values that the texts of each column were."""


@dataclass(frozen=True)
class Contents:
    """A file's columns by name, and its rows in blocks, as often as they are asked for.

    Columns of text have no entry in `types`: what they hold is decided by all of their cells.
    """

    names: Sequence[str]
    blocks: Callable[[], Iterator[Block]]
    types: Mapping[str, ColumnType] = field(default_factory=dict)
    format: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    decimals: tuple[str, ...] = (".",)
    """What may stand before the decimals of a number in text, the likelier first."""


def check_names(names: Sequence[str]) -> None:
    """Raise DataError for a name that is empty, too long, not whole, or there twice."""
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        if not name:
            raise DataError("file", f"expected a name for column {place}, got an empty one", code="unnamed_column")
        if len(name) > 500:
            raise DataError("file", f"expected a name of at most 500 letters for column {place}, got {len(name)}")
        if SURROGATE.search(name):
            raise DataError(
                "file", f"expected whole characters in the name of column {place}, got half of one", code="not_utf8"
            )
        if name in seen:
            raise DataError(
                f"columns.{name}",
                f"expected every name once, got it for columns {seen[name]} and {place}",
                code="duplicate_column",
            )
        seen[name] = place
