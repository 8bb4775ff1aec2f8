"""Reductions: how much of a tensor an answer holds.

A number, a tensor without axes, is given as it is by all of them.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from engine.errors import SpecError
from engine.parameters import Array

Reduced = dict[str, Any]
Range = tuple[int, int]
"""From the first, counted from 0, to the one behind the last."""

MAXIMUM_BINS = 1000
MAXIMUM_TOP = 1000


def _half_decades() -> Array:
    """±10^−20, ±10^−19.5, … ±10^5, in order."""
    sizes = 10.0 ** (np.arange(-40, 11) / 2)
    return np.concatenate([-sizes[::-1], sizes])


HALF_DECADES = _half_decades()


def _of_tensors(reduce: Callable[..., Reduced]) -> Callable[..., Reduced]:
    @wraps(reduce)
    def reduced(array: Array, **options: Any) -> Reduced:
        return reduce(array, **options) if array.ndim else full(array)

    return reduced


def full(array: Array) -> Reduced:
    """Every element, as an array; `non_finite` counts those that JSON can only call null."""
    missing = _non_finite(array)
    values = np.ascontiguousarray(array) if array.ndim else (None if missing else float(array))
    return {"shape": list(array.shape), "values": values, "non_finite": missing}


@_of_tensors
def cut(array: Array, *, rows: Range | None = None, cols: Range | None = None) -> Reduced:
    """The elements of some rows, along the first axis, and columns, along the last; of a vector rows alone count.

    Ranges end where the tensor does.
    """
    values = np.ascontiguousarray(sliced(array, rows=rows, cols=cols))
    return {"shape": list(array.shape), "values": values, "non_finite": _non_finite(values)}


def sliced(array: Array, *, rows: Range | None = None, cols: Range | None = None) -> Array:
    """The part of a tensor that `cut` gives."""
    if array.ndim == 0:
        return array
    array = array if rows is None else array[slice(*rows)]
    return array if cols is None or array.ndim == 1 else array[..., slice(*cols)]


@_of_tensors
def norm(array: Array) -> Reduced:
    """The Euclidean norm √Σx²; None where it is not finite."""
    with np.errstate(all="ignore"):
        size = float(np.linalg.norm(array.astype(np.float64)))
    return {
        "shape": list(array.shape),
        "norm": size if np.isfinite(size) else None,
        "non_finite": _non_finite(array),
    }


@_of_tensors
def stats(array: Array) -> Reduced:
    """Norms, moments and quantiles of the finite elements, and how many are zero or not finite."""
    values = _finite(array)
    found: Reduced = {
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


@_of_tensors
def hist(array: Array, *, bins: str = "half_decades") -> Reduced:
    """How many of the finite elements lie between each two edges, the lower one included.

    `half_decades` has the edges ±10^−20, ±10^−19.5, … ±10^5 for every tensor, so that histograms can be added up; the
    first and the last count are of what lies outside them, and the one in the middle holds the zeros. `linear:64` has
    64 bins of one width from the smallest element to the largest, which is included. Raises SpecError for other bins.
    """
    values = _finite(array)
    if bins == "half_decades":
        edges = HALF_DECADES
        places = np.searchsorted(edges, values, side="right")
        counts = np.bincount(places, minlength=edges.size + 1)
    else:
        edges = _equal_widths(values, _bin_count(bins))
        places = np.searchsorted(edges, values, side="right") - 1
        counts = np.bincount(np.clip(places, 0, edges.size - 2), minlength=edges.size - 1)
    return {
        "shape": list(array.shape),
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "zeros": int((values == 0).sum()),
        "non_finite": int(array.size - values.size),
    }


def _bin_count(bins: str) -> int:
    kind, _, count = bins.partition(":")
    if kind != "linear" or not count.isdecimal() or not 1 <= int(count) <= MAXIMUM_BINS:
        expected = f"half_decades, or linear:<number of bins> from 1 to {MAXIMUM_BINS}"
        raise SpecError("reduce.bins", f"expected {expected}, got {bins[:40]!r}", allowed=("half_decades", "linear:64"))
    return int(count)


def _equal_widths(values: Array, count: int) -> Array:
    """The edges of bins from the smallest to the largest; around a single value, from half below to half above."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low / 2, high / 2, count + 1) * 2  # the distance itself may be too large a number


@_of_tensors
def topk(array: Array, *, k: int = 10) -> Reduced:
    """The k finite elements of the largest size: their index, value, and share of Σx²; the first of equals first."""
    flat = array.ravel().astype(np.float64)
    sizes = np.where(np.isfinite(flat), np.abs(flat), -1)
    count = min(k, int((sizes >= 0).sum()))
    places = np.flatnonzero(sizes >= np.partition(sizes, -count)[-count]) if count else np.empty(0, np.intp)
    places = places[np.argsort(-sizes[places], kind="stable")][:count]
    largest = sizes[places[0]] if count else 0
    shares = np.square(sizes[places] / largest) if largest else np.full(count, np.nan)
    total = np.square(sizes[sizes >= 0] / largest).sum() if largest else 1.0
    indices = np.stack(np.unravel_index(places, array.shape), axis=1)
    return {
        "shape": list(array.shape),
        "top": [
            {"index": index, "value": value, "share": share / total if largest else None}
            for index, value, share in zip(indices.tolist(), flat[places].tolist(), shares.tolist(), strict=True)
        ],
        "non_finite": _non_finite(array),
    }


def _finite(array: Array) -> Array:
    return array[np.isfinite(array)].astype(np.float64)


def _non_finite(array: Array) -> int:
    return int(array.size - np.isfinite(array).sum())


REDUCTIONS: dict[str, Callable[..., Reduced]] = {
    "full": full,
    "norm": norm,
    "stats": stats,
    "hist": hist,
    "topk": topk,
    "slice": cut,
}
