"""NPY and NPZ: one array of numbers whose first axis are the rows; or several by name, X and, if there is one, y."""

import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pyarrow as pa

from engine.data.readers.contents import BLOCK_CELLS, Block, Bounds, Contents, Options
from engine.data.readers.files import copy_bounded
from engine.data.schema import ColumnType
from engine.errors import DataError
from engine.parameters import Array

_KINDS: dict[str, ColumnType] = {"b": "boolean", "i": "integer", "u": "integer", "f": "number", "U": "text"}
"""Column types by NumPy's kinds of numbers."""


def open_npy(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The contents of an NPY file: columns x_0, x_1, … of (m, n), x_0_0, x_0_1, … of (m, h, w), and so on.

    Raises DataError for a file that is damaged or cut off, too large, or of anything but numbers, booleans and texts.
    """
    with source.open("rb") as file:
        _check_header(file, "x", bounds)
    return _contents({"x": source}, bounds)


def open_npz(source: Path, scratch: Path, options: Options, bounds: Bounds) -> Contents:
    """The contents of an NPZ file with X, named as those of an NPY file, and y, a column or y_0, y_1, …

    Raises DataError as `open_npy` does, and for other arrays or another number of rows in each.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
            if sorted(names) not in (["X.npy"], ["X.npy", "y.npy"]):
                listed = ", ".join(name.removesuffix(".npy")[:40] for name in names[:10]) or "none"
                raise DataError(
                    "file", f"expected the arrays X and, if there is one, y, got {listed}", code="wrong_shape"
                )
            files = {}
            for name in sorted(names):
                with archive.open(name) as member:
                    _check_header(member, name[0].lower(), bounds)
                with archive.open(name) as member:
                    files[name[0].lower()] = copy_bounded(member, scratch / f"{name[0]}.npy", bounds)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError("file", f"expected an NPZ file, got one that can't be read: {error}", code="damaged") from error
    return _contents(files, bounds)


def _check_header(file: IO[bytes], name: str, bounds: Bounds) -> None:
    """Refuse an array by what it says of itself, before a byte of it is read."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with catch_warnings():
            simplefilter("ignore", UserWarning)  # of a header as Python 2 wrote it, which is read all the same
            shape, _, dtype = read(file)
    except (ValueError, TypeError, KeyError, SyntaxError, TokenError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError("file", f"expected an NPY array, got one that can't be read: {said}", code="damaged") from error
    if not shape or min(shape) < 0:
        raise DataError("file", f"expected an array of rows, got the shape {shape} of {name}", code="wrong_shape")
    if dtype.kind not in _KINDS or (dtype.itemsize > 8 and dtype.kind != "U"):
        raise DataError(
            "file", f"expected numbers, booleans or texts in {name}, got {str(dtype)[:60]}", code="not_cells"
        )
    bounds.check(shape[0], prod(shape[1:]))


def _contents(files: dict[str, Path], bounds: Bounds) -> Contents:
    arrays = {name: _mapped(path, name) for name, path in files.items()}
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            "file", f"expected as many rows in y as in X, got {lengths['y']} and {lengths['x']}", code="ragged"
        )
    names = {name: _names(name, array) for name, array in arrays.items()}
    listed = [each for of_array in names.values() for each in of_array]
    bounds.check(max(lengths.values()), len(listed))
    types = {each: _KINDS[arrays[name].dtype.kind] for name, of_array in names.items() for each in of_array}
    return Contents(listed, partial(_blocks, list(arrays.values())), types)


def _mapped(path: Path, name: str) -> Array:
    try:
        with catch_warnings():
            simplefilter("ignore", UserWarning)
            return np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise DataError("file", f"expected all of the array {name}, got a part: {error}", code="damaged") from error


def _names(name: str, array: Array) -> list[str]:
    """A name for each number of a row: x_0, x_1, …; y alone where a row of it is one number."""
    places = product(*map(range, array.shape[1:])) if array.ndim > 1 else [(0,)]
    found = ["_".join([name, *map(str, place)]) for place in places]
    return ["y"] if name == "y" and len(found) == 1 else found


def _blocks(arrays: list[Array]) -> Iterator[Block]:
    row_bytes = sum(array[:1].nbytes for array in arrays)
    step = max(1, 8 * BLOCK_CELLS // max(1, row_bytes))
    for start in range(0, len(arrays[0]), step):
        parts = [_flat(array[start : start + step]) for array in arrays]
        columns = [_column(part[:, place]) for part in parts for place in range(part.shape[1])]
        yield Block(columns, len(parts[0]))


def _flat(part: Array) -> Array:
    """Rows as flat rows of numbers, in this machine's byte order."""
    return np.ascontiguousarray(part.reshape(len(part), -1).astype(part.dtype.newbyteorder("="), order="F").T).T


def _column(values: Array) -> Any:
    return pa.array(values)
