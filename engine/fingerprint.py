"""The fingerprint: what beside spec, data and seed decides the last bit of a result on a machine."""

import ctypes
import platform
from functools import cache
from typing import Any

import numpy as np
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]

from engine import __version__


def fingerprint(dtype: str) -> dict[str, Any]:
    """`{engine, numpy, blas, threads, dtype, cpu}`: equal fingerprints compute equal bits."""
    return {
        "engine": __version__,
        "numpy": np.__version__,
        "blas": _blas(),
        "threads": _threads(),
        "dtype": dtype,
        "cpu": _cpu(),
    }


@cache
def _blas() -> str:
    """Name, version and kernel of the BLAS, such as `scipy-openblas 0.3.29 SkylakeX`."""
    build = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    core = _openblas("get_corename", ctypes.c_char_p)
    kernel = core.decode() if isinstance(core, bytes) else ""
    return f"{build.get('name', 'unknown')} {build.get('version', '')} {kernel}".strip()


def _threads() -> int | None:
    """How many threads the BLAS uses, where it tells."""
    count = _openblas("get_num_threads", ctypes.c_int)
    return count if isinstance(count, int) else None


@cache
def _cpu() -> str:
    """The machine's architecture and the widest vector instructions NumPy uses on it."""
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    return f"{platform.machine()} {found[-1]}" if found else platform.machine()


def _openblas(function: str, result: type[Any]) -> Any:
    """Ask OpenBLAS as NumPy has loaded it; None where NumPy stands on another BLAS."""
    try:
        library = ctypes.CDLL(_multiarray_umath.__file__)
    except OSError:
        return None
    for name in (f"scipy_openblas_{function}64_", f"openblas_{function}64_", f"openblas_{function}"):
        if hasattr(library, name):
            ask = getattr(library, name)
            ask.restype = result
            return ask()
    return None
