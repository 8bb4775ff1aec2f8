"""Equal rows: found by a hash of each, built a column at a time, and then compared.

Beside the hashes this takes little memory: rows are looked at in parts that their hashes decide.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.data.frequencies import level_hashes
from engine.data.table import Table, Text, Values
from engine.parameters import Array

_BLOCK = 1 << 16
"""Rows hashed together: what they need stays in the cache."""
_PART_ROWS = 1 << 20
"""About so many rows are compared together."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


class RowHashes:
    """A 64-bit hash for each row, (m,) uint64, of some columns of a table.

    Each column's bits are xored into the hash, which is then mixed as in SplitMix64 (Steele, Lea and Flood, "Fast
    splittable pseudorandom number generators", 2014). Blanks are equal to each other, and so are 0 and −0. Different
    rows may meet in one hash: `equal_rows` decides.
    """

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self.table, self.names = table, names
        self.values = np.zeros(table.row_count, np.uint64)
        for name in names:
            for rows, values in table.stretches(name):
                bits = _bits(values)
                for start in range(0, len(bits), _BLOCK):
                    self._add(rows.start + start, bits[start : start + _BLOCK])

    def _add(self, start: int, bits: Array) -> None:
        hashes = self.values[start : start + len(bits)]
        hashes ^= bits
        hashes += _STEP
        hashes ^= hashes >> np.uint64(30)
        hashes *= _FIRST
        hashes ^= hashes >> np.uint64(27)
        hashes *= _SECOND
        hashes ^= hashes >> np.uint64(31)

    def distinct(self, rows: Array) -> int:
        """How many different hashes these rows have."""
        return sum(int(np.unique(self.values[part]).size) for (part,) in self.parts(rows))

    def parts(self, *sets: Array) -> Iterator[tuple[Array, ...]]:
        """Sets of rows in parts: those of one hash come together, each set's in their order."""
        count = 1
        while max(map(len, sets), default=0) > count * _PART_ROWS:
            count *= 2
        for number in range(count):
            yield tuple(self._part(rows, number, count) for rows in sets)

    def _part(self, rows: Array, number: int, count: int) -> Array:
        if count == 1:
            return rows
        blocks = (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))
        return np.concatenate([block[self.values[block] % np.uint64(count) == number] for block in blocks])


def duplicates(hashes: RowHashes) -> Array:
    """The numbers of the rows that equal an earlier one."""
    rows = np.arange(len(hashes.values), dtype=np.int32)
    repeats = [_repeats(part, hashes.values[part]) for (part,) in hashes.parts(rows)]
    later, firsts = (np.concatenate(found) for found in zip(*repeats, strict=True))
    return later[equal_rows(hashes.table, hashes.names, later, firsts)]


def known_rows(hashes: RowHashes, rows: Array, among: Array) -> Array:
    """Which of these rows equal one of the rows `among`: their numbers."""
    pairs = []
    for some, others in hashes.parts(rows, among):
        order = np.argsort(hashes.values[others], kind="stable")
        known, wanted = hashes.values[others][order], hashes.values[some]
        places = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
        found = known[places] == wanted if len(known) else np.zeros(len(wanted), bool)
        pairs.append((some[found], others[order][places[found]]))
    known, twins = (np.concatenate(found) for found in zip(*pairs, strict=True))
    return known[equal_rows(hashes.table, hashes.names, known, twins)]


def equal_rows(table: Table, names: Sequence[str], first: Array, second: Array) -> Array:
    """For each pair of row numbers, whether these columns have equal cells in both. Reads none if there are none."""
    equal = np.ones(len(first), bool)
    for name in names if len(first) else ():
        bits = np.empty(table.row_count, np.uint64)
        for rows, values in table.stretches(name):
            bits[rows] = _bits(values)
        for start in range(0, len(first), _BLOCK):
            pairs = slice(start, start + _BLOCK)
            equal[pairs] &= bits[first[pairs]] == bits[second[pairs]]
    return equal


def _repeats(rows: Array, hashes: Array) -> tuple[Array, Array]:
    """The rows whose hash an earlier row has, and for each the first row that has it."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    is_first = np.concatenate([np.ones(min(1, len(rows)), bool), ordered[1:] != ordered[:-1]])
    firsts = order[is_first][np.cumsum(is_first) - 1]
    return rows[order[~is_first]], rows[firsts[~is_first]]


def _bits(values: Values) -> Array:
    """The cells (m,) as uint64, equal where they are: of texts the hashes."""
    if isinstance(values, Text):
        return level_hashes(values)[values.codes].view(np.uint64)
    plain: Array = values + 0.0  # −0 becomes 0
    plain[np.isnan(plain)] = np.nan  # whatever its bits were
    return plain.view(np.uint64)
