"""Pages: lists in a stable order, continued from an opaque cursor."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

RowT = TypeVar("RowT")


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
        value, last = _decode(cursor, key.key)
        beyond = (key < value, unique < last) if descending else (key > value, unique > last)
        query = query.where(or_(beyond[0], and_(key == value, beyond[1])))
    order = (key.desc(), unique.desc()) if descending else (key.asc(), unique.asc())
    rows = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    items = rows[:limit]
    if len(rows) <= limit:
        return Page(items, None)
    return Page(items, _encode(key.key, getattr(items[-1], key.key), getattr(items[-1], unique.key)))


def _encode(key: str, value: Any, last: str) -> str:
    plain = {"at": value.isoformat()} if isinstance(value, datetime) else {"is": value}
    return base64.urlsafe_b64encode(json.dumps([key, plain, last]).encode()).decode().rstrip("=")


def _decode(cursor: str, key: str) -> tuple[Any, str]:
    try:
        made_for, plain, last = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        value = datetime.fromisoformat(plain["at"]) if "at" in plain else plain["is"]
    except (ValueError, binascii.Error, KeyError, TypeError) as error:
        raise BadCursor(cursor) from error
    if made_for != key or not isinstance(last, str) or not isinstance(value, (datetime, str, int)):
        raise BadCursor(cursor)
    return value, last
