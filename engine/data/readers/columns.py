"""Columns while a file is read: what type each has, once all its cells were seen, and its cells as they are stored.

A file is read twice, block by block: once to look at it, once to store it. So a type is decided by the whole column
and memory stays flat. Every type but text is stored as float64 with NaN for a blank.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.data import datetimes
from engine.data.readers.contents import Contents, Options
from engine.data.schema import PADDING, Column, ColumnType, spell
from engine.data.table import Cell
from engine.errors import DataError

MAXIMUM_SPELLINGS = 1000
"""Spellings are kept of columns with at most so many different values."""
MAXIMUM_INTEGER = 10**15
"""From here on whole numbers are `number`, as float64 will soon not hold each of them."""

_NUMBER = r"^[+-]?((0|[1-9]\d*)(_\d*)?|_\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
_NUMBERS = {".": _NUMBER.replace("_", r"\."), ",": _NUMBER.replace("_", ",")}
"""By what stands before the decimals. An identifier such as 02138 is none."""
_DEMANDED_NUMBERS = {decimal: regex.replace(r"(0|[1-9]\d*)", r"\d+") for decimal, regex in _NUMBERS.items()}
_INTEGER, _DEMANDED_INTEGER = r"^(0|-?[1-9]\d{0,14})$", r"^[+-]?\d{1,15}$"
_DATETIME = f"^({datetimes.PATTERN})$"
_OFFSET = r"[T ].*(Z|[+-][0-9:]+)$"
_BEYOND_MICROSECONDS = r"(\.[0-9]{6})[0-9]+"
_BOOLEANS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
"""In any capitalisation; numbers only where a boolean is demanded."""
_WORDS_OF_BOOLEANS, _SPELLINGS_OF_BOOLEANS = pa.array(["true", "false"]), pa.array([*_BOOLEANS])
_TRUE = pa.array([spelling for spelling, value in _BOOLEANS.items() if value])
_NO_TEXT, _NO_NUMBER = pa.scalar(None, pa.string()), pa.scalar(float("nan"))
_ORDER: tuple[ColumnType, ...] = ("integer", "number", "boolean", "datetime", "text")
"""The narrowest first."""
_WORDS: dict[ColumnType, str] = {
    "integer": "a whole number of at most 15 digits",
    "number": "a number",
    "boolean": "true or false",
    "datetime": "an ISO 8601 date or date-time",
}


class ColumnReader(Protocol):
    """A column while its file is read."""

    def look(self, cells: Any, rows_before: int, kinds: frozenset[type]) -> None:
        """See a block of its cells. Raises DataError for one that it can't hold."""

    def decide(self) -> Column:
        """What it is, once all were seen. Raises DataError for a number that is infinite."""

    def values(self, cells: Any) -> Any:
        """A block of its cells as they are stored, once it is decided: an Arrow array of float64 or text."""

    def warning(self) -> str | None:
        """What a user should know of it."""


def columns_of(contents: Contents, options: Options) -> list[ColumnReader]:
    """A reader for each column. Raises DataError for options of columns that are not there."""
    unknown = [name for name in options.types if name not in contents.names]
    if unknown:
        listed = ", ".join(contents.names[:20]) + (", …" if len(contents.names) > 20 else "")
        raise DataError("options.types", f"there is no column {unknown[0]!r}; the file has {listed}")
    blanks = blanks_of(options)
    return [_reader(name, contents, options.types.get(name), blanks) for name in contents.names]


def blanks_of(options: Options) -> Any:
    """Every spelling of a blank, as an Arrow array."""
    return pa.array(sorted(options.blanks), pa.string())


def _reader(name: str, contents: Contents, demanded: ColumnType | None, blanks: Any) -> ColumnReader:
    kind = contents.types.get(name)
    if kind is None:
        return TextColumn(name, demanded, blanks, contents.decimals)
    if demanded in (None, kind):
        return TypedColumn(name, kind, blanks)
    return TextColumn(name, demanded, blanks, spelled=lambda cells: as_texts(cells, kind))


# Text --------------------------------------------------------------------------------------------------------------


class TextColumn:
    """A column of texts, as CSV and JSON have them: it is what all of its cells can be, or what a user demands."""

    def __init__(
        self,
        name: str,
        demanded: ColumnType | None,
        blanks: Any,
        decimals: tuple[str, ...] = (".",),
        *,
        spelled: Callable[[Any], Any] | None = None,
    ) -> None:
        self.name = name
        self._demanded = demanded
        self._type: ColumnType = self._demanded or "text"
        self._blanks = blanks
        self._spelled = spelled
        self._possible = set(_ORDER)
        self._decimals = decimals
        self._missing = self._present = 0
        self._kinds: frozenset[type] = frozenset()
        self._spellings: dict[str, None] | None = {}  # in order; None when there are too many
        self._first_not_number: tuple[int, str] | None = None
        self._infinite: tuple[int, str] | None = None

    @property
    def has_decimal_commas(self) -> bool:
        """Whether it holds numbers such as 1,5, once it is decided."""
        return self._type == "number" and self._decimal == ","

    @property
    def _decimal(self) -> str:
        return self._decimals[0]

    def look(self, cells: Any, rows_before: int, kinds: frozenset[type]) -> None:
        cells = trimmed(self._spelled(cells) if self._spelled else cells)
        blank = is_blank(cells, self._blanks)
        present = cells.filter(pc.invert(blank))
        self._missing += len(cells) - len(present)
        self._present += len(present)
        self._kinds |= kinds
        if not len(present):
            return
        if self._demanded is None:
            self._narrow(cells, blank, present, rows_before)
        elif self._demanded != "text":
            self._demand(self._demanded, cells, blank, rows_before)
        if self._spellings is not None and self._possible - {"text", "datetime"}:
            self._spellings |= dict.fromkeys(pc.unique(present).slice(0, MAXIMUM_SPELLINGS + 1).to_pylist())
            if len(self._spellings) > MAXIMUM_SPELLINGS:
                self._spellings = None

    def decide(self) -> Column:
        if self._demanded is None and self._present:
            possible = self._possible
            if str in self._kinds or {bool} < self._kinds:
                possible &= {"text"} if len(self._kinds) > 1 else {"text", "datetime"}
            self._type = next(kind for kind in _ORDER if kind in possible)
        if self._type in ("number", "integer") and self._infinite is not None:
            raise infinite(self.name, *self._infinite)
        return Column(self.name, self._type, self._missing, self._kept_spellings(self._type))

    def values(self, cells: Any) -> Any:
        cells = self._spelled(cells) if self._spelled else cells
        bare = trimmed(cells)
        blank = is_blank(bare, self._blanks)
        if self._type == "text":
            return pc.if_else(blank, _NO_TEXT, cells)
        return pc.if_else(blank, _NO_NUMBER, self._numbers(bare, blank))

    def warning(self) -> str | None:
        if self._demanded is not None:
            return None
        if len(self._kinds) > 1 and self._type == "text":
            return f"{self.name}: holds values of several kinds, so all of it is text"
        if self._first_not_number is None or self._first_not_number[0] <= 100 or self._type != "text":
            return None
        row, cell = self._first_not_number
        return f"{self.name}: the first {row - 1} rows hold numbers, row {row} holds {cell[:40]!r}; all of it is text"

    def _narrow(self, cells: Any, blank: Any, present: Any, rows_before: int) -> None:
        """Leave out the types that these cells are not of."""
        if "number" in self._possible:
            self._try_numbers(cells, blank, present, rows_before)
        if "number" in self._possible:
            self._possible -= {"boolean", "datetime"}
        if "boolean" in self._possible and not _all(_is_boolean(present, _WORDS_OF_BOOLEANS)):
            self._possible.discard("boolean")
        if "datetime" in self._possible and to_seconds(present) is None:
            self._possible.discard("datetime")

    def _try_numbers(self, cells: Any, blank: Any, present: Any, rows_before: int) -> None:
        wrong = {decimal: pc.and_(pc.invert(is_number(cells, decimal)), pc.invert(blank)) for decimal in self._decimals}
        fitting = tuple(decimal for decimal in self._decimals if not pc.any(wrong[decimal]).as_py())
        if not fitting:
            place = max(pc.index(mask, True).as_py() for mask in wrong.values())
            self._first_not_number = (rows_before + place + 1, cells[place].as_py())
            self._possible -= {"number", "integer"}
            return
        self._decimals = fitting
        if "integer" in self._possible and not _all(pc.match_substring_regex(present, _INTEGER)):
            self._possible.discard("integer")
        self._note_infinite(cells, to_numbers(cells, blank, self._decimal), rows_before)

    def _demand(self, kind: ColumnType, cells: Any, blank: Any, rows_before: int) -> None:
        """Refuse the first cell that is not of the type a user wants."""
        fits = pc.or_(blank, self._fits(kind, cells))
        if not _all(fits):
            place = pc.index(fits, False).as_py()
            row, cell = rows_before + place, cells[place].as_py()
            raise DataError(
                f"rows[{row}].{self.name}",
                f"expected {_WORDS[kind]}, as types demands, got {cell[:40]!r} in data row {row + 1}",
                code="wrong_type",
            )
        if kind in ("number", "integer"):
            self._note_infinite(cells, to_numbers(cells, blank, self._decimal), rows_before)

    def _fits(self, kind: ColumnType, cells: Any) -> Any:
        if kind == "integer":
            return pc.match_substring_regex(cells, _DEMANDED_INTEGER)
        if kind == "number":
            self._decimals = self._decimals if len(self._decimals) == 1 else self._fitting(cells)
            return pc.match_substring_regex(cells, _DEMANDED_NUMBERS[self._decimal])
        if kind == "boolean":
            return _is_boolean(cells, _SPELLINGS_OF_BOOLEANS)
        return pa.array([text is not None and datetimes.seconds(text) is not None for text in cells.to_pylist()])

    def _fitting(self, cells: Any) -> tuple[str, ...]:
        """The one decimal that is there, or both while there is none."""
        found = tuple(decimal for decimal in self._decimals if pc.any(pc.match_substring(cells, decimal)).as_py())
        return found[:1] or self._decimals

    def _note_infinite(self, cells: Any, numbers: Any, rows_before: int) -> None:
        if self._infinite is None:
            self._infinite = first_infinite(cells, numbers, rows_before)

    def _numbers(self, bare: Any, blank: Any) -> Any:
        if self._type == "boolean":
            return pc.cast(pc.is_in(pc.utf8_lower(bare), value_set=_TRUE), pa.float64())
        if self._type == "datetime":
            found = to_seconds(pc.if_else(blank, _NO_TEXT, bare))
            if found is None:
                raise AssertionError("a column that was looked at holds moments alone")
            return found
        return to_numbers(bare, blank, self._decimal)

    def _kept_spellings(self, kind: ColumnType) -> dict[str, str]:
        """The first spelling of each value, where it is not the plain one."""
        if kind in ("text", "datetime") or self._spellings is None:
            return {}

        def plainly(spelling: str) -> str:
            if kind == "boolean":
                return spell(_BOOLEANS[spelling.lower()], kind)
            return spell(float(spelling.replace(self._decimal, ".")), kind)

        first = {plainly(spelling): spelling for spelling in reversed(self._spellings)}
        return {plain: spelling for plain, spelling in first.items() if plain != spelling}


def trimmed(cells: Any) -> Any:
    """Texts without the padding around them."""
    return pc.utf8_trim(cells, characters=PADDING)


def is_blank(cells: Any, blanks: Any) -> Any:
    """Which of trimmed cells hold nothing."""
    return pc.or_(pc.is_null(cells), pc.is_in(cells, value_set=blanks))


def is_number(cells: Any, decimal: str) -> Any:
    """Which of trimmed cells spell a number, identifiers such as 02138 aside."""
    return pc.match_substring_regex(cells, _NUMBERS[decimal])


def to_numbers(cells: Any, skipped: Any, decimal: str) -> Any:
    """Trimmed cells as float64, those to be skipped as null."""
    kept = pc.if_else(skipped, _NO_TEXT, cells)
    return pc.cast(kept if decimal == "." else pc.replace_substring(kept, decimal, "."), pa.float64())


def to_seconds(cells: Any) -> Any | None:
    """Trimmed cells or nulls as seconds since 1970 in UTC, as `datetimes.seconds`; None if one is no moment."""
    if not _all(pc.match_substring_regex(cells, _DATETIME)):
        return None
    cells = pc.replace_substring_regex(cells, _BEYOND_MICROSECONDS, r"\1")
    has_offset = pc.match_substring_regex(cells, _OFFSET)
    try:
        with_offset = pc.cast(pc.if_else(has_offset, cells, _NO_TEXT), pa.timestamp("us", "UTC"))
        without = pc.cast(pc.if_else(has_offset, _NO_TEXT, cells), pa.timestamp("us"))
    except pa.ArrowInvalid:  # a day that its month does not have
        return None
    found = pc.divide(_as_float(pc.coalesce(pc.cast(with_offset, pa.int64()), pc.cast(without, pa.int64()))), 1e6)
    return found if _all(_is_a_moment(found)) else None


def _as_float(whole: Any) -> Any:
    """Whole numbers as float64, rounded where it can't hold them."""
    return pc.cast(whole, pa.float64(), safe=False)


def _is_a_moment(seconds: Any) -> Any:
    return pc.and_(pc.greater_equal(seconds, datetimes.FIRST), pc.less(seconds, datetimes.LAST))


def _is_boolean(cells: Any, spellings: Any) -> Any:
    return pc.is_in(pc.utf8_lower(cells), value_set=spellings)


def _all(mask: Any) -> bool:
    """Whether every element that is not null is true."""
    return pc.all(mask).as_py() is not False


def first_infinite(cells: Any, numbers: Any, rows_before: int) -> tuple[int, str] | None:
    """The row and spelling of the first number that float64 can't hold."""
    found = pc.is_inf(numbers)
    if not pc.any(found).as_py():
        return None
    place = pc.index(found, True).as_py()
    return rows_before + place, str(cells[place].as_py())


def infinite(name: str, row: int, cell: str) -> DataError:
    """What is said of a number that is infinite."""
    return DataError(
        f"rows[{row}].{name}",
        f"expected a finite number, got {cell[:40]} in data row {row + 1}",
        code="infinite",
    )


# Types of the file's own -------------------------------------------------------------------------------------------


class TypedColumn:
    """A column of a file that says what it holds."""

    def __init__(self, name: str, kind: ColumnType, blanks: Any) -> None:
        self.name = name
        self._type: ColumnType = kind
        self._blanks = blanks
        self._missing = 0

    def look(self, cells: Any, rows_before: int, kinds: frozenset[type]) -> None:
        values = self.values(cells)
        if self._type == "text":
            self._missing += values.null_count
            return
        numbers = np.asarray(values)
        self._missing += int(np.isnan(numbers).sum())
        if self._type == "datetime":
            self._refuse_first(~np.isnan(numbers) & ~_are_moments(numbers), rows_before)
        elif found := first_infinite(values, values, rows_before):
            raise infinite(self.name, *found)
        if self._type == "integer" and (np.abs(numbers) >= MAXIMUM_INTEGER).any():
            self._type = "number"

    def decide(self) -> Column:
        return Column(self.name, self._type, self._missing)

    def values(self, cells: Any) -> Any:
        if self._type == "text":
            texts = _cast_to_text(self.name, cells)
            return pc.if_else(is_blank(trimmed(texts), self._blanks), _NO_TEXT, texts)
        return pc.fill_null(plain_numbers(cells, self._type), float("nan"))

    def warning(self) -> str | None:
        return None

    def _refuse_first(self, wrong: Any, rows_before: int) -> None:
        if wrong.any():
            row = rows_before + int(wrong.argmax())
            raise DataError(
                f"rows[{row}].{self.name}",
                f"expected a date of the years 1 to 9999, got another in data row {row + 1}",
                code="out_of_range",
            )


def _are_moments(seconds: Any) -> Any:
    return (seconds >= datetimes.FIRST) & (seconds < datetimes.LAST)


def _cast_to_text(name: str, cells: Any) -> Any:
    try:
        return pc.cast(cells, pa.string())
    except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
        message = f"expected texts of at most 2 GiB in {len(cells)} rows, got longer ones"
        raise DataError(f"columns.{name}", message, code="too_large") from error


def type_of(name: str, arrow: Any) -> ColumnType:
    """What a column of this Arrow type holds. Raises DataError for one that holds no cells."""
    kind = arrow.value_type if pa.types.is_dictionary(arrow) else arrow
    for found, tests in _ARROW_TYPES.items():
        if any(test(kind) for test in tests):
            return found
    raise DataError(
        f"columns.{name}",
        f"expected numbers, texts, booleans, dates or timestamps, got {str(arrow)[:60]}",
        code="not_cells",
    )


_ARROW_TYPES: dict[ColumnType, tuple[Callable[[Any], bool], ...]] = {
    "integer": (pa.types.is_integer,),
    "number": (pa.types.is_floating, pa.types.is_decimal),
    "boolean": (pa.types.is_boolean,),
    "datetime": (pa.types.is_date, pa.types.is_timestamp),
    "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null),
}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def plain_numbers(cells: Any, kind: ColumnType) -> Any:
    """Arrow cells of a type that is not text as float64; blanks are null or NaN."""
    if pa.types.is_dictionary(cells.type):
        cells = pc.cast(cells, cells.type.value_type)
    if kind != "datetime":
        return _as_float(cells)
    if pa.types.is_date32(cells.type):
        return pc.multiply(_as_float(pc.cast(cells, pa.int32())), 86400.0)
    unit = "ms" if pa.types.is_date64(cells.type) else cells.type.unit
    return pc.divide(_as_float(pc.cast(cells, pa.int64())), float(_PER_SECOND[unit]))


def as_texts(cells: Any, kind: ColumnType) -> Any:
    """Arrow cells of any of these types as a CSV file would spell them."""
    if pa.types.is_dictionary(cells.type):
        cells = pc.cast(cells, cells.type.value_type)
    if kind == "datetime":
        seconds = plain_numbers(cells, kind).to_pylist()
        return pa.array([None if each is None else _iso(each) for each in seconds], pa.string())
    if pa.types.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)
    return pc.cast(cells, pa.string())


def _iso(seconds: float) -> str:
    """A moment as text; one outside the years that can be written, as its number."""
    return datetimes.iso(seconds) if _are_moments(seconds) else repr(seconds)


def plain_cells(values: Any, kind: ColumnType) -> list[Cell]:
    """Stored values one by one, as a table's rows have them."""
    convert: dict[ColumnType, Callable[[Any], Cell]] = {
        "integer": int,
        "boolean": bool,
        "number": float,
        "datetime": datetimes.iso,
        "text": str,
    }
    return [None if cell is None or cell != cell else convert[kind](cell) for cell in values.to_pylist()]
