"""Reductions: how much of a tensor an answer holds."""

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.parameters import Array


def full(array: Array) -> dict[str, Any]:
    """Every element, as an array; `non_finite` counts those that JSON can only call null."""
    missing = int(array.size - np.isfinite(array).sum())
    return {"shape": list(array.shape), "values": np.ascontiguousarray(array), "non_finite": missing}


def norm(array: Array) -> dict[str, Any]:
    """The Euclidean norm √Σx²; None where it is not finite."""
    with np.errstate(all="ignore"):
        size = float(np.linalg.norm(array.astype(np.float64)))
    missing = int(array.size - np.isfinite(array).sum())
    return {"shape": list(array.shape), "norm": size if np.isfinite(size) else None, "non_finite": missing}


def stats(array: Array) -> dict[str, Any]:
    """Norms, moments and quantiles of the finite elements, and how many are zero or not finite."""
    values = array[np.isfinite(array)].astype(np.float64)
    found: dict[str, Any] = {
        "shape": list(array.shape),
        "zeros": int((values == 0).sum()),
        "non_finite": int(array.size - values.size),
    }
    if not values.size:
        return found
    with np.errstate(all="ignore"):
        q05, q50, q95 = np.quantile(values, [0.05, 0.5, 0.95])
        measured = {
            "l1": np.abs(values).sum(),
            "l2": np.sqrt(np.square(values).sum()),
            "linf": np.abs(values).max(),
            "mean": values.mean(),
            "std": values.std(),
            "min": values.min(),
            "max": values.max(),
            "q05": q05,
            "q50": q50,
            "q95": q95,
        }
    return found | {name: float(value) if np.isfinite(value) else None for name, value in measured.items()}


REDUCTIONS: dict[str, Callable[[Array], dict[str, Any]]] = {"full": full, "norm": norm, "stats": stats}
