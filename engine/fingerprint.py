"""The fingerprint: what beside spec, data and seed decides the last bit of a result on a machine."""

import platform
from functools import cache
from typing import Any

import numpy as np

from engine import __version__, blas


def fingerprint(dtype: str) -> dict[str, Any]:
    """`{engine, numpy, blas, threads, dtype, cpu}`: equal fingerprints compute equal bits."""
    return {
        "engine": __version__,
        "numpy": np.__version__,
        "blas": blas.name(),
        "threads": blas.threads(),
        "dtype": dtype,
        "cpu": _cpu(),
    }


@cache
def _cpu() -> str:
    """The machine's architecture and the widest vector instructions NumPy uses on it."""
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])
    return f"{platform.machine()} {found[-1]}" if found else platform.machine()
