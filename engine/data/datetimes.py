"""Dates and date-times as text (ISO 8601) and as numbers: seconds since 1970 in UTC."""

import re
from datetime import UTC, datetime, timedelta

PATTERN = (
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?"
    r"(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?)?"
)
"""A calendar date, alone or with a time of day, which may have seconds, a fraction of them and an offset from UTC."""
FIRST, LAST = -62135596800.0, 253402300800.0
"""The seconds at which year 1 begins and year 9999 has ended."""

_PATTERN = re.compile(PATTERN)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def seconds(text: str) -> float | None:
    """The seconds since 1970 in UTC of an ISO 8601 date or date-time, or None for any other text.

    Without an offset it is in UTC; a date alone is its midnight; digits beyond the microsecond are left out.
    """
    if _PATTERN.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # a day that its month does not have
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    found = (moment - _EPOCH) / _MICROSECOND / 1e6
    return found if FIRST <= found < LAST else None


def iso(seconds: float) -> str:
    """The moment so many seconds after 1970 began in UTC, as `2024-05-01T12:30:00Z`, to the microsecond.

    From 1834 to 2106 every microsecond is told apart; further off float64 holds fewer. Raises OverflowError outside
    the years 1 to 9999.
    """
    moment = _EPOCH + timedelta(microseconds=round(seconds * 1e6))
    return moment.replace(tzinfo=None).isoformat() + "Z"
