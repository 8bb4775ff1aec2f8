"""How numbers and moments are written on pages."""

from datetime import UTC, datetime
from math import isfinite, log10


def number(value: float | int | None, digits: int = 4) -> str:
    """To so many significant digits, without an exponent where that is short; – for none."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if not isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - int(log10(abs(value)) // 1))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.{max(0, digits - 2)}e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}"


_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def share(value: float | None) -> str:
    """In hundredths."""
    return "–" if value is None else f"{number(100 * value, 3)}\N{NARROW NO-BREAK SPACE}%"


def duration(seconds: float | None) -> str:
    """In the unit that suits it."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{number(float(seconds), 3)} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(count: int) -> str:
    """So many bytes."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{number(count / scale, 3)} {unit}"
    return f"{count} bytes"


def moment(at: datetime | None) -> str:
    """In UTC, to the second."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ago(at: datetime | None) -> str:
    """How long ago, in the unit that suits it."""
    if at is None:
        return "–"
    seconds = max(0, round((datetime.now(UTC) - at).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"
