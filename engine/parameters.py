"""All parameters of a network as one flat vector, and where each named array lies in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import SpecError

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Shapes = dict[str, Shape]


@dataclass(frozen=True)
class Layout:
    """The order and shapes of the arrays in a flat vector: `{"W.1": (4, 64), "b.1": (64,), …}`.

    W and b of a layer lie side by side, so that together they are the matrix (n_in + 1, n_out).
    """

    shapes: Shapes

    @property
    def size(self) -> int:
        """How many numbers the flat vector has."""
        return sum(prod(shape) for shape in self.shapes.values())

    def slices(self) -> dict[str, slice]:
        """Where each array lies."""
        found, start = {}, 0
        for name, shape in self.shapes.items():
            found[name] = slice(start, start + prod(shape))
            start += prod(shape)
        return found

    def views(self, flat: Array) -> dict[str, Array]:
        """The named arrays as views into `flat`: writing to one writes to it."""
        return {name: flat[place].reshape(self.shapes[name]) for name, place in self.slices().items()}

    def flatten(self, named: Mapping[str, Any], *, dtype: npt.DTypeLike) -> Array:
        """A flat vector of named arrays or nested lists. Raises SpecError for a missing, unknown or misshapen one."""
        missing = [name for name in self.shapes if name not in named]
        flat = self.fill(named, dtype=dtype, place="parameters")
        if missing:
            raise SpecError("parameters", f"expected {', '.join(self.shapes)}, but {', '.join(missing)} is missing")
        return flat

    def fill(self, named: Mapping[str, Any], *, dtype: npt.DTypeLike, place: str) -> Array:
        """The same with 0 for what is missing. Raises SpecError at `place` for an unknown or misshapen one."""
        unknown = sorted(set(named) - set(self.shapes))
        if unknown:
            raise SpecError(f"{place}.{unknown[0]}", "there is no such parameter", allowed=tuple(self.shapes))
        flat = np.zeros(self.size, dtype)
        for name, view in self.views(flat).items():
            if name in named:
                view[...] = _numbers(f"{place}.{name}", named[name], view.shape, flat.dtype)
        return flat


def _numbers(place: str, values: Any, shape: Shape, dtype: np.dtype[Any]) -> Array:
    try:
        array = np.asarray(values, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise SpecError(place, f"expected numbers of shape {list(shape)}, got {error}") from error
    if array.shape != shape:
        raise SpecError(place, f"expected shape {list(shape)}, got {list(array.shape)}")
    return array


def digest(flat: Array) -> str:
    """SHA-256 of the vector's bytes, in hexadecimal: equal for equal bits."""
    return sha256(np.ascontiguousarray(flat).data).hexdigest()
