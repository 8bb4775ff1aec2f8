"""Pages: lists in a stable order, continued from an opaque cursor."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, literal, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeDecorator

RowT = TypeVar("RowT")

MAXIMUM_INTEGER = 2**31 - 1
"""The largest number that an integer column takes."""


class BadCursor(Exception):  # noqa: N818 - what it is, not what to do about it
    """A cursor that this list never gave."""


@dataclass(frozen=True)
class Page(Generic[RowT]):
    """Some rows, and the cursor that goes on behind them, or None at the end."""

    items: Sequence[RowT]
    next_cursor: str | None


def page(
    session: Session,
    query: Select[RowT],
    *,
    keys: Sequence[InstrumentedAttribute[Any]],
    descending: bool,
    limit: int,
    cursor: str | None,
) -> Page[RowT]:
    """The next rows of a query ordered by `keys`, the last of them unique. Raises BadCursor for a foreign cursor."""
    if cursor is not None:
        last = tuple_(*(literal(value, key.type) for key, value in zip(keys, _decode(cursor, keys), strict=True)))
        query = query.where(tuple_(*keys) < last if descending else tuple_(*keys) > last)
    order = [key.desc() if descending else key.asc() for key in keys]
    rows = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    return Page(rows[:limit], _encode(rows[limit - 1], keys) if len(rows) > limit else None)


def _encode(row: Any, keys: Sequence[InstrumentedAttribute[Any]]) -> str:
    place = {key.key: getattr(row, key.key) for key in keys}
    return base64.urlsafe_b64encode(json.dumps(place, default=datetime.isoformat).encode()).decode().rstrip("=")


def _decode(cursor: str, keys: Sequence[InstrumentedAttribute[Any]]) -> list[Any]:
    """The keys' values that a cursor of this list holds: only such as the database could have given."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if list(place) != [key.key for key in keys]:
            raise ValueError("expected a cursor of this order")
        return [_READERS[_kind(key)](place[key.key]) for key in keys]
    except (ValueError, TypeError) as error:
        raise BadCursor(cursor) from error


def _kind(key: InstrumentedAttribute[Any]) -> type:
    kind = key.type.impl_instance if isinstance(key.type, TypeDecorator) else key.type
    return kind.python_type


def _moment(plain: Any) -> datetime:
    value = datetime.fromisoformat(plain)
    if value.utcoffset() != timedelta(0):
        raise ValueError("expected a moment in UTC")
    return value


def _integer(plain: Any) -> int:
    if type(plain) is not int or abs(plain) > MAXIMUM_INTEGER:
        raise ValueError("expected an integer of 32 bits")
    return plain


def _text(plain: Any) -> str:
    if not isinstance(plain, str) or "\0" in plain:
        raise ValueError("expected text without NUL")
    plain.encode()  # half characters are no text
    return plain


def _number(plain: Any) -> float:
    if type(plain) not in (int, float) or not isfinite(plain):
        raise ValueError("expected a number")
    return float(plain)


_READERS: dict[type, Callable[[Any], Any]] = {datetime: _moment, int: _integer, float: _number, str: _text}
