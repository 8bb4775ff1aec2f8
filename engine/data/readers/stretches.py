"""Stretches: the rows of a file a few thousand at once, as they come for prediction; so memory stays flat."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from engine.data.readers.columns import (
    TypedColumn,
    blanks_of,
    first_infinite,
    infinite,
    is_blank,
    is_number,
    plain_cells,
    to_numbers,
    trimmed,
)
from engine.data.readers.contents import Block, Bounds, Contents, Options
from engine.data.schema import ColumnType
from engine.data.table import Cell
from engine.errors import DataError

_PLACE = re.compile(r"x(_\d+)+")
"""What a column of NumPy's X is called."""


@dataclass(frozen=True)
class Stretch:
    """Some rows: as they stand in JSON, or else by column."""

    rows: list[Any] = field(default_factory=list)
    columns: dict[str, list[Cell]] = field(default_factory=dict)


def json_stretches(rows: Iterable[Any], count: int, bounds: Bounds) -> Iterator[Stretch]:
    """Rows of JSON, so many at once. Raises DataError once they are too many."""
    remaining, total = iter(rows), 0
    while some := list(islice(remaining, count)):
        total += len(some)
        bounds.check(total, 0)
        yield Stretch(some)


def column_stretches(
    contents: Contents,
    features: Mapping[str, ColumnType],
    count: int,
    options: Options,
    bounds: Bounds,
    *,
    is_text: bool,
) -> Iterator[Stretch]:
    """Rows of contents by column, so many at once, blanks as None.

    In text, what spells a number in a feature of numbers is that number. Raises DataError for an infinite one, for a
    moment that can't be written, and once rows are too many.
    """
    read = _texts(contents, features, options) if is_text else _typed(contents, options)
    kept: dict[str, list[Cell]] = {name: [] for name in contents.names}
    held = first = 0
    for block in contents.blocks():
        bounds.check(first + block.row_count, len(contents.names))
        for start in range(0, block.row_count, count):
            part = [cells.slice(start, count) for cells in block.columns]
            size = min(count, block.row_count - start)
            for name, cells in zip(contents.names, read(part, first), strict=True):
                kept[name] += cells
            first, held = first + size, held + size
            if held >= count:
                yield Stretch(columns={name: cells[:count] for name, cells in kept.items()})
                kept = {name: cells[count:] for name, cells in kept.items()}
                held -= count
    if held:
        yield Stretch(columns=kept)


def named_by_place(contents: Contents, features: Mapping[str, ColumnType]) -> Contents:
    """NumPy's arrays under the names of the features: X has them in their order, and y is left out.

    Features that are called as the columns of X are keep their names. Raises DataError for an X of another width.
    """
    if all(map(_PLACE.fullmatch, features)):
        return contents
    places = [place for place, name in enumerate(contents.names) if _PLACE.fullmatch(name)]
    if len(places) != len(features):
        listed = ", ".join(list(features)[:20]) + (", …" if len(features) > 20 else "")
        raise DataError(
            "file",
            f"expected {len(features)} numbers in each row, the run's features in the order {listed}; "
            f"got {len(places)}",
            code="wrong_shape",
        )
    types = {name: contents.types[contents.names[place]] for place, name in zip(places, features, strict=True)}

    def blocks() -> Iterator[Block]:
        for block in contents.blocks():
            yield Block([block.columns[place] for place in places], block.row_count)

    return replace(contents, names=list(features), blocks=blocks, types=types)


def _texts(contents: Contents, features: Mapping[str, ColumnType], options: Options) -> Any:
    blanks = blanks_of(options)
    are_numbers = [features.get(name, "text") not in ("text", "datetime") for name in contents.names]

    def read(part: list[Any], first: int) -> Iterator[list[Cell]]:
        for name, cells, holds_numbers in zip(contents.names, part, are_numbers, strict=True):
            if holds_numbers:
                yield _number_cells(name, cells, blanks, contents.decimals, first)
            else:
                yield _text_cells(cells, blanks)

    return read


def _typed(contents: Contents, options: Options) -> Any:
    blanks = blanks_of(options)
    columns = [TypedColumn(name, contents.types[name], blanks) for name in contents.names]

    def read(part: list[Any], first: int) -> Iterator[list[Cell]]:
        for column, cells in zip(columns, part, strict=True):
            column.look(cells, first, frozenset())
            yield plain_cells(column.values(cells), contents.types[column.name])

    return read


def _text_cells(cells: Any, blanks: Any) -> list[Cell]:
    found: list[Cell] = pc.if_else(is_blank(trimmed(cells), blanks), pa.scalar(None, pa.string()), cells).to_pylist()
    return found


def _number_cells(name: str, cells: Any, blanks: Any, decimals: tuple[str, ...], rows_before: int) -> list[Cell]:
    bare, found = trimmed(cells), _text_cells(cells, blanks)
    for decimal in decimals:
        numbers = to_numbers(bare, pc.invert(is_number(bare, decimal)), decimal)
        if where := first_infinite(bare, numbers, rows_before):
            raise infinite(name, *where)
        found = [cell if number is None else number for cell, number in zip(found, numbers.to_pylist(), strict=True)]
    return found
