"""What the columns of a table are: their names, types and how the file spells them."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

from engine.data import datetimes

ColumnType = Literal["number", "integer", "boolean", "datetime", "text"]

BLANKS = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"})
"""Spellings of a cell that holds nothing."""
PADDING = " \t"
"""What may stand around a number, true, false or a blank without meaning anything."""


@dataclass(frozen=True)
class Column:
    """One column. Every type but text is held as float64, with NaN for a blank; a moment as seconds since 1970."""

    name: str
    type: ColumnType
    missing: int
    spellings: dict[str, str] = field(default_factory=dict)
    """How the file writes a value where it differs from the plain form: `{"1.5": "1.50"}`; of few-valued columns."""

    def spell(self, value: float) -> str:
        """A value of this column as text, exactly as the file has it."""
        plain = spell(value, self.type)
        return self.spellings.get(plain, plain)


@dataclass(frozen=True)
class Schema:
    """The columns in order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every column's name."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of this name, or KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_json(self) -> list[dict[str, Any]]:
        """A list of plain objects."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, items: list[dict[str, Any]]) -> Self:
        """The schema `to_json` gave."""
        return cls(tuple(Column(**item) for item in items))


def spell(value: float, kind: ColumnType) -> str:
    """The plain form of a value: 7 for an integer, 7.5 for a number, true for a boolean, ISO 8601 for a moment."""
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "datetime":
        return datetimes.iso(value)
    return str(int(value)) if kind == "integer" else repr(float(value))
