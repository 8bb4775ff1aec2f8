"""Plans: a pass as calls that are bound to their arrays once and made again at every step.

A layer writes its passes down as NumPy calls, one `yield` each. Binding them costs once; after that a step looks
nothing up, allocates nothing, and runs no Python between one call and the next.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from engine.parameters import Array

Call = Callable[[], object]
Plan = Iterator[Call]


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
    """`function` bound to its arguments, the array it writes to last.

    A Python float becomes an array of the first array's dtype, which NumPy need not convert at each call.
    """
    dtype = next((each.dtype for each in arguments if isinstance(each, np.ndarray)), None)
    bound = (np.asarray(each, dtype) if isinstance(each, float) else each for each in arguments)
    return partial(function, *bound, **options)


def copy(source: Array, to: Array) -> Plan:
    """to = source; nothing where they are one array."""
    if to is not source:
        yield partial(np.copyto, to, source)


def matrix(array: Array) -> Array:
    """The same numbers with one row for each along the last axis."""
    return array.reshape(-1, array.shape[-1])


def dot(a: Array, b: Array, out: Array) -> Call:
    """out = a·b."""
    return partial(a.dot, b, out)


def sum_rows(a: Array, out: Array) -> Call:
    """out (n,) = the sum of the rows of a (m, n): a product with ones, which takes a fifth of a reduction's time."""
    return partial(np.ones(len(a), a.dtype).dot, a, out)


def sum_columns(a: Array, out: Array) -> Call:
    """out (m,) = the sum of the columns of a (m, n)."""
    return partial(a.dot, np.ones(a.shape[1], a.dtype), out)


def largest_of_columns(a: Array, out: Array) -> Plan:
    """out (m, 1) = the largest of each row of a (m, n).

    Few columns are turned into rows first: NumPy compares two rows at once, but one row's numbers one after the other.
    """
    m, n = a.shape
    if n > 64:
        yield call(np.maximum.reduce, a, 1, None, out, True)
        return
    turned = np.empty((n, m), a.dtype)
    yield call(np.copyto, turned, a.T)
    yield call(np.maximum.reduce, turned, 0, None, out[:, 0])


def add_to_rows(a: Array, b: Array) -> Call:
    """a (m, n) += b (n,) in every row."""
    return call(np.add, a, b if b.size > 1 else b.reshape(()), a)


def run(plan: Iterable[Call]) -> None:
    """Make every call in turn, without NumPy's warnings: numbers that went wrong are found by looking at them.

    (The warnings are no help either: a BLAS may raise one for what lies beside the arrays it was given.)
    """
    with np.errstate(all="ignore"):
        for each in plan:
            each()
