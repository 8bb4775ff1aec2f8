"""Groups of columns: numbers under one name and a counter, such as the pixels of an image."""

import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import product
from math import isqrt, prod
from typing import Any

_NUMBERED = re.compile(r"(.{0,200}?)([0-9]{1,9}(?:[_x,.:-][0-9]{1,9}){0,3})", re.DOTALL)
SMALLEST = 16
"""Columns that make a group."""

Place = tuple[int, ...]


def groups(columns: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`[{"prefix", "columns", "minimum", "maximum", "shape"}]`, of the profiles of a table's columns in order.

    A group is at least 16 columns of numbers that share what stands before the number or numbers they end in
    (`pixel_0_0`, `x783`, `3x4`), half of which or more spread over half of the group's range or more, as measurements
    in one unit do. The shape is what the numbers count, or a square for one number; None where the columns do not stand
    in that order, the last number running fastest, as `network.input` takes them.
    """
    members: defaultdict[tuple[str, int], list[tuple[Place, Mapping[str, Any]]]] = defaultdict(list)
    for name, column in columns.items():
        found = _NUMBERED.fullmatch(name)
        if found:
            place = tuple(int(number) for number in re.split("[^0-9]", found[2]))
            members[found[1], len(place)].append((place, column))
    return [
        _group(prefix, found)
        for (prefix, _), found in members.items()
        if len(found) >= SMALLEST and _is_alike([column for _, column in found])
    ]


def _is_alike(columns: list[Mapping[str, Any]]) -> bool:
    """Whether all are numbers, and at least half spread over at least half of the range of all."""
    if not all(column["type"] in ("number", "integer") and column["distinct"] for column in columns):
        return False
    half = max(column["maximum"] for column in columns) / 2 - min(column["minimum"] for column in columns) / 2
    spread: int = sum(column["maximum"] / 2 - column["minimum"] / 2 >= half / 2 for column in columns)
    return 2 * spread >= len(columns)


def _group(prefix: str, members: list[tuple[Place, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        "prefix": prefix,
        "columns": len(members),
        "minimum": min(column["minimum"] for _, column in members),
        "maximum": max(column["maximum"] for _, column in members),
        "shape": _shape([place for place, _ in members]),
    }


def _shape(places: list[Place]) -> list[int] | None:
    if len(places[0]) == 1:
        side, first = isqrt(len(places)), places[0][0]
        in_order = [place for (place,) in places] == list(range(first, first + len(places)))
        return [side, side] if in_order and side * side == len(places) else None
    axes = [sorted(set(axis)) for axis in zip(*places, strict=True)]
    shape = [len(axis) for axis in axes]
    return shape if prod(shape) == len(places) and places == list(product(*axes)) else None
