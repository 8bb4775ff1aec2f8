"""JSON: a table as one document, `{"columns": {name: [cells]}}` or `{"rows": [{name: cell}]}`, read as a whole."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.data.readers.contents import SURROGATE, Block, Bounds, Contents, Options, check_names
from engine.data.readers.dialects import first_not_utf8
from engine.errors import DataError


def open_json(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """A JSON document's contents.

    Raises DataError, naming the place, for JSON that is broken, nested, or holds a key twice or NaN, and for columns
    of unequal length.
    """
    columns = _columns_in(_document(source, bounds))
    check_names(list(columns))
    _check_lengths(columns)
    rows = max(map(len, columns.values()), default=0)
    bounds.check(rows, len(columns))
    texts = [texts_of(name, cells, 0) for name, cells in columns.items()]
    block = Block([array for array, _ in texts], rows, [kinds for _, kinds in texts])
    return Contents(list(columns), lambda: iter([block]))


def json_rows(source: Path, bounds: Bounds) -> list[Any]:
    """The rows of a JSON file, to be sent: a list of them, `{"rows": […]}` or `{"columns": {…}}`; cells as they stand.

    Raises DataError as `open_json` does, but says nothing about single cells.
    """
    document = _document(source, bounds)
    if isinstance(document, list):
        return document
    if isinstance(document, dict) and isinstance(document.get("rows"), list):
        return list(document["rows"])
    columns = _columns_in(document)
    _check_lengths(columns)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def parsed(text: str, where: str) -> Any:
    """A JSON value, whose keys are unique and numbers finite. `where` begins what is said of broken JSON."""

    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"{where}, column {error.colno}" if where else f"line {error.lineno}, column {error.colno}"
        raise DataError("file", f"expected JSON, got at {place}: {error.msg}", code="not_json") from error
    except ValueError as error:  # Python reads no integer of more than 4300 digits
        raise DataError("file", "expected finite numbers, got one of thousands of digits", code="infinite") from error
    except RecursionError as error:
        raise DataError("file", "expected cells, got values nested too deep", code="not_json") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = SURROGATE.sub("?", next(name for name in names if names.count(name) > 1))
        raise DataError(f"columns.{twice}", "expected every key once, got it twice", code="duplicate_column")
    return found


def _refuse(constant: str) -> Any:
    raise DataError("file", f"expected JSON, which has no {constant}; write null for a blank", code="infinite")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)


def texts_of(name: str, cells: Sequence[Any], rows_before: int) -> tuple[Any, frozenset[type]]:
    """The cells of one column as a CSV file would spell them, and the kinds of values they were."""
    kinds = frozenset(map(type, cells)) - {type(None)}
    if kinds - {int, float, bool, str}:
        number = next(i for i, cell in enumerate(cells) if isinstance(cell, (list, dict)))
        raise DataError(
            f"rows[{rows_before + number}].{name}",
            "expected a number, a text, true, false or null, got a list or an object",
        )
    texts: list[str | None] = [
        cell if cell is None or isinstance(cell, str) else ("true" if cell else "false") if isinstance(cell, bool)
        else repr(cell)
        for cell in cells
    ]  # fmt: skip
    try:
        return pa.array(texts, pa.string()), kinds
    except UnicodeEncodeError as error:
        number = next(number for number, text in enumerate(texts) if text and SURROGATE.search(text))
        raise DataError(
            f"rows[{rows_before + number}].{name}",
            "expected text of whole characters, got half of one",
            code="not_utf8",
        ) from error


def _document(source: Path, bounds: Bounds) -> Any:
    if source.stat().st_size > bounds.json_bytes:
        raise DataError(
            "file",
            f"expected a JSON document of at most {bounds.json_bytes} bytes, got {source.stat().st_size}",
            code="json_too_large",
        )
    content = source.read_bytes()
    if not content.strip():
        raise DataError("file", "expected a JSON object, got an empty file", code="empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("file", f"expected text in UTF-8, got {first_not_utf8(source)}", code="not_utf8") from error
    return parsed(text, "")


def _columns_in(document: Any) -> dict[str, list[Any]]:
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


def _check_lengths(columns: Mapping[str, Sequence[Any]]) -> None:
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise DataError(
            f"columns.{short}", f"expected {lengths[long]} cells as in {long}, got {lengths[short]}", code="ragged"
        )
