"""A table: typed columns over NumPy arrays, read only when asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.data.datetimes import iso
from engine.data.schema import Column, Schema
from engine.parameters import Array

Cell = float | int | bool | str | None

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
    _values: dict[str, Values] = field(default_factory=dict, repr=False)

    def values(self, name: str) -> Values:
        """The column's values, read once. Raises KeyError for an unknown name."""
        if name not in self._values:
            self._values[name] = self.read(self.schema.column(name), slice(None))
        return self._values[name]

    def numbers(self, name: str) -> Array:
        """The values of a column that is not text, (m,) float64."""
        values = self.values(name)
        if isinstance(values, Text):
            raise TypeError(f"expected a column of numbers, {name} is text")
        return values

    def text(self, name: str) -> Text:
        """Any column as text: one that holds numbers spells its values."""
        values = self.values(name)
        if isinstance(values, Text):
            return values
        column = self.schema.column(name)
        present = ~np.isnan(values)
        distinct, places = np.unique(values[present], return_inverse=True)
        codes = np.full(self.row_count, -1, np.int64)
        codes[present] = places
        return Text(codes, tuple(column.spell(value) for value in distinct))

    def rows(self, numbers: Sequence[int] | range) -> list[dict[str, Cell]]:
        """Rows by number, each by column name, blanks as None. Only the stretch that holds them is read."""
        places = np.asarray(numbers, np.int64)
        if not places.size:
            return []
        first, last = int(places.min()), int(places.max())
        columns = [
            _cells(column, self.read(column, slice(first, last + 1)), places - first) for column in self.schema.columns
        ]
        names = self.schema.names
        return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


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
