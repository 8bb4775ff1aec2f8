"""Cells as they come over the wire: JSON values, read as a file's cells would be."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np

from engine.data.datetimes import seconds
from engine.data.features import Feature
from engine.data.notices import Notices
from engine.data.schema import BLANKS, PADDING, ColumnType, spell
from engine.data.table import BLANK, UNKNOWN
from engine.data.targets import Target
from engine.errors import DataError
from engine.parameters import Array

_NUMBERS = frozenset({int, float, type(None)})


def number_columns(columns: Sequence[list[Any]], features: Sequence[Feature], problems: list[DataError]) -> Array:
    """The cells of columns that are not text (features, m) in float64, blanks as NaN, moments as seconds since 1970."""
    are_plain = all(each.type not in ("boolean", "datetime") for each in features)
    if are_plain and set(map(type, chain.from_iterable(columns))) <= _NUMBERS:
        with suppress(OverflowError):
            numbers = np.array(columns, np.float64)
            if not np.isinf(numbers).any():
                return numbers
    read = [number_cells(cells, feature, problems) for cells, feature in zip(columns, features, strict=True)]
    return np.array(read, np.float64)


def without(na: Sequence[str], cells: list[Any]) -> list[Any]:
    """The cells with None for each that is one of these spellings of a blank."""
    if not na:
        return cells
    return [None if isinstance(cell, str) and cell.strip(PADDING) in na else cell for cell in cells]


def number_cells(cells: list[Any], feature: Feature, problems: list[DataError]) -> list[float | None]:
    """The cells of one such column, blanks as None."""
    found: list[float | None] = []
    for number, cell in enumerate(cells):
        value = _number(cell, feature)
        if isinstance(value, str):
            problems.append(DataError(f"rows[{number}].{feature.name}", value, code="wrong_type"))
            value = None
        found.append(value)
    return found


def _number(cell: Any, feature: Feature) -> float | str | None:
    """The cell as a number, None if blank, or what is wrong with it."""
    if _is_blank(cell):
        return None
    if feature.type == "boolean":
        if isinstance(cell, (bool, int, float)) and cell in (0, 1):
            return float(cell)
        if isinstance(cell, str) and _bare(cell) in ("true", "false"):
            return float(_bare(cell) == "true")
        return f"expected true or false, got {_shown(cell)}"
    if feature.type == "datetime":
        moment = seconds(cell.strip(PADDING)) if isinstance(cell, str) else None
        return f"expected an ISO 8601 date or date-time, got {_shown(cell)}" if moment is None else moment
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        return f"expected a number, got {_shown(cell)}"
    try:
        value = float(cell)
    except OverflowError:
        value = float("inf")
    return value if not np.isinf(value) else "expected a finite number, got a larger one than float64 holds"


def text_cells(cells: list[Any], feature: Feature, problems: list[DataError], notices: Notices) -> Array:
    places = {level: place for place, level in enumerate(feature.levels)}
    if feature.type in ("number", "integer", "boolean"):
        places |= {_plainly(level, feature.type): place for level, place in list(places.items()) if level}
    codes = np.empty(len(cells), np.int64)
    for number, cell in enumerate(cells):
        if isinstance(cell, (list, dict)):
            problems.append(
                DataError(f"rows[{number}].{feature.name}", f"expected a text, got {_shown(cell)}", code="wrong_type")
            )
        text = cell if isinstance(cell, str) and cell in places else _level(cell, feature.type)
        codes[number] = BLANK if text is None else places.get(text, UNKNOWN)
    unknown = int(np.count_nonzero(codes == UNKNOWN))
    if unknown and not feature.refuses_unseen:
        notices.unseen(feature.name, unknown, read_as="(other)" if feature.has_other else "")
    return codes


def class_cells(cells: list[Any], target: Target, problems: list[DataError]) -> Array:
    places = {name: place for place, name in enumerate(target.classes)}
    if target.type != "text":
        places |= {_plainly(name, target.type): place for name, place in list(places.items())}
    codes = np.zeros(len(cells), np.int64)
    listed = ", ".join(target.classes[:20]) + (", …" if len(target.classes) > 20 else "")
    for number, cell in enumerate(cells):
        text = cell if isinstance(cell, str) and cell in places else _spelled(cell)
        if text not in places and isinstance(cell, float) and cell.is_integer():
            text = str(int(cell))
        if text is not None and target.type == "boolean":
            text = _bare(text)
        if text in places:
            codes[number] = places[text]
        else:
            problems.append(
                DataError(
                    f"rows[{number}].{target.name}",
                    f"expected one of the classes {listed}, got {_shown(cell)}",
                    code="unknown_class",
                )
            )
    return codes


def _plainly(name: str, kind: ColumnType) -> str:
    """The plain form of a class that the file spells in its own way."""
    return spell(name.lower() == "true", kind) if kind == "boolean" else spell(float(name), kind)


def _level(cell: Any, kind: ColumnType) -> str | None:
    """A cell as the column spells it; None if blank. An integer may come with a decimal point, true as TRUE."""
    text = _spelled(cell)
    if text is None or kind == "text":
        return text
    if kind == "boolean":
        return _bare(text)
    if kind == "integer" and isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return text


def _spelled(cell: Any) -> str | None:
    """A cell as a file would spell it; None if blank."""
    if _is_blank(cell):
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return cell if isinstance(cell, str) else repr(cell)


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip(PADDING) in BLANKS)


def _bare(cell: str) -> str:
    """A boolean's spelling without what does not matter in it."""
    return cell.strip(PADDING).lower()


def _shown(cell: Any) -> str:
    """What was found, short: its kind for anything but a number, so that no answer repeats what users keep private."""
    names = {str: "a text", bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return names.get(type(cell), "a number")
