"""Readers: an uploaded file becomes one Arrow file of typed columns, which is mapped into memory when it is used.

A CSV file is read twice, as text, block by block: once to learn what each column holds, once to write it. So types
are decided by the whole column, every spelling is kept, and memory stays flat. pyarrow is used here and nowhere else.
"""

import json
import mmap
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from engine.data.schema import BLANKS, PADDING, Column, ColumnType, Schema, spell
from engine.data.table import Cell, Table, Text, Values
from engine.errors import DataError

BLOCK_BYTES = 8 * 1024 * 1024
"""Read at once; no single row may be longer."""
MAXIMUM_SPELLINGS = 1000
"""Spellings are kept of columns with at most so many different values."""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
_INTEGER = r"^(0|-?[1-9]\d{0,14})$"
_LEADING_ZERO = r"^[+-]?0\d"
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, which JSON can write and UTF-8 can't."""
_OPENING, _CLOSING = re.compile(rb'(?:^|(?<=[,\r\n]))"'), re.compile(rb'(?:[^"]++|"")*+"')
"""A quote that begins a cell, and all up to the one that ends it: two in a row stand for one within."""
_BOOLEANS = {"true": 1.0, "false": 0.0}
"""In any capitalisation."""
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Bounds:
    """How much a file may hold."""

    rows: int = 20_000_000
    columns: int = 10_000
    cells: int = 500_000_000


@dataclass(frozen=True)
class Ingested:
    """What a file turned out to hold."""

    schema: Schema
    row_count: int
    warnings: tuple[str, ...]


def ingest_csv(source: Path, target: Path, bounds: Bounds) -> Ingested:
    """Read comma-separated text in UTF-8 with a header line into an Arrow file at `target`.

    Raises DataError, naming the place, for a file that is empty, ragged, too large, not UTF-8, without rows to learn
    from, with a column named twice or with an infinite number.
    """
    names, warnings = _header(source, bounds)
    guesses = [_Guess(name) for name in names]
    rows = 0
    for block in _csv_blocks(source, names):
        _check_size(rows + block.num_rows, len(names), bounds)
        for guess, cells in zip(guesses, block.columns, strict=True):
            guess.look(cells, rows)
        rows += block.num_rows
    return _write(target, guesses, rows, lambda: _csv_blocks(source, names), warnings)


def ingest_json(source: Path, target: Path, bounds: Bounds) -> Ingested:
    """Read `{"columns": {name: [cells]}}` or `{"rows": [{name: cell}]}` into an Arrow file at `target`.

    Raises DataError as `ingest_csv` does, and for JSON that is broken, nested, or holds a key twice or NaN.
    """
    columns = _json_columns(_json_document(source))
    _check_names(list(columns))
    _check_lengths(columns)
    rows = max(map(len, columns.values()), default=0)
    _check_size(rows, len(columns), bounds)
    guesses, warnings, arrays = [], list[str](), []
    for name, cells in columns.items():
        guess = _Guess(name)
        texts, kinds = _json_cells(name, cells)
        array = _json_array(name, texts)
        guess.look(array, 0)
        if str in kinds or {bool} < kinds:
            guess.possible = {"text"}
            if len(kinds) > 1:
                warnings.append(f"{name}: holds values of several kinds, so all of it is text")
        guesses.append(guess)
        arrays.append(array)
    return _write(target, guesses, rows, lambda: iter([_Block(arrays, rows)]), warnings)


def csv_rows(source: Path, numbers: Collection[str]) -> Iterator[dict[str, Cell]]:
    """A CSV file's rows by column name, to be sent: blanks as None, what spells a number in `numbers` as that number.

    All other cells come as they stand, for whoever receives them to judge. Raises DataError as `ingest_csv` does,
    but a single row will do.
    """
    names, _ = _header(source, Bounds())
    rows = 0
    for block in _csv_blocks(source, names):
        columns = [
            _cells(name, cells, rows, is_number=name in numbers)
            for name, cells in zip(names, block.columns, strict=True)
        ]
        yield from (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))
        rows += block.num_rows


def json_rows(source: Path) -> list[Any]:
    """The rows of a JSON file, to be sent: a list of them, `{"rows": […]}` or `{"columns": {…}}`; cells as they stand.

    Raises DataError as `ingest_json` does, but says nothing about single cells.
    """
    document = _json_document(source)
    if isinstance(document, list):
        return document
    if isinstance(document, dict) and isinstance(document.get("rows"), list):
        return list(document["rows"])
    columns = _json_columns(document)
    _check_lengths(columns)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def open_table(path: Path) -> Table:
    """The table in an Arrow file that an ingest wrote, mapped into memory."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    schema = Schema.from_json(json.loads(reader.schema.metadata[b"chainrule"]))
    table = reader.read_all()

    def read(column: Column, rows: slice) -> Values:
        cells = table.column(schema.names.index(column.name))[rows]
        if column.type != "text":
            return np.asarray(cells.to_numpy())
        encoded = cells.combine_chunks().dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return Text(codes, tuple(encoded.dictionary.to_pylist()))

    return Table(schema, table.num_rows, read)


# Blocks of text ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Block:
    columns: Sequence[Any]
    num_rows: int


def _csv_reader(source: Path, columns: int | None) -> Iterator[Any]:
    """Record batches of text columns f0, f1, …, the header being the first row."""
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error"

    try:
        reader = pa.csv.open_csv(
            source,
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, autogenerate_column_names=True),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=pa.csv.ConvertOptions(
                column_types={f"f{place}": pa.string() for place in range(columns or 100_000)},
                strings_can_be_null=False,
            ),
        )
        yield from reader
    except pa.ArrowInvalid as error:
        raise _csv_error(source, str(error), ragged) from error


def _csv_error(source: Path, message: str, ragged: Sequence[Any]) -> DataError:
    if "Empty CSV" in message:
        return DataError("file", "expected a header line and rows, got an empty file", code="empty")
    if wrong := _first_not_utf8(source):
        return _not_utf8(wrong)
    if line := _open_quote(source):
        return _never_closed(line)
    if ragged:
        row = ragged[0]  # its number counts the header but no blank lines, so it is not the line in the file
        expected = f"{row.expected_columns} cell{'s' if row.expected_columns != 1 else ''}"
        hint = _delimiter_hint(_first_line(source)) if row.expected_columns == 1 else None
        return DataError(
            f"rows[{row.number - 2}]",
            f"expected {expected} as in the header, got {row.actual_columns} in data row {row.number - 1}"
            + (f"; {hint}" if hint else ""),
            code="ragged",
        )
    if "straddling" in message:
        return DataError("file", f"expected rows shorter than {BLOCK_BYTES} bytes, got a longer one", code="long_row")
    return DataError("file", f"expected comma-separated text: {message}", code="not_csv")


def _first_not_utf8(source: Path, *, blocks: int | None = None) -> str | None:
    """The first byte that is not UTF-8, in words; None if there is none, or none in so many blocks."""
    offset = 0
    with source.open("rb") as file:
        for _ in count() if blocks is None else range(blocks):
            block = file.read(BLOCK_BYTES) + file.readline()  # a line's end never lies within a character
            if not block:
                break
            try:
                block.decode()
            except UnicodeDecodeError as error:
                line = block.count(b"\n", 0, error.start) + 1
                where = f"at byte {offset + error.start}" + (f", line {line}" if offset == 0 else "")
                return f"the byte 0x{block[error.start]:02x} {where}"
            offset += len(block)
    return None


def _open_quote(source: Path) -> int | None:
    """The line in which a cell's quote begins that never ends, so that the rest of the file is that cell."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = 0
        while opening := _OPENING.search(content, end):
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


def _not_utf8(wrong: str) -> DataError:
    return DataError("file", f"expected text in UTF-8, got {wrong}", code="not_utf8")


def _first_line(source: Path) -> str:
    with source.open("rb") as file:
        return file.readline(BLOCK_BYTES).decode(errors="replace")


def _delimiter_hint(header: str) -> str | None:
    """What to do where a header of one column was probably meant to be several."""
    for delimiter, name in _OTHER_DELIMITERS.items():
        if delimiter in header.strip():
            return (
                f"the header is one column whose name holds {name}; only commas separate columns: "
                "save the file with commas if it has several"
            )
    return None


def _header(source: Path, bounds: Bounds) -> tuple[list[str], list[str]]:
    if wrong := _first_not_utf8(source, blocks=1):  # what is no text at all makes pyarrow print a traceback of its own
        raise _not_utf8(wrong)
    first = next(_csv_reader(source, None), None)
    if first is None or first.num_rows == 0:
        raise DataError("file", "expected a header line and rows, got an empty file", code="empty")
    names = [str(column[0].as_py()).strip() for column in first.columns]
    hint = _delimiter_hint(names[0]) if len(names) == 1 else None
    if len(names) > bounds.columns:
        raise DataError("file", f"expected at most {bounds.columns} columns, got {len(names)}", code="too_large")
    warnings = [hint] if hint else []
    for place, name in enumerate(names):
        if not name:
            names[place] = f"column_{place + 1}"
            warnings.append(f"column {place + 1} has no name in the header and is called {names[place]}")
    _check_names(names)
    return names, warnings


def _csv_blocks(source: Path, names: Sequence[str]) -> Iterator[_Block]:
    is_first, last = True, ""
    for batch in _csv_reader(source, len(names)):
        data = batch.slice(1) if is_first else batch
        is_first = False
        if batch.num_rows:
            last = batch.columns[-1][-1].as_py()
        yield _Block(data.columns, data.num_rows)
    if _ends_within(source, last) and (line := _open_quote(source)):  # pyarrow takes the file's end for the cell's
        raise _never_closed(line)


def _check_names(names: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        if not name:
            raise DataError("file", f"expected a name for column {place}, got an empty one", code="unnamed_column")
        if len(name) > 500:
            raise DataError("file", f"expected a name of at most 500 letters for column {place}, got {len(name)}")
        if _SURROGATE.search(name):
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


def _check_size(rows: int, columns: int, bounds: Bounds) -> None:
    for limit, got, what in (
        (bounds.columns, columns, "columns"),
        (bounds.rows, rows, "rows"),
        (bounds.cells, rows * columns, "cells"),
    ):
        if got > limit:
            raise DataError("file", f"expected at most {limit} {what}, got {got} or more", code="too_large")


def _check_lengths(columns: Mapping[str, Sequence[Any]]) -> None:
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise DataError(
            f"columns.{short}", f"expected {lengths[long]} cells as in {long}, got {lengths[short]}", code="ragged"
        )


# Types -------------------------------------------------------------------------------------------------------------


@dataclass
class _Guess:
    """What a column can still be, given the cells seen so far."""

    name: str
    possible: set[ColumnType] = field(default_factory=lambda: {"integer", "number", "boolean", "text"})
    missing: int = 0
    present: int = 0
    spellings: dict[str, None] | None = field(default_factory=dict)
    """Every different spelling in order, until there are too many."""
    first_not_number: tuple[int, str] | None = None
    infinite: tuple[int, str] | None = None

    def look(self, cells: Any, rows_before: int) -> None:
        """Narrow the guess by a block of text cells."""
        cells = _trimmed(cells)
        blank = _blank(cells)
        present = cells.filter(pc.invert(blank))
        self.missing += len(cells) - len(present)
        self.present += len(present)
        if not len(present):
            return
        if "number" in self.possible:
            self._try_numbers(cells, blank, present, rows_before)
        if "boolean" in self.possible and not _all(
            pc.is_in(pc.utf8_lower(present), value_set=pa.array(list(_BOOLEANS)))
        ):
            self.possible.discard("boolean")
        if self.spellings is not None and self.possible != {"text"}:
            self.spellings |= dict.fromkeys(pc.unique(present).slice(0, MAXIMUM_SPELLINGS + 1).to_pylist())
            if len(self.spellings) > MAXIMUM_SPELLINGS:
                self.spellings = None

    def _try_numbers(self, cells: Any, blank: Any, present: Any, rows_before: int) -> None:
        bad = pc.and_(pc.invert(_is_number(cells)), pc.invert(blank))
        if pc.any(bad).as_py():
            place = pc.index(bad, True).as_py()
            self.first_not_number = (rows_before + place + 1, cells[place].as_py())
            self.possible -= {"number", "integer"}
            return
        if "integer" in self.possible and not _all(pc.match_substring_regex(present, _INTEGER)):
            self.possible.discard("integer")
        if self.infinite is None:
            self.infinite = _first_infinite(cells, _to_numbers(cells, blank), rows_before)

    def column(self) -> Column:
        """The narrowest type that holds every cell. Raises DataError for a number that is infinite."""
        kind: ColumnType = "text"
        if self.present:
            kind = next(kind for kind in ("integer", "number", "boolean", "text") if kind in self.possible)
        if kind in ("number", "integer") and self.infinite is not None:
            raise _infinite(self.name, *self.infinite)
        return Column(self.name, kind, self.missing, self._kept_spellings(kind))

    def _kept_spellings(self, kind: ColumnType) -> dict[str, str]:
        """The first spelling of each value, where it is not the plain one."""
        if kind == "text" or self.spellings is None:
            return {}

        def plainly(spelling: str) -> str:
            return spell(_BOOLEANS[spelling.lower()] if kind == "boolean" else float(spelling), kind)

        first = {plainly(spelling): spelling for spelling in reversed(self.spellings)}
        return {plain: spelling for plain, spelling in first.items() if plain != spelling}

    def warning(self) -> str | None:
        """Say so where a column of numbers is text because of a few cells."""
        if self.first_not_number is None or self.first_not_number[0] <= 100 or "text" not in self.possible:
            return None
        row, cell = self.first_not_number
        return f"{self.name}: the first {row - 1} rows hold numbers, row {row} holds {cell[:40]!r}; all of it is text"


def _all(mask: Any) -> bool:
    return bool(pc.all(mask).as_py())


def _trimmed(cells: Any) -> Any:
    return pc.utf8_trim(cells, characters=PADDING)


def _is_number(cells: Any) -> Any:
    return pc.and_(pc.match_substring_regex(cells, _NUMBER), pc.invert(pc.match_substring_regex(cells, _LEADING_ZERO)))


def _first_infinite(cells: Any, numbers: Any, rows_before: int) -> tuple[int, str] | None:
    infinite = pc.is_inf(numbers)
    if not pc.any(infinite).as_py():
        return None
    place = pc.index(infinite, True).as_py()
    return rows_before + place, cells[place].as_py()


def _infinite(name: str, row: int, cell: str) -> DataError:
    return DataError(
        f"rows[{row}].{name}",
        f"expected a finite number, got {cell[:40]} in data row {row + 1}",
        code="infinite",
    )


def _blank(cells: Any) -> Any:
    """Which of trimmed cells hold nothing."""
    return pc.or_(pc.is_null(cells), pc.is_in(cells, value_set=pa.array(sorted(BLANKS))))


def _to_numbers(cells: Any, blank: Any) -> Any:
    return pc.cast(pc.if_else(blank, pa.scalar(None, pa.string()), cells), pa.float64())


def _cells(name: str, cells: Any, rows_before: int, *, is_number: bool) -> list[Cell]:
    """The cells of a column one by one, blanks as None."""
    trimmed = _trimmed(cells)
    blank = _blank(trimmed)
    texts: list[Cell] = pc.if_else(blank, pa.scalar(None, pa.string()), cells).to_pylist()
    if not is_number:
        return texts
    numbers = _to_numbers(trimmed, pc.invert(_is_number(trimmed)))
    if infinite := _first_infinite(trimmed, numbers, rows_before):
        raise _infinite(name, *infinite)
    return [text if number is None else number for text, number in zip(texts, numbers.to_pylist(), strict=True)]


# Writing -----------------------------------------------------------------------------------------------------------


def _write(
    target: Path,
    guesses: Sequence[_Guess],
    rows: int,
    blocks: Callable[[], Iterator[_Block]],
    warnings: list[str],
) -> Ingested:
    if rows < 2:
        got = "none" if rows == 0 else "one"
        raise DataError("file", f"expected at least 2 rows of data, got {got}", code="too_few_rows")
    schema = Schema(tuple(guess.column() for guess in guesses))
    fields = [(column.name, pa.string() if column.type == "text" else pa.float64()) for column in schema.columns]
    arrow = pa.schema(fields, metadata={"chainrule": json.dumps(schema.to_json())})
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, arrow) as writer:
        for block in blocks():
            arrays = [_typed(cells, column) for cells, column in zip(block.columns, schema.columns, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=arrow))
    warnings += [warning for guess in guesses if (warning := guess.warning())]
    return Ingested(schema, rows, tuple(warnings))


def _typed(cells: Any, column: Column) -> Any:
    trimmed = _trimmed(cells)
    blank = _blank(trimmed)
    if column.type == "text":
        return pc.if_else(blank, pa.scalar(None, pa.string()), cells)
    if column.type == "boolean":
        numbers = pc.cast(pc.equal(pc.utf8_lower(trimmed), "true"), pa.float64())
    else:
        numbers = _to_numbers(trimmed, blank)
    return pc.if_else(blank, pa.scalar(float("nan")), numbers)


# JSON --------------------------------------------------------------------------------------------------------------


def _json_document(source: Path) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = _SURROGATE.sub("?", next(name for name in names if names.count(name) > 1))
            raise DataError(f"columns.{twice}", "expected every key once, got it twice", code="duplicate_column")
        return found

    def refuse(constant: str) -> Any:
        raise DataError("file", f"expected JSON, which has no {constant}; write null for a blank", code="infinite")

    content = source.read_bytes()
    if not content.strip():
        raise DataError("file", "expected a JSON object, got an empty file", code="empty")
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=unique, parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise DataError("file", f"expected text in UTF-8, got {_first_not_utf8(source)}", code="not_utf8") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError("file", f"expected JSON, got at {where}: {error.msg}", code="not_json") from error
    except ValueError as error:  # Python reads no integer of more than 4300 digits
        raise DataError("file", "expected finite numbers, got one of thousands of digits", code="infinite") from error
    except RecursionError as error:
        raise DataError("file", "expected cells, got values nested too deep", code="not_json") from error


def _json_columns(document: Any) -> dict[str, list[Any]]:
    wanted = 'expected {"columns": {name: [cells]}} or {"rows": [{name: cell}]}'
    if not isinstance(document, dict) or len(document) != 1 or not set(document) <= {"columns", "rows"}:
        got = f"the keys {', '.join(map(repr, document))}" if isinstance(document, dict) else "something else"
        raise DataError("file", f"{wanted}, got {got}", code="wrong_shape")
    if "columns" in document:
        columns = document["columns"]
        if not isinstance(columns, dict) or not all(isinstance(cells, list) for cells in columns.values()):
            raise DataError("columns", wanted, code="wrong_shape")
        return columns
    rows = document["rows"]
    if not isinstance(rows, list):
        raise DataError("rows", wanted, code="wrong_shape")
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"rows[{number}]", "expected an object by column name", code="wrong_shape")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _json_cells(name: str, cells: list[Any]) -> tuple[list[str | None], set[type]]:
    """Every cell as a CSV file would spell it, and the kinds of values there are."""
    kinds = set(map(type, cells)) - {type(None)}
    if kinds - {int, float, bool, str}:
        number = next(i for i, cell in enumerate(cells) if isinstance(cell, (list, dict)))
        raise DataError(
            f"rows[{number}].{name}", "expected a number, a text, true, false or null, got a list or an object"
        )
    texts: list[str | None] = [
        cell if cell is None or isinstance(cell, str) else ("true" if cell else "false") if isinstance(cell, bool)
        else repr(cell)
        for cell in cells
    ]  # fmt: skip
    return texts, kinds


def _json_array(name: str, texts: list[str | None]) -> Any:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError as error:
        number = next(number for number, text in enumerate(texts) if text and _SURROGATE.search(text))
        raise DataError(
            f"rows[{number}].{name}", "expected text of whole characters, got half of one", code="not_utf8"
        ) from error
