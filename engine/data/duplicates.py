"""Equal rows: found by a hash of each, built a column at a time, and then compared."""

from collections.abc import Iterable

import numpy as np

from engine.data.table import Text, Values
from engine.parameters import Array

_BLOCK = 1 << 16
"""Rows hashed together: what they need stays in the cache."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class RowHashes:
    """A 64-bit hash for each row, (m,) uint64, of the columns added so far.

    Each column's bits are xored into the hash, which is then mixed as in SplitMix64 (Steele, Lea and Flood, "Fast
    splittable pseudorandom number generators", 2014). Different rows may meet in one hash: `equal_rows` decides.
    """

    def __init__(self, row_count: int) -> None:
        self.values = np.zeros(row_count, np.uint64)

    def add(self, column: Values) -> None:
        """Mix in the cells of one column (m,): blanks are equal to each other, and so are 0 and −0."""
        cells = _cells(column)
        for start in range(0, len(cells), _BLOCK):
            hashes = self.values[start : start + _BLOCK]
            hashes ^= _bits(cells[start : start + _BLOCK])
            hashes += _STEP
            hashes ^= hashes >> np.uint64(30)
            hashes *= _FIRST
            hashes ^= hashes >> np.uint64(27)
            hashes *= _SECOND
            hashes ^= hashes >> np.uint64(31)

    def distinct(self, rows: Array) -> int:
        """How many different hashes these rows have."""
        ordered = np.sort(self.values[rows])
        return min(len(rows), 1) + int((ordered[1:] != ordered[:-1]).sum())


def duplicates(hashes: RowHashes, columns: Iterable[Values]) -> Array:
    """The numbers of the rows that equal an earlier one. `columns` are those that were hashed."""
    rows, firsts = _repeats(hashes.values)
    return rows[equal_rows(columns, rows, firsts)]


def known_rows(hashes: RowHashes, columns: Iterable[Values], rows: Array, among: Array) -> Array:
    """Which of these rows equal one of the rows `among`: their numbers. `columns` are those that were hashed."""
    wanted, known = hashes.values[rows], np.sort(hashes.values[among])
    if not _are_in(np.sort(wanted), known).any():
        return rows[:0]
    twins = among[np.argsort(hashes.values[among], kind="stable")]
    found = _are_in(wanted, known)
    rows, twins = rows[found], twins[np.searchsorted(known, wanted[found])]
    return rows[equal_rows(columns, rows, twins)]


def equal_rows(columns: Iterable[Values], first: Array, second: Array) -> Array:
    """For each pair of row numbers, whether every column has equal cells in both. Reads no column if there are none."""
    equal = np.ones(len(first), bool)
    if not len(first):
        return equal
    for column in columns:
        cells = _cells(column)
        equal &= _bits(cells[first]) == _bits(cells[second])
    return equal


def _repeats(hashes: Array) -> tuple[Array, Array]:
    """The rows whose hash an earlier row has, and for each the first row that has it."""
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = np.flatnonzero(np.isin(hashes, shared)) if shared.size else np.empty(0, np.int64)
    _, first, group = np.unique(hashes[rows], return_index=True, return_inverse=True)
    firsts = rows[first[group]]
    is_later = rows != firsts
    return rows[is_later], firsts[is_later]


def _are_in(wanted: Array, ordered: Array) -> Array:
    places = np.searchsorted(ordered, wanted)
    inside = places < len(ordered)
    found = np.zeros(len(wanted), bool)
    found[inside] = ordered[places[inside]] == wanted[inside]
    return found


def _cells(column: Values) -> Array:
    return column.codes if isinstance(column, Text) else column


def _bits(cells: Array) -> Array:
    """The cells as uint64, equal where they are."""
    if cells.dtype.kind != "f":
        return cells.astype(np.int64).view(np.uint64)
    plain: Array = cells + 0.0  # −0 becomes 0
    plain[np.isnan(plain)] = np.nan  # whatever its bits were
    return plain.view(np.uint64)
