"""Charts: pure functions from numbers to SVG, without scripts or styles of their own; colours are classes.

Every chart has a title for those who don't see it, its axes' names with their units, and its values as titles of its
marks. Texts of users are escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from markupsafe import Markup

from service.ui.numbers import number

WIDTH, HEIGHT = 540.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 12.0, 30.0, 40.0
COLOURS = 10
"""So many series are told apart."""

Values = Sequence[float | None]


@dataclass(frozen=True)
class Series:
    """A line: its name, and its heights; None where there is none."""

    name: str
    values: Values
    is_joined: bool = False
    """Whether the line goes on over what is None, as where several series have an x of their own."""
    colour: int | None = None
    """Its place among the colours, if not that among the series."""
    is_faint: bool = False
    """Whether it only stands behind another."""


@dataclass(frozen=True)
class Cell:
    """A square of a heat map."""

    value: float | None
    href: str | None = None


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers on a stretch of the picture."""

    low: float
    high: float
    start: float
    stop: float
    is_log: bool = False
    is_whole: bool = False
    """Whether only whole numbers are written."""

    def at(self, value: float) -> float:
        """Where a number lies."""
        low, high, here = (log10(each) if self.is_log else each for each in (self.low, self.high, value))
        return self.start + (here - low) / (high - low) * (self.stop - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers to write beside it."""
        if self.is_log:
            first, last = floor(log10(self.low)), ceil(log10(self.high))
            step = max(1, (last - first) // about)
            return [10.0**power for power in range(first, last + 1, step) if self.low <= 10.0**power <= self.high]
        span = self.high - self.low
        unit = 10.0 ** floor(log10(span / about))
        unit *= next(factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= about)
        unit = max(1.0, unit) if self.is_whole else unit
        first, last = ceil(self.low / unit - 1e-9), floor(self.high / unit + 1e-9)
        return [place * unit for place in range(first, last + 1)]


def lines(
    x: Sequence[float],
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    is_log: bool = False,
    mark: float | None = None,
    mark_label: str = "best",
    has_legend: bool = True,
) -> Markup:
    """Lines over the same x, with gaps where a value is none; `mark` is a place on x that is told.

    The numbers go along as data of the marks, for a script that tells them.
    """
    shown = [value for each in series for value in each.values if value is not None and _is_shown(value, is_log)]
    if not shown or not x:
        return _nothing(title)
    low, high = min(shown), max(shown)
    if not is_log:
        low = min(0.0, low) if low < high / 2 else low
        pad = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
        low, high = (low if low == 0 else low - pad), high + pad
    elif low == high:
        low, high = low / 2, high * 2
    is_whole = all(isinstance(each, int) for each in x)
    across = Axis(min(x), max(x) if max(x) > min(x) else min(x) + 1, LEFT, WIDTH - RIGHT, is_whole=is_whole)
    up = Axis(low, high, HEIGHT - BOTTOM, TOP, is_log)
    parts = [_axes(across, up, x_label, y_label)]
    if mark is not None:
        at = across.at(mark)
        side = "end" if at > WIDTH / 2 else "start"
        parts.append(
            Markup(
                '<line class="mark" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                '<text class="mark {3}" x="{4:.1f}" y="{5}">{6} {7}</text>'
            ).format(
                at, TOP, HEIGHT - BOTTOM, side, at - 5 if side == "end" else at + 5, TOP + 10, mark_label, number(mark)
            )
        )
    for place, each in enumerate(series):
        parts.append(_line(x, each, across, up, _colour(each, place)))
    if has_legend:
        told = [(each.name, _colour(each, place)) for place, each in enumerate(series) if not each.is_faint]
        parts.append(_legend(told))
    data = {"x": "|".join(map(number, x)), "across": f"{across.low} {across.high} {across.start} {across.stop}"}
    return _svg(WIDTH, HEIGHT, title, parts, "chart", data=data)


def _colour(series: Series, place: int) -> int:
    return place if series.colour is None else series.colour


def _line(x: Sequence[float], series: Series, across: Axis, up: Axis, colour: int) -> Markup:
    parts = []
    for points in _stretches(x, series.values, across, up, is_joined=series.is_joined):
        if len(points) == 1:
            parts.append(Markup('<circle class="s{}" cx="{}" cy="{}" r="2.5"/>').format(colour, *points[0].split(",")))
        else:
            parts.append(Markup('<polyline class="s{}" points="{}"/>').format(colour, " ".join(points)))
    gone = [here for here, value in zip(x, series.values, strict=True) if value is not None and not isfinite(value)]
    for here in gone[:1]:
        parts.append(
            Markup('<text class="gap" x="{:.1f}" y="{}">not finite from {} on</text>').format(
                across.at(here), TOP + 24, number(here)
            )
        )
    if series.is_faint:
        return Markup('<g class="faint">{}</g>').format(Markup("").join(parts))
    told = "|".join(map(number, series.values))
    return Markup('<g data-name="{}" data-y="{}">{}</g>').format(series.name, told, Markup("").join(parts))


def _is_shown(value: float, is_log: bool) -> bool:
    return isfinite(value) and (not is_log or value > 0)


def _stretches(
    x: Sequence[float], values: Values, across: Axis, up: Axis, *, is_joined: bool = False
) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for here, value in zip(x, values, strict=True):
        if value is not None and _is_shown(value, up.is_log):
            found[-1].append(f"{across.at(here):.1f},{up.at(value):.1f}")
        elif found[-1] and not (is_joined and value is None):
            found.append([])
    return [points for points in found if points]


def _digits(ticks: Sequence[float]) -> int:
    """So many that neighbours are written differently."""
    return max(3, 2 + floor(log10(max(map(abs, ticks)) / (ticks[1] - ticks[0]))))


def _axes(across: Axis, up: Axis, x_label: str, y_label: str) -> Markup:
    parts = []
    heights = up.ticks()
    digits = 3 if up.is_log or len(heights) < 2 else _digits(heights)
    for value in heights:
        y = up.at(value)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(LEFT, WIDTH - RIGHT, y, y)
        )
        parts.append(
            Markup('<text class="tick end" x="{}" y="{:.1f}">{}</text>').format(LEFT - 6, y + 4, number(value, digits))
        )
    for value in across.ticks(8):
        x = across.at(value)
        parts.append(
            Markup('<text class="tick mid" x="{:.1f}" y="{}">{}</text>').format(
                x, HEIGHT - BOTTOM + 16, number(value, 4)
            )
        )
    parts.append(
        Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
            LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM
        )
    )
    parts.append(
        Markup('<text class="label mid" x="{}" y="{}">{}</text>').format((LEFT + WIDTH) / 2, HEIGHT - 6, x_label)
    )
    parts.append(
        Markup('<text class="label mid" x="{0}" y="{1}" transform="rotate(-90 {0} {1})">{2}</text>').format(
            14, HEIGHT / 2 - 10, y_label
        )
    )
    return Markup("").join(parts)


def _legend(names: Sequence[tuple[str, int]]) -> Markup:
    parts, x = [], LEFT
    for name, colour in names:
        parts.append(
            Markup(
                '<line class="s{0}" x1="{1}" x2="{2}" y1="12" y2="12"/><text class="tick" x="{3}" y="16">{4}</text>'
            ).format(colour, x, x + 18, x + 23, name)
        )
        x += 46 + 6.4 * len(name)
    return Markup("").join(parts)


def sparkline(values: Values, *, title: str) -> Markup:
    """A line in the height of a row of a table."""
    shown = [value for value in values if value is not None and isfinite(value)]
    if len(shown) < 2:
        return Markup("")
    low, high = min(shown), max(shown)
    across = Axis(0, len(values) - 1, 1, 99)
    up = Axis(low, high if high > low else low + 1, 21, 3)
    parts = [
        Markup('<polyline class="s0" points="{}"/>').format(" ".join(points))
        for points in _stretches(range(len(values)), values, across, up)
        if len(points) > 1
    ]
    return _svg(100, 24, title, parts, "spark")


def heat_map(
    names: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Cell]],
    *,
    title: str,
    x_label: str,
    unit: str,
    span: tuple[float, float] | None = None,
) -> Markup:
    """A row for each name, a column for each column: the larger the value, the darker, in one hue of nine steps."""
    known = [cell.value for row in cells for cell in row if cell.value is not None and isfinite(cell.value)]
    if not known:
        return _nothing(title)
    low, high = span or (min(known), max(known))
    left, row_height, bottom = 84.0, 22.0, 54.0
    width = (WIDTH - left - RIGHT) / max(1, len(columns))
    height = TOP + row_height * len(names) + bottom
    parts = []
    for row, (name, values) in enumerate(zip(names, cells, strict=True)):
        y = TOP + row * row_height
        parts.append(Markup('<text class="tick end" x="{}" y="{:.1f}">{}</text>').format(left - 6, y + 15, name))
        for column, cell in enumerate(values):
            told = f"{name}, {x_label} {columns[column]}: {number(cell.value)} {unit}"
            square = Markup(
                '<rect class="{}" x="{:.2f}" y="{:.1f}" width="{:.2f}" height="{}"><title>{}</title></rect>'
            ).format(_shade(cell.value, low, high), left + column * width, y, width + 0.3, row_height - 1, told)
            parts.append(
                square
                if cell.href is None
                else Markup('<a href="{}" aria-label="{}">{}</a>').format(cell.href, told, square)
            )
    for column in range(0, len(columns), max(1, ceil(len(columns) / 10))):
        parts.append(
            Markup('<text class="tick mid" x="{:.1f}" y="{}">{}</text>').format(
                left + (column + 0.5) * width, height - bottom + 14, columns[column]
            )
        )
    parts.append(
        Markup('<text class="label mid" x="{}" y="{}">{}</text>').format(
            (left + WIDTH) / 2, height - bottom + 30, x_label
        )
    )
    for step in range(9):
        parts.append(
            Markup('<rect class="h{}" x="{}" y="{}" width="16" height="10"/>').format(
                step, left + step * 16, height - 14
            )
        )
    parts.append(
        Markup('<text class="tick end" x="{}" y="{}">{}</text><text class="tick" x="{}" y="{}">{} {}</text>').format(
            left - 6, height - 5, number(low, 3), left + 9 * 16 + 6, height - 5, number(high, 3), unit
        )
    )
    has_links = any(cell.href is not None for row in cells for cell in row)
    return _svg(WIDTH, height, title, parts, "chart", role="group" if has_links else "img")


def _shade(value: float | None, low: float, high: float) -> str:
    if value is None or not isfinite(value):
        return "none"
    return f"h{min(8, max(0, int(9 * (value - low) / (high - low or 1))))}"


def histogram(edges: Sequence[float], counts: Sequence[int], *, title: str, x_label: str) -> Markup:
    """Bars whose areas are the counts, over their edges."""
    if not counts or not sum(counts):
        return _nothing(title)
    across = Axis(edges[0], edges[-1] if edges[-1] > edges[0] else edges[0] + 1, LEFT, WIDTH - RIGHT)
    up = Axis(0, max(counts) * 1.04, HEIGHT - BOTTOM, TOP)
    parts = [_axes(across, up, x_label, "how many")]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        x, y = across.at(low), up.at(count)
        parts.append(
            Markup(
                '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
                "<title>{} to {}: {}</title></rect>"
            ).format(x, y, max(0.5, across.at(high) - x - 0.6), HEIGHT - BOTTOM - y, number(low), number(high), count)
        )
    return _svg(WIDTH, HEIGHT, title, parts, "chart")


def small_histogram(counts: Sequence[int], *, title: str) -> Markup:
    """Bars in the height of a row of a table."""
    most = max(counts, default=0)
    if not most:
        return Markup("")
    width = 100 / len(counts)
    parts = [
        Markup('<rect class="bar" x="{:.2f}" y="{:.1f}" width="{:.2f}" height="{:.1f}"/>').format(
            place * width, 24 - 22 * count / most, max(0.4, width - 0.4), 22 * count / most
        )
        for place, count in enumerate(counts)
    ]
    return _svg(100, 24, title, parts, "spark")


def bars(names: Sequence[str], values: Sequence[float], *, title: str, texts: Sequence[str] | None = None) -> Markup:
    """Bars from the left, one below the other, for shares and counts."""
    if not names:
        return _nothing(title)
    most, left = max([*values, 1e-300]), 150.0
    parts = []
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        y, text = 4 + row * 24, texts[row] if texts else number(value)
        short = name if len(name) <= 24 else f"{name[:23]}…"
        width = (WIDTH - left - 90) * max(0.0, value) / most
        parts.append(
            Markup(
                '<text class="tick end" x="{}" y="{}">{}<title>{}</title></text>'
                '<rect class="bar" x="{}" y="{}" width="{:.1f}" height="18"/>'
                '<text class="tick" x="{:.1f}" y="{}">{}</text>'
            ).format(left - 8, y + 14, short, name, left, y, max(1.0, width), left + width + 6, y + 14, text)
        )
    return _svg(WIDTH, 8 + 24 * len(names), title, parts, "chart")


def _svg(
    width: float,
    height: float,
    title: str,
    parts: Sequence[Markup],
    kind: str,
    role: str = "img",
    data: Mapping[str, str] | None = None,
) -> Markup:
    more = Markup("").join(Markup(' data-{}="{}"').format(name, value) for name, value in (data or {}).items())
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="{}" viewBox="0 0 {:g} {:g}" role="{}" aria-label="{}"{}>'
        "{}</svg>"
    ).format(kind, width, height, role, title, more, Markup("").join(parts))


def _nothing(title: str) -> Markup:
    return Markup('<p class="quiet">{}: nothing to draw yet.</p>').format(title)
