"""The parts of moments: what of a time a network can learn from."""

from collections.abc import Sequence

import numpy as np

from engine.encodings import DatetimePart
from engine.parameters import Array

DAY = 86_400.0
CYCLES: dict[DatetimePart, float] = {"month": 12.0, "day_of_year": 365.2425, "day_of_week": 7.0, "hour": 24.0}
"""The length of each part that comes again."""


def part_names(parts: Sequence[DatetimePart]) -> tuple[str, ...]:
    """A name for each number that `datetime_parts` gives."""
    return tuple(name for part in parts for name in ((f"{part}_sin", f"{part}_cos") if part in CYCLES else (part,)))


def datetime_parts(seconds: Array, parts: Sequence[DatetimePart]) -> Array:
    """Of moments in seconds since 1970 UTC (m,), the numbers of each part (m, n): days for `time`, and years.

    A part that comes again is the sine and cosine of its place in the cycle, so that its last and first values are
    neighbours. Blanks (NaN) give NaN.
    """
    with np.errstate(invalid="ignore"):
        moments = seconds.astype("datetime64[s]")
    moments[np.isnan(seconds)] = np.datetime64("NaT")
    days, months, years = (moments.astype(f"datetime64[{unit}]") for unit in "DMY")
    found: dict[DatetimePart, Array] = {
        "time": seconds / DAY,
        "year": _count(years) + 1970,
        "month": _count(months) % 12,
        "day_of_year": _count(days) - _count(years.astype("datetime64[D]")),
        "day_of_week": (_count(days) + 3) % 7,  # 1970 began on a Thursday
        "hour": seconds % DAY / 3600,
    }
    columns: list[Array] = []
    for part in parts:
        if part in CYCLES:
            angle = 2 * np.pi * found[part] / CYCLES[part]
            columns += [np.sin(angle), np.cos(angle)]
        else:
            columns.append(found[part])
    return np.stack(columns, axis=-1) if columns else np.empty((len(seconds), 0))


def _count(moments: Array) -> Array:
    """How many of the moments' own units have passed since 1970, NaN for a blank."""
    return np.where(np.isnat(moments), np.nan, moments.astype(np.int64).astype(np.float64))
