"""On what a benchmark was run: the BLAS kernel and its threads, the versions, and settings that change the kernel."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.fingerprint import fingerprint

PACKAGES = ("scikit-learn", "torch", "jax")


def describe() -> dict[str, Any]:
    """The fingerprint of float32 work here, the versions beside it, and every OPENBLAS_* variable but the threads'."""
    return {
        "fingerprint": fingerprint("float32"),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "openblas_variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith("OPENBLAS_") and name != "OPENBLAS_NUM_THREADS"
        },
    }


def sentences(machine: dict[str, Any]) -> str:
    """The same in words."""
    found, variables = machine["fingerprint"], machine["openblas_variables"]
    packages = ", ".join(f"{name} {number or 'not installed'}" for name, number in machine["packages"].items())
    pinned = ", ".join(f"{name}={value}" for name, value in variables.items())
    return "\n".join(
        [
            f"BLAS {found['blas']}, threads: {found['threads']}; {found['cpu']}, cores: {machine['cores']}",
            f"Chainrule {found['engine']}, Python {machine['python']}, NumPy {found['numpy']}, {packages}",
            f"The environment pins the BLAS: {pinned}" if pinned else "No OPENBLAS_* variable pins the BLAS.",
        ]
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in [head, *rows]
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
