"""Pages: lists in a stable order, continued from an opaque cursor."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, and_, or_
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
    key: InstrumentedAttribute[Any],
    unique: InstrumentedAttribute[str],
    descending: bool,
    limit: int,
    cursor: str | None,
) -> Page[RowT]:
    """The next rows of a query ordered by `key`, ties broken by `unique`. Raises BadCursor for a foreign cursor."""
    if cursor is not None:
        value, last = _decode(cursor, key)
        beyond = (key < value, unique < last) if descending else (key > value, unique > last)
        query = query.where(or_(beyond[0], and_(key == value, beyond[1])))
    order = (key.desc(), unique.desc()) if descending else (key.asc(), unique.asc())
    rows = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    items = rows[:limit]
    if len(rows) <= limit:
        return Page(items, None)
    return Page(items, _encode(key.key, getattr(items[-1], key.key), getattr(items[-1], unique.key)))


def _encode(key: str, value: Any, last: str) -> str:
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([key, plain, last]).encode()).decode().rstrip("=")


def _decode(cursor: str, key: InstrumentedAttribute[Any]) -> tuple[Any, str]:
    """The key's value and the id that a cursor of this list holds: only such as the database could have given."""
    try:
        made_for, plain, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if made_for != key.key:
            raise ValueError(f"expected a cursor over {key.key}")
        kind = key.type.impl_instance if isinstance(key.type, TypeDecorator) else key.type
        return _READERS[kind.python_type](plain), _text(last)
    except (ValueError, TypeError) as error:
        raise BadCursor(cursor) from error


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


_READERS: dict[type, Callable[[Any], Any]] = {datetime: _moment, int: _integer, str: _text}
