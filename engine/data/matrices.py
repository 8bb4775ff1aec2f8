"""Matrices of encoded rows, made a stretch at a time: in memory, or in a file that is mapped into it."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import numpy.typing as npt

from engine.parameters import Array

STRETCH_NUMBERS = 2**20
"""About so many numbers are encoded at once."""


def matrix(
    encode: Callable[[Array], Array], rows: Array, width: int, *, dtype: npt.DTypeLike, folder: Path | None = None
) -> Array:
    """(m, width): what `encode` gives of the rows with these numbers (m,), a stretch after the other.

    With a folder it lies there in a file without a name, which the system removes when the array, or the process, is
    gone; the array can't be written to. Raises OSError where the disk has no room for it.
    """
    step = max(1, STRETCH_NUMBERS // max(1, width))
    stretches = (slice(start, start + step) for start in range(0, len(rows), step))
    if folder is None or not len(rows):
        found = np.empty((len(rows), width), dtype)
        for stretch in stretches:
            found[stretch] = encode(rows[stretch])
        return found
    with TemporaryFile(dir=folder) as file:
        for stretch in stretches:
            file.write(np.ascontiguousarray(encode(rows[stretch]), dtype).data)
        file.flush()
        return np.asarray(np.memmap(file, dtype, mode="r", shape=(len(rows), width)))
