"""Frequencies: how often each text of a column occurs, in memory that texts themselves take no part of.

Texts are told apart by Python's own hash of them, 64 bits of SipHash with a secret of the process (Aumasson and
Bernstein, "SipHash: a fast short-input PRF", 2012): two of n texts meet with a probability of about n²/2⁶⁵. Only the
texts that are asked for are ever held.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.data.table import Text
from engine.parameters import Array

BLOCK = 1 << 17
"""Numbers looked at together."""


@dataclass(frozen=True)
class Frequencies:
    """How many different texts there are, and the most frequent ones, first the first to appear of equally frequent."""

    distinct: int
    top: tuple[tuple[str, int], ...]


def frequencies(read: Callable[[], Iterable[tuple[Text, Array | None]]], rows: int, most: int) -> Frequencies:
    """The frequencies of the texts that `read` gives, by stretches of all these rows; at most so many are named.

    A stretch may come with a mask (m,) of the rows that count; all do without. Where two are equally frequent, the one
    that appears first in any row is.
    """
    hashes, found = np.empty(rows, np.int64), 0
    for text, counted in read():
        codes = text.codes if counted is None else text.codes[counted]
        codes = codes[codes >= 0]
        hashes[found : found + len(codes)] = level_hashes(text)[codes]
        found += len(codes)
    hashes = hashes[:found]
    hashes.sort()
    counts, best, distinct = np.empty(found, np.int32), np.empty(0, np.int64), 0
    for keys, of_keys in runs(hashes):
        best = np.concatenate([best, of_keys])
        best = np.partition(best, len(best) - most)[len(best) - most :] if len(best) > most else best
        hashes[distinct : distinct + len(keys)] = keys  # which have all been read
        counts[distinct : distinct + len(keys)] = of_keys
        distinct += len(keys)
    top = _named(read, hashes[:distinct], counts[:distinct], np.sort(best)[::-1])
    return Frequencies(distinct, tuple(top))


def runs(ordered: Array) -> Iterator[tuple[Array, Array]]:
    """The different numbers (n,) of ordered ones (m,), and how often each occurs, some at a time.

    Those that have come may be overwritten.
    """
    start = 0
    while start < len(ordered):
        stop = min(start + BLOCK, len(ordered))
        if stop < len(ordered):  # the last of the block's numbers may go on behind it
            begins = start + int(np.searchsorted(ordered[start:stop], ordered[stop - 1], "left"))
            stop = begins if begins > start else start + int(np.searchsorted(ordered[start:], ordered[start], "right"))
        block = ordered[start:stop]
        first = np.flatnonzero(np.concatenate([[True], block[1:] != block[:-1]]))
        yield block[first], np.diff(first, append=len(block))
        start = stop


def level_hashes(text: Text) -> Array:
    """A hash of each level (levels,) int64, and 0 behind them for a blank, whose code is −1."""
    return np.fromiter((*map(hash, text.levels), 0), np.int64, len(text.levels) + 1)


def _named(
    read: Callable[[], Iterable[tuple[Text, Array | None]]], keys: Array, counts: Array, best: Array
) -> list[tuple[str, int]]:
    """The texts with the counts `best`, which descend. Ends to read once all are found."""
    if not len(best):
        return []
    least, named = int(best[-1]), dict[str, int]()
    wanted = {True: int((best > least).sum()), False: int((best == least).sum())}
    for text, _ in read():
        hashes = level_hashes(text)[:-1]
        places = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        found = np.where(keys[places] == hashes, counts[places], 0)
        for level in np.flatnonzero(found >= least).tolist():
            count, name = int(found[level]), text.levels[level]
            if wanted[count > least] and name not in named:
                named[name] = count
                wanted[count > least] -= 1
        if not any(wanted.values()):
            break
    return sorted(named.items(), key=lambda pair: -pair[1])
