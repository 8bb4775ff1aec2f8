"""A table: typed columns over NumPy arrays, read only when asked for, and kept only while that takes little memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.data.datetimes import iso
from engine.data.schema import Column, Schema
from engine.parameters import Array

Cell = float | int | bool | str | None

FAR = 1_000
"""Rows further apart than so many are read by themselves."""
KEPT_BYTES = 64 * 1024**2
"""So much of a table's columns is kept once it was read."""
STRETCH_ROWS = 1 << 17
"""So many rows are read at a time of a column that is too large to be kept."""
TEXT_BYTES, NUMBER_BYTES = 4, 8
"""Of a cell that is kept: the code of a text, and float64."""
UNKNOWN, BLANK = -2, -1
"""Codes of a text that was not seen in training, and of a blank."""


@dataclass(frozen=True)
class Text:
    """A text column: for each row the place of its value in `levels`, or BLANK."""

    codes: Array
    levels: tuple[str, ...]


Values = Array | Text


@dataclass
class Table:
    """Columns of equal length. `read` gives a stretch of a column's values: float64 with NaN for blanks, or Text."""

    schema: Schema
    row_count: int
    read: Callable[[Column, slice], Values] = field(repr=False)
    na: tuple[str, ...] = ()
    """Spellings of a blank in its file, beside the usual ones."""
    kept_bytes: int = KEPT_BYTES
    """How much of its columns may be kept once it was read."""
    _values: dict[str, Values] = field(default_factory=dict, repr=False)
    _kept_bytes: int = field(default=0, repr=False)

    def values(self, name: str, rows: Array | None = None) -> Values:
        """The values of the rows with these numbers (m,), or of all. Raises KeyError for an unknown name.

        Of a column that is too large to be kept, only the stretch that holds the rows is read, each time anew.
        """
        kept = self._kept(name)
        if rows is None:
            return self.read(self.schema.column(name), slice(None)) if kept is None else kept
        if kept is not None:
            return _taken(kept, rows)
        if len(rows) > STRETCH_ROWS and self.schema.column(name).type != "text" and (rows[1:] > rows[:-1]).all():
            return self._taken_by_stretches(name, rows)
        first, stop = (int(rows.min()), int(rows.max()) + 1) if len(rows) else (0, 0)
        return _taken(self.read(self.schema.column(name), slice(first, stop)), rows - first if first else rows)

    def stretches(self, name: str) -> Iterator[tuple[slice, Values]]:
        """The column's values and where they stand, in stretches; all at once if it is kept."""
        kept = self._kept(name)
        if kept is not None:
            yield slice(0, self.row_count), kept
            return
        column = self.schema.column(name)
        for start in range(0, self.row_count, STRETCH_ROWS):
            rows = slice(start, min(start + STRETCH_ROWS, self.row_count))
            yield rows, self.read(column, rows)

    def present(self, name: str) -> Array:
        """The values of a column that is not text without its blanks, (n,) float64, for the caller to overwrite."""
        found, count = np.empty(self.row_count), 0
        for _, values in self.stretches(name):
            if isinstance(values, Text):
                raise TypeError(f"expected a column of numbers, {name} is text")
            kept = values[~np.isnan(values)]
            found[count : count + len(kept)] = kept
            count += len(kept)
        return found[:count]

    def texts(self, name: str) -> Iterator[tuple[slice, Text]]:
        """A column of text in stretches, as `stretches` has them."""
        for rows, values in self.stretches(name):
            if not isinstance(values, Text):
                raise TypeError(f"expected a column of text, {name} holds numbers")
            yield rows, values

    def numbers(self, name: str, rows: Array | None = None) -> Array:
        """The values of a column that is not text, (m,) float64."""
        values = self.values(name, rows)
        if isinstance(values, Text):
            raise TypeError(f"expected a column of numbers, {name} is text")
        return values

    def text(self, name: str, rows: Array | None = None) -> Text:
        """Any column as text: one that holds numbers spells its values."""
        values = self.values(name, rows)
        if isinstance(values, Text):
            return values
        column = self.schema.column(name)
        present = ~np.isnan(values)
        distinct, places = np.unique(values[present], return_inverse=True)
        codes = np.full(len(values), BLANK, np.int64)
        codes[present] = places
        return Text(codes, tuple(column.spell(value) for value in distinct))

    def _taken_by_stretches(self, name: str, rows: Array) -> Array:
        """The numbers of many rows that ascend: what is read besides is a stretch at a time."""
        found, column, end = np.empty(len(rows)), self.schema.column(name), int(rows[-1]) + 1
        for start in range(int(rows[0]), end, STRETCH_ROWS):
            stop = min(start + STRETCH_ROWS, end)
            these = slice(*np.searchsorted(rows, (start, stop)))
            found[these] = np.asarray(self.read(column, slice(start, stop)))[rows[these] - start]
        return found

    def keeps(self, name: str) -> bool:
        """Whether the whole column is small enough to be held in memory."""
        return self._kept(name) is not None

    def _kept(self, name: str) -> Values | None:
        """The column, read once, if there is room for it."""
        if name not in self._values:
            column = self.schema.column(name)
            size = self.row_count * (TEXT_BYTES if column.type == "text" else NUMBER_BYTES)
            if self._kept_bytes + size > self.kept_bytes:
                return None
            self._values[name] = self.read(column, slice(None))
            self._kept_bytes += size
        return self._values[name]

    def rows(self, numbers: Sequence[int] | range) -> list[dict[str, Cell]]:
        """Rows by number, each by column name, blanks as None. Only the stretches that hold them are read."""
        ordered = np.unique(np.asarray(numbers, np.int64))
        found: dict[int, dict[str, Cell]] = {}
        for places in np.split(ordered, np.flatnonzero(np.diff(ordered) > FAR) + 1) if ordered.size else ():
            found |= dict(zip(places.tolist(), self._stretch(places), strict=True))
        return [found[int(number)] for number in numbers]

    def _stretch(self, places: Array) -> list[dict[str, Cell]]:
        """Rows that lie near each other, in their order."""
        first, last = int(places[0]), int(places[-1])
        columns = [
            _cells(column, self.read(column, slice(first, last + 1)), places - first) for column in self.schema.columns
        ]
        names = self.schema.names
        return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _taken(values: Values, rows: Array) -> Values:
    """The values of some rows, of a text no more levels than there are rows."""
    if not isinstance(values, Text):
        return values[rows]
    codes = values.codes[rows]
    if len(values.levels) <= len(rows):
        return Text(codes, values.levels)
    used = np.unique(codes[codes >= 0])
    places = np.where(codes < 0, BLANK, np.searchsorted(used, codes))
    return Text(places, tuple(values.levels[code] for code in used))


def _cells(column: Column, values: Values, places: Array) -> list[Cell]:
    if isinstance(values, Text):
        return [None if code < 0 else values.levels[code] for code in values.codes[places]]
    convert: dict[str, Callable[[Any], Cell]] = {
        "integer": int,
        "boolean": bool,
        "number": float,
        "datetime": iso,
    }
    return [None if np.isnan(value) else convert[column.type](value) for value in values[places]]
