"""The BLAS that NumPy stands on: its name and its threads, which decide the last bits of a matrix product."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]


@cache
def name() -> str:
    """Name, version and kernel, such as `scipy-openblas 0.3.29 SkylakeX`."""
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    ask = _openblas("get_corename")
    kernel = ""
    if ask is not None:
        ask.restype = ctypes.c_char_p
        kernel = ask().decode()
    return f"{build.get('name', 'unknown')} {build.get('version', '')} {kernel}".strip()


def threads() -> int | None:
    """How many threads it uses, where it tells."""
    ask = _openblas("get_num_threads")
    return None if ask is None else int(ask())


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Let it use so many threads inside; None leaves it as it is, and so does a BLAS that can't be told."""
    tell, before = _openblas("set_num_threads"), threads()
    if count is None or tell is None or before is None:
        yield
        return
    tell(count)
    try:
        yield
    finally:
        tell(before)


def _openblas(function: str) -> Any:
    """One of OpenBLAS's functions, as NumPy has loaded it; None where NumPy stands on another BLAS."""
    try:
        library = ctypes.CDLL(_multiarray_umath.__file__)
    except OSError:
        return None
    for symbol in (f"scipy_openblas_{function}64_", f"openblas_{function}64_", f"openblas_{function}"):
        if hasattr(library, symbol):
            return getattr(library, symbol)
    return None
