"""Charts: pure functions from numbers to SVG, without scripts or styles of their own; colours are classes.

Every chart has a title for those who don't see it, its axes' names with their units, and its values as titles of its
marks. Texts of users are escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, floor, isfinite, log10
from pathlib import Path

from markupsafe import Markup

from service.ui.numbers import number

WIDTH, HEIGHT = 540.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 12.0, 30.0, 40.0
COLOURS = 10
"""So many series are told apart."""
STYLE = Path(__file__).parent / "static" / "charts.css"

FAINTEST = 0.15
"""Weights below this share of the largest are not drawn."""

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
    text: str = ""
    """What is written in it."""


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


def _axes(across: Axis, up: Axis, x_label: str, y_label: str, height: float = HEIGHT) -> Markup:
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
    parts.append(
        Markup('<text class="label mid" x="{0}" y="{1}" transform="rotate(-90 {0} {1})">{2}</text>').format(
            14, height / 2 - 10, y_label
        )
    )
    return Markup("").join(parts) + _x_axis(across, x_label, height)


def _x_axis(across: Axis, label: str, height: float) -> Markup:
    parts = [
        Markup('<text class="tick mid" x="{:.1f}" y="{}">{}</text>').format(
            across.at(value), height - BOTTOM + 16, number(value, 4)
        )
        for value in across.ticks(8)
    ]
    line = Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
        LEFT, WIDTH - RIGHT, height - BOTTOM, height - BOTTOM
    )
    name = Markup('<text class="label mid" x="{}" y="{}">{}</text>').format((LEFT + WIDTH) / 2, height - 6, label)
    return Markup("").join([*parts, line, name])


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
    is_signed: bool = False,
) -> Markup:
    """A row for each name, a column for each column: the larger the value, the darker, in one hue of nine steps.

    Of signed values the span lies around 0, and there are two hues.
    """
    known = [cell.value for row in cells for cell in row if cell.value is not None and isfinite(cell.value)]
    if not known:
        return _nothing(title)
    most = max(map(abs, known))
    low, high = span or ((-most, most) if is_signed else (min(known), max(known)))
    hue = "d" if is_signed else "h"
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
            ).format(_shade(cell.value, low, high, hue), left + column * width, y, width + 0.3, row_height - 1, told)
            if cell.text:
                square += Markup('<text class="in {}" x="{:.1f}" y="{:.1f}">{}</text>').format(
                    _shade(cell.value, low, high, hue), left + (column + 0.5) * width, y + 15, cell.text
                )
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
            Markup('<rect class="{}{}" x="{}" y="{}" width="16" height="10"/>').format(
                hue, step, left + step * 16, height - 14
            )
        )
    parts.append(
        Markup('<text class="tick end" x="{}" y="{}">{}</text><text class="tick" x="{}" y="{}">{} {}</text>').format(
            left - 6, height - 5, number(low, 3), left + 9 * 16 + 6, height - 5, number(high, 3), unit
        )
    )
    has_links = any(cell.href is not None for row in cells for cell in row)
    return _svg(WIDTH, height, title, parts, "chart", role="group" if has_links else "img")


def _shade(value: float | None, low: float, high: float, hue: str = "h") -> str:
    if value is None or not isfinite(value):
        return "none"
    return f"{hue}{min(8, max(0, int(9 * (value - low) / (high - low or 1))))}"


def histogram(
    edges: Sequence[float], counts: Sequence[int], *, title: str, x_label: str, is_log: bool = False
) -> Markup:
    """Bars over their edges, as high as the counts, or as their logarithms, where few are seen beside many."""
    if not counts or not sum(counts):
        return _nothing(title)
    across = Axis(edges[0], edges[-1] if edges[-1] > edges[0] else edges[0] + 1, LEFT, WIDTH - RIGHT)
    up = Axis(0.7 if is_log else 0, max(counts) * (1.4 if is_log else 1.04), HEIGHT - BOTTOM, TOP, is_log)
    parts = [_axes(across, up, x_label, "how many")]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if not count:
            continue
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


@dataclass(frozen=True)
class Dot:
    """A place in a picture, and the class of its colour."""

    x: float
    y: float
    kind: str = "dot"
    title: str = ""
    radius: float = 2.5


def scatter(
    dots: Sequence[Dot],
    *,
    title: str,
    x_label: str,
    y_label: str,
    has_same: bool = False,
    span: tuple[float, float] | None = None,
    legend: Sequence[tuple[str, str]] = (),
    height: float = HEIGHT,
) -> Markup:
    """Dots over two axes; with `has_same` both axes are alike, and a line tells where both numbers are the same.

    `legend`: names and the kinds of dots that they are for.
    """
    shown = [dot for dot in dots if isfinite(dot.x) and isfinite(dot.y)]
    if not shown:
        return _nothing(title)
    x, y = _around([dot.x for dot in shown]), _around([dot.y for dot in shown])
    if has_same:
        x = y = span or (min(x[0], y[0]), max(x[1], y[1]))
    across, up = Axis(*x, LEFT, WIDTH - RIGHT), Axis(*y, height - BOTTOM, TOP)
    parts = [_axes(across, up, x_label, y_label, height)]
    if has_same:
        ends = (across.start, across.stop, up.start, up.stop)
        parts.append(Markup('<line class="same" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(*ends))
    parts += [*(_dot(dot, across, up) for dot in shown), _kinds(legend)]
    return _svg(WIDTH, height, title, parts, "chart")


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def _dot(dot: Dot, across: Axis, up: Axis) -> Markup:
    told = Markup("<title>{}</title>").format(dot.title) if dot.title else Markup("")
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:g}">{}</circle>').format(
        dot.kind, across.at(dot.x), up.at(dot.y), dot.radius, told
    )


def _kinds(names: Sequence[tuple[str, str]]) -> Markup:
    """A legend of dots: of as many names as have room."""
    parts, x = [], LEFT
    for place, (name, kind) in enumerate(names):
        short = name if len(name) <= 20 else f"{name[:19]}…"
        if x + 20 + 6.4 * len(short) > WIDTH - 60:
            more = f"and {len(names) - place} more"
            parts.append(Markup('<text class="tick" x="{:.0f}" y="16">{}</text>').format(x, more))
            break
        parts.append(
            Markup(
                '<circle class="{}" cx="{:.0f}" cy="12" r="4"/><text class="tick" x="{:.0f}" y="16">{}</text>'
            ).format(kind, x + 4, x + 12, short)
        )
        x += 28 + 6.4 * len(short)
    return Markup("").join(parts)


def picture(
    address: str,
    *,
    title: str,
    x: tuple[float, float],
    y: tuple[float, float],
    x_label: str,
    y_label: str,
    is_down: bool = False,
    dots: Sequence[Dot] = (),
    legend: Sequence[tuple[str, str]] = (),
    cells: Sequence[Sequence[float]] = (),
    height: float = HEIGHT,
) -> Markup:
    """An image between two axes with dots on it; `is_down` where y grows downwards, as that of a matrix does.

    The address is one that needs no server, as of `pictures.address`. A script tells the `cells` under the pointer.
    """
    across = Axis(*x, LEFT, WIDTH - RIGHT)
    ends = (TOP, height - BOTTOM) if is_down else (height - BOTTOM, TOP)
    up = Axis(*y, *ends)
    image = Markup(
        '<image href="{}" x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none" image-rendering="pixelated"/>'
    ).format(address, LEFT, TOP, WIDTH - RIGHT - LEFT, height - BOTTOM - TOP)
    parts = [_axes(across, up, x_label, y_label, height), image, *(_dot(dot, across, up) for dot in dots)]
    parts.append(_kinds(legend))
    data = {"cells": ";".join(" ".join(f"{value:.3g}" for value in row) for row in cells)} if cells else None
    return _svg(WIDTH, height, title, parts, "chart", data=data)


def image(address: str, *, title: str, shape: tuple[int, ...]) -> Markup:
    """An image of (height, width) pixels without axes."""
    height = WIDTH * shape[0] / shape[1]
    part = Markup('<image href="{}" width="{:g}" height="{:.1f}" image-rendering="pixelated"/>')
    return _svg(WIDTH, height, title, [part.format(address, WIDTH, height)], "chart")


def ridges(
    names: Sequence[str], counts: Sequence[Sequence[int]], span: tuple[float, float], *, title: str, x_label: str
) -> Markup:
    """Histograms over the same bins one below the other, the last in front: how a spread changes."""
    most = max((max(row, default=0) for row in counts), default=0)
    if not most:
        return _nothing(title)
    step, tall = 15.0, 46.0
    height = TOP + tall + step * len(names) + BOTTOM - 10
    across = Axis(span[0], span[1] if span[1] > span[0] else span[0] + 1, LEFT, WIDTH - RIGHT)
    parts = [_x_axis(across, x_label, height)]
    for place, (name, row) in enumerate(zip(names, counts, strict=True)):
        floor_y, width = TOP + tall + place * step, (across.stop - across.start) / len(row)
        tops = [
            f"{across.start + (bin_place + 0.5) * width:.1f},{floor_y - tall * count / most:.1f}"
            for bin_place, count in enumerate(row)
        ]
        path = " ".join([f"{across.start},{floor_y:.1f}", *tops, f"{across.stop},{floor_y:.1f}"])
        parts.append(
            Markup(
                '<polygon class="ridge" points="{}"><title>{}: {} numbers, {} in the fullest bin</title></polygon>'
                '<text class="tick end" x="{}" y="{:.1f}">{}</text>'
            ).format(path, name, sum(row), max(row), LEFT - 6, floor_y + 3, name)
        )
    return _svg(WIDTH, height, title, parts, "chart")


@dataclass(frozen=True)
class Unit:
    """A unit of a diagram: its colour's class, whether it is crossed out, and what is told of it."""

    kind: str
    title: str
    is_dead: bool = False


@dataclass(frozen=True)
class Column:
    """A layer of a diagram: its names, the units drawn of it, how many it has, and the weights that lead to it."""

    name: str
    about: str
    units: Sequence[Unit]
    count: int
    href: str | None = None
    weights: Sequence[Sequence[float]] | None = None
    """From each unit drawn before to each drawn here; None where there are none, or too many."""
    weight_count: int = 0


def network(columns: Sequence[Column], *, title: str) -> Markup:
    """Layers from left to right: units as circles, weights as lines whose width is their size and colour their sign."""
    gap = 110.0
    width = max(WIDTH, gap * len(columns))
    gap = width / len(columns)
    most = max(len(column.units) for column in columns)
    height = 62 + 26.0 * most + 24
    centres = [gap * (place + 0.5) for place in range(len(columns))]
    places = [
        [62 + 26.0 * (row + (most - len(column.units)) / 2) for row in range(len(column.units))] for column in columns
    ]
    parts = []
    for place, column in enumerate(columns):
        if place and column.weights is not None:
            parts.append(_weights(column.weights, centres[place - 1], places[place - 1], centres[place], places[place]))
        if place and column.weight_count:
            parts.append(
                Markup('<text class="tick mid" x="{:.1f}" y="{:.1f}">{}</text>').format(
                    (centres[place - 1] + centres[place]) / 2, height - 6, f"{number(column.weight_count)} weights"
                )
            )
    for place, column in enumerate(columns):
        parts += [_unit(unit, centres[place], y) for unit, y in zip(column.units, places[place], strict=True)]
        parts.append(_heading(column, centres[place]))
        if column.count > len(column.units) > 0:
            parts.append(
                Markup('<text class="tick mid" x="{:.1f}" y="{:.1f}">+ {} more</text>').format(
                    centres[place], places[place][-1] + 26, number(column.count - len(column.units))
                )
            )
    return _svg(width, height, title, parts, "chart broad" if width > WIDTH else "chart", role="group")


def _heading(column: Column, x: float) -> Markup:
    name = Markup('<text class="label mid" x="{:.1f}" y="16">{}</text>').format(x, column.name)
    if column.href is not None:
        name = Markup('<a href="{}">{}</a>').format(column.href, name)
    return name + Markup('<text class="tick mid" x="{:.1f}" y="32">{}</text>').format(x, column.about)


def _weights(
    weights: Sequence[Sequence[float]], x1: float, starts: Sequence[float], x2: float, ends: Sequence[float]
) -> Markup:
    most = max((abs(value) for row in weights for value in row if isfinite(value)), default=0.0) or 1.0
    line = Markup(
        '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" '
        'stroke-width="{:.2f}" stroke-opacity="{:.2f}"/>'
    )
    return Markup("").join(
        line.format("plus" if value >= 0 else "minus", x1 + 9, y1, x2 - 9, y2, *_strength(abs(value) / most))
        for row, y1 in zip(weights, starts, strict=True)
        for value, y2 in zip(row, ends, strict=True)
        if isfinite(value) and abs(value) > most * FAINTEST
    )


def _strength(share: float) -> tuple[float, float]:
    """How wide and how opaque a weight of this share of the largest is drawn."""
    return 0.3 + 2.4 * share, 0.1 + 0.9 * share * share


def _unit(unit: Unit, x: float, y: float) -> Markup:
    circle = Markup('<circle class="unit {}" cx="{:.1f}" cy="{:.1f}" r="9"/>').format(unit.kind, x, y)
    cross = Markup('<path class="cross" d="M{0:.1f} {2:.1f}L{1:.1f} {3:.1f}M{0:.1f} {3:.1f}L{1:.1f} {2:.1f}"/>')
    crossed = cross.format(x - 7, x + 7, y - 7, y + 7) if unit.is_dead else Markup("")
    return Markup("<g><title>{}</title>{}{}</g>").format(unit.title, circle, crossed)


def diverging(value: float | None, scale: float) -> str:
    """The class of a number's colour on a scale from −scale to scale, where d4 is about 0."""
    if value is None or not isfinite(value):
        return "none"
    return f"d{min(8, max(0, round(4 + 4 * value / scale)))}" if scale else "d4"


def alone(chart: Markup) -> Markup:
    """A chart with its colours in it, light ones on white, as it must have them outside of the pages."""
    start = chart.index(">") + 1
    return chart[:start] + Markup("<style>") + Markup(_style()) + Markup("</style>") + chart[start:]  # noqa: S704 - ours


@cache
def _style() -> str:
    text = STYLE.read_text(encoding="utf-8")
    dark = text.index("@media (prefers-color-scheme: dark)")
    light = text[:dark] + text[text.index("\n}\n", dark) + 3 :]
    return light.replace(":root", "svg") + "svg { background: var(--paper); }"


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
