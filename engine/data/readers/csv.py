"""CSV: rows of text, their cells separated by a delimiter, in the dialect that the file seems to have."""

import mmap
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from engine.data.readers.columns import is_number
from engine.data.readers.contents import BLOCK_BYTES, Block, Bounds, Contents, Options, check_names
from engine.data.readers.dialects import delimiter_of, encoding_of, first_not_utf8, recode, width_of
from engine.errors import DataError

NARROW, NARROW_BYTES = 100, BLOCK_BYTES // 4
"""Of a file with at most so many columns only so much is read at once: pyarrow takes forty times as much for it."""
_CLOSING = re.compile(rb'(?:[^"]++|"")*+"')
"""All of a cell up to the quote that ends it: two in a row stand for one within."""


def open_csv(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """A CSV file's contents. What options leave open is found out.

    Raises DataError, naming the place, for a file that is empty, ragged, too wide, no text, or has a column twice.
    """
    encoding, warning = (options.encoding, None) if options.encoding else encoding_of(source)
    warnings = [warning] if warning else []
    if encoding == "utf-8":
        if options.encoding and (wrong := first_not_utf8(source)):
            raise DataError("file", f"expected text in UTF-8, got {wrong}", code="not_utf8")
    else:
        source = recode(source, scratch / "text", encoding)
    delimiter = options.delimiter or delimiter_of(source)
    bounds.check(0, width := width_of(source, delimiter))
    block_bytes = NARROW_BYTES if width <= NARROW else BLOCK_BYTES
    decimals = (options.decimal,) if options.decimal else (".",) if delimiter == "," else (".", ",")
    first = _first_row(source, delimiter, bounds, block_bytes)
    names, has_header = _header(first, decimals, options, warnings)
    check_names(names)
    return Contents(
        names,
        partial(_blocks, source, delimiter, len(names), has_header, block_bytes),
        format={"delimiter": delimiter, "encoding": encoding, "header": has_header, "decimal": decimals[0]},
        warnings=tuple(warnings),
        decimals=decimals,
    )


def open_tsv(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The same of a file whose cells are separated by tabs unless options say otherwise."""
    return open_csv(source, scratch, replace(options, delimiter=options.delimiter or "\t"), bounds)


# The first row -----------------------------------------------------------------------------------------------------


def _first_row(source: Path, delimiter: str, bounds: Bounds, block_bytes: int) -> list[str]:
    """The first row's cells."""
    batches = _batches(source, delimiter, bounds.columns, block_bytes, skips_ragged=True)
    first = next((batch for batch in batches if batch.num_rows), None)
    if first is None:
        raise _empty()
    bounds.check(0, first.num_columns)
    return [str(column[0].as_py()).strip() for column in first.columns]


def _header(
    cells: list[str], decimals: tuple[str, ...], options: Options, warnings: list[str]
) -> tuple[list[str], bool]:
    """The columns' names, and whether the first row is where they stand. What should be said goes to `warnings`."""
    has_header = options.header
    if has_header is None:
        has_header = not _are_numbers(cells, decimals, options)
        if not has_header:
            warnings.append(
                f"the first row holds numbers alone, so it is data and the columns are called {_called(len(cells))}; "
                "header=true says that it names them"
            )
    if not has_header:
        return [f"column_{place}" for place in range(1, len(cells) + 1)], False
    for place, name in enumerate(cells):
        if not name:
            cells[place] = f"column_{place + 1}"
            warnings.append(f"column {place + 1} has no name in the header and is called {cells[place]}")
    return cells, True


def _called(count: int) -> str:
    return "column_1" if count == 1 else f"column_1 to column_{count}"


def _are_numbers(cells: Sequence[str], decimals: tuple[str, ...], options: Options) -> bool:
    """Whether cells hold numbers, or nothing, but not nothing alone."""
    present = pa.array([cell for cell in cells if cell not in options.blanks], pa.string())
    return len(present) > 0 and any(pc.all(is_number(present, decimal)).as_py() for decimal in decimals)


# Blocks of text ----------------------------------------------------------------------------------------------------


def _blocks(source: Path, delimiter: str, width: int, has_header: bool, block_bytes: int) -> Iterator[Block]:
    is_first, last = has_header, ""
    for batch in _batches(source, delimiter, width, block_bytes, skipped=int(has_header)):
        data = batch.slice(1) if is_first and batch.num_rows else batch
        is_first = is_first and not batch.num_rows
        if batch.num_rows:
            last = batch.columns[-1][-1].as_py()
        yield Block(data.columns, data.num_rows)
    if _ends_within(source, last) and (line := _open_quote(source, delimiter)):
        raise _never_closed(line)  # pyarrow takes the file's end for the cell's


def _batches(
    source: Path, delimiter: str, width: int, block_bytes: int, *, skipped: int = 0, skips_ragged: bool = False
) -> Iterator[Any]:
    """Record batches of text columns f0, f1, …; so many rows stand before the first of data."""
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "skip" if skips_ragged else "error"

    try:
        reader = pa.csv.open_csv(
            source,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=block_bytes, autogenerate_column_names=True),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=pa.csv.ConvertOptions(
                column_types={f"f{place}": pa.string() for place in range(width)},
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        yield from reader
    except pa.ArrowInvalid as error:
        raise _error(source, delimiter, str(error), ragged, skipped, block_bytes) from error


def _error(source: Path, delimiter: str, message: str, ragged: Sequence[Any], skipped: int, longest: int) -> DataError:
    if "Empty CSV" in message and _begins_empty(source):
        return _empty()
    if line := _open_quote(source, delimiter):
        return _never_closed(line)
    if ragged:
        row = ragged[0]  # its number counts the header but no blank lines, so it is not the line in the file
        number = row.number - skipped
        expected = f"{row.expected_columns} cell{'s' if row.expected_columns != 1 else ''}"
        return DataError(
            f"rows[{number - 1}]",
            f"expected {expected} as in the {'header' if skipped else 'first row'}, "
            f"got {row.actual_columns} in data row {number}",
            code="ragged",
        )
    if "straddling" in message or "Empty CSV" in message:  # of a first block that holds no whole row
        return DataError("file", f"expected rows shorter than {longest} bytes, got a longer one", code="long_row")
    return DataError("file", f"expected comma-separated text: {message}", code="not_csv")


def _begins_empty(source: Path) -> bool:
    with source.open("rb") as file:
        return not file.read(BLOCK_BYTES).removeprefix(BOM_UTF8).strip(b"\r\n")


def _empty() -> DataError:
    return DataError("file", "expected a header line and rows, got an empty file", code="empty")


def _open_quote(source: Path, delimiter: str) -> int | None:
    """The line in which a cell's quote begins that never ends, so that the rest of the file is that cell."""
    opening_quote = re.compile(rb"(?:^|(?<=[\r\n" + re.escape(delimiter).encode() + rb']))"')
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = 0
        while opening := opening_quote.search(content, end):
            closing = _CLOSING.match(content, opening.end())
            if closing is None:
                return content[: opening.end()].count(b"\n") + 1
            end = closing.end()
    return None


def _ends_within(source: Path, cell: str) -> bool:
    """Whether the file may end within its last cell, as a quote and that cell are the last of it: a cheap look."""
    tail = b'"' + cell.encode().replace(b'"', b'""')
    with source.open("rb") as file:
        file.seek(max(0, source.stat().st_size - len(tail)))
        return file.read() == tail


def _never_closed(line: int) -> DataError:
    return DataError("file", f"expected the quote in line {line} to end, got the end of the file", code="open_quote")
