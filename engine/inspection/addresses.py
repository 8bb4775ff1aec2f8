"""Addresses: W.1[0,3] is one number of the tensor W.1."""

import re
from collections.abc import Mapping, Sequence

from engine.errors import SpecError
from engine.inspection.names import Orientation
from engine.parameters import Shape

Index = tuple[int, ...]

_ADDRESS = re.compile(r"([\w.]+)\[([0-9]{1,9}(?:, ?[0-9]{1,9}){0,7})\]", re.ASCII)


def split(address: str) -> tuple[str, Index | None]:
    """A tensor's name and the index as written; no index where the address is no more than a name."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return address, None
    return match[1], tuple(int(part) for part in match[2].split(","))


def join(name: str, index: Sequence[int], orientation: Orientation = "rows") -> str:
    """The address of an index in rows: in columns a matrix's indices change places."""
    return f"{name}[{','.join(map(str, turned(index, orientation)))}]"


def turned(index: Sequence[int], orientation: Orientation) -> Index:
    """An index of the one orientation in the other, and back."""
    return tuple(index)[:: -1 if orientation == "columns" else 1]


def check_index(place: str, name: str, index: Index, shape: Shape, orientation: Orientation) -> Index:
    """The index in rows of one as written. Raises SpecError at `place` where the tensor has no such number."""
    shown = turned(shape, orientation)
    if len(index) != len(shown) or any(part >= size for part, size in zip(index, shown, strict=True)):
        raise SpecError(place, f"expected an index into {name} of shape {list(shown)}, got {list(index)}")
    return turned(index, orientation)


def unknown_address(place: str, address: str, shapes: Mapping[str, Shape]) -> SpecError:
    """The error for an address of a tensor that is not there."""
    return SpecError(
        place,
        f"expected a number such as W.1[0,3], Z.2[5,1] or A.0[0,1], or a tensor such as W.1, got {address[:60]!r}",
        code="unknown_target",
        allowed=tuple(shapes)[:200],
    )
