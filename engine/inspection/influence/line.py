"""The line from one moment's parameters to the next's, and the gradients of losses averaged along it.

Along θ + s·d, s from 0 to 1, a loss changes by ∫∇ℓ(θ + s·d)·ds · d: the averaged gradient Ḡ accounts for all of the
change, where the gradient at one end is only its first order. The integral is Gauss and Legendre's sum of five terms,
which is exact for polynomials up to the ninth degree. Where a unit of a row crosses a kink, such as a ReLU's Z = 0, the
row is followed on both sides of it apart; where the sum still misses the change, in halves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Self

import numpy as np

from engine.inspection.influence.fan import can_fan, fanned
from engine.inspection.influence.queries import Queries
from engine.inspection.quantities.gradients import ExampleGradients
from engine.network import Network
from engine.parameters import Array
from engine.workspace import Batch, Workspace

_ROOTS, _WEIGHTS = np.polynomial.legendre.leggauss(5)
NODES, WEIGHTS = (_ROOTS + 1) / 2, _WEIGHTS / 2
"""On a line from 0 to 1."""
TOLERANCE = 1e-13
"""What the sum may miss of a change, beside rounding."""
DEEPEST = 12
"""So many times a line is halved at most."""
MOST_KINKS = 64
"""At so many a row's line is cut at most."""
FINEST = 2.0**-32
"""How exactly a kink's place on the line is found."""
MOST_NUMBERS = 2**24
"""Of gradients held at once, where every row has its own."""


@dataclass(frozen=True)
class Followed:
    """What became of the queries' losses along a line."""

    gradients: Array
    """(queries, parameters): Ḡ. The next line overwrites it."""
    before: Array
    after: Array
    """(queries,): the losses at both ends."""


@dataclass(frozen=True)
class _Seen:
    """Some rows, each at a place of the line."""

    at: Array
    """(r,)."""
    losses: Array
    """(r,): times the rows' shares."""
    sizes: Array
    """(r,): of the numbers the losses are differences of, which their rounding goes by."""
    pieces: Array
    """(r, units): on which piece of a function with kinks each unit is."""
    Z: Array
    """(r, units): of the units whose kink is where Z is 0; NaN of others."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        return self.at, self.losses, self.sizes, self.pieces, self.Z

    def of(self, chosen: Array) -> "_Seen":
        """Of some of the rows."""
        return _Seen(*(array[chosen] for array in self.arrays))

    def put(self, places: Array, other: "_Seen") -> None:
        """Take these rows from there."""
        for array, theirs in zip(self.arrays, other.arrays, strict=True):
            array[places] = theirs


@dataclass(frozen=True)
class _Ways:
    """Rows, each on a way from one place of the line to another; a row may have several."""

    rows: Array
    a: _Seen
    b: _Seen

    def of(self, chosen: Array) -> "_Ways":
        """Some of them."""
        return _Ways(self.rows[chosen], self.a.of(chosen), self.b.of(chosen))

    @property
    def are_bent(self) -> Array:
        """(ways,): whether there is a kink on it."""
        found: Array = (self.a.pieces != self.b.pieces).any(axis=1)
        return found

    @classmethod
    def joined(cls, ways: Sequence["_Ways"]) -> Self:
        """All of them, those of no length left out."""
        ends = [
            _Seen(*(np.concatenate(arrays) for arrays in zip(*(end.arrays for end in side), strict=True)))
            for side in ([each.a for each in ways], [each.b for each in ways])
        ]
        found = cls(np.concatenate([each.rows for each in ways]), *ends)
        return found.of(found.a.at < found.b.at)  # type: ignore[return-value]


class Line:
    """Follows queries step by step, in float64 and with dropout off."""

    def __init__(self, network: Network, queries: Queries) -> None:
        self.queries = queries
        rows = min(len(queries.X), network.evaluation_rows)
        parts = [slice(start, start + rows) for start in range(0, len(queries.X), rows)]
        self._walks = [_Walk(network, queries, part) for part in parts]
        self._end: Array | None = None
        self._gradients = np.zeros((queries.count, network.parameter_count))

    def follow(self, start: Array, end: Array) -> Followed:
        """From one vector of parameters straight to another."""
        queries = self.queries
        before, after = np.zeros(queries.count), np.zeros(queries.count)
        self._gradients.fill(0)
        goes_on = self._end is not None and np.array_equal(self._end, start)
        for walk in self._walks:
            a, b = walk.go(start, end, self._gradients, goes_on=goes_on)
            np.add.at(before, walk.owners, a.losses)
            np.add.at(after, walk.owners, b.losses)
        self._end = end.copy()
        return Followed(self._gradients, before, after)

    def look(self, parameters: Array) -> Array:
        """(queries,): the losses at one place."""
        return self.follow(parameters, parameters).before


class _Walk:
    """Some of the queries' rows along one line after the other."""

    def __init__(self, network: Network, queries: Queries, part: slice) -> None:
        self.network, self.each = network, queries.each
        self.X, self.Y = queries.X[part], queries.Y[part]
        self.shares, self.owners = queries.shares[part], queries.owners[part]
        rows = len(self.X)
        self.theta, self.start, self.step = (np.zeros(network.parameter_count) for _ in range(3))
        self.at = np.zeros((rows, 1))
        self.together = Workspace(network, self.theta, rows=rows, shared=False, weighted=True)
        self.apart: Workspace | None = None
        """For rows at different places."""
        if can_fan(network):
            fan = fanned(network, self.step, self.at)
            self.apart = Workspace(fan, self.start, rows=rows, shared=False, weighted=True)
        self._last: _Seen | None = None

    def go(self, start: Array, end: Array, gradients: Array, *, goes_on: bool) -> tuple[_Seen, _Seen]:
        """Add the rows' averaged gradients along a line; gives what was seen at both ends."""
        self.start[...], self.gradients = start, gradients
        np.subtract(end, start, out=self.step)
        rows = np.arange(len(self.X))
        known = self._last if goes_on else None
        a = self.look(rows, np.zeros(len(rows))) if known is None else replace(known, at=np.zeros(len(rows)))
        b = self._last = self.look(rows, np.ones(len(rows)))
        self._integrate(_Ways(rows, a, b), depth=0)
        return a, b

    def _integrate(self, ways: _Ways, *, depth: int) -> None:
        """Add the gradients along each way, cut at its kinks."""
        bent = ways.are_bent
        self._sum(ways.of(~bent), depth=depth)
        if bent.any():
            smooth, over = self._cut(ways.of(bent))
            self._sum(smooth, depth=depth)
            self._sum(over, depth=DEEPEST)

    def _cut(self, ways: _Ways) -> tuple[_Ways, _Ways]:
        """The ways from kink to kink, and those over a kink, which are hardly any."""
        smooth, over = [], []
        for _ in range(MOST_KINKS):
            near, far = self._first_kinks(ways)
            rest = _Ways(ways.rows, far, ways.b)
            bent = rest.are_bent
            smooth += [_Ways(ways.rows, ways.a, near), rest.of(~bent)]
            over.append(_Ways(ways.rows, near, far))
            ways = rest.of(bent)
            if not bent.any():
                break
        return _Ways.joined(smooth), _Ways.joined([*over, ways])

    def _first_kinks(self, ways: _Ways) -> tuple[_Seen, _Seen]:
        """The places just before and just behind the first change of piece on each way.

        Where they are goes by where Z, on the straight between the two places known, is 0: once from behind, once from
        before, then by halves, as it need not be straight.
        """
        everything = np.arange(len(ways.rows))
        near, far = ways.a.of(everything), ways.b.of(everything)
        for turn in cycle((1, -1, 0)):
            still = np.flatnonzero(far.at - near.at > FINEST)
            if not len(still):
                break
            before, behind = near.of(still), far.of(still)
            seen = self.look(ways.rows[still], _guess(before, behind, turn))
            is_before = (seen.pieces == before.pieces).all(axis=1)
            near.put(still[is_before], seen.of(is_before))
            far.put(still[~is_before], seen.of(~is_before))
        return near, far

    def _sum(self, ways: _Ways, *, depth: int) -> None:
        """Add the gradients along ways without a kink, halved until they account for the change."""
        most = max(1, MOST_NUMBERS // self.network.parameter_count) if self.each else len(ways.rows)
        for start in range(0, len(ways.rows), max(most, 1)):
            self._add(ways.of(np.arange(start, min(start + most, len(ways.rows)))), depth=depth)

    def _add(self, ways: _Ways, *, depth: int) -> None:
        rows, a, b = ways.rows, ways.a, ways.b
        found, changes = self._averaged(rows, a.at, b.at), b.losses - a.losses
        allowed = TOLERANCE * np.abs(changes) + 16 * np.finfo(np.float64).eps * a.sizes
        if not self.each:
            changes, allowed = changes.sum(keepdims=True), allowed.sum(keepdims=True)
        if depth >= DEEPEST or (np.abs(changes - found @ self.step) <= allowed).all():
            np.add.at(self.gradients, self.owners[rows] if self.each else [0], found)
            return
        middle = self.look(rows, (a.at + b.at) / 2)
        self._integrate(_Ways(rows, a, middle), depth=depth + 1)
        self._integrate(_Ways(rows, middle, b), depth=depth + 1)

    def _averaged(self, rows: Array, start: Array, end: Array) -> Array:
        """The integral of the rows' gradients between places: (r, parameters), or summed over the rows (1, …)."""
        total = np.zeros((len(rows) if self.each else 1, self.network.parameter_count))
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            at, shares = start + (end - start) * node, self.shares[rows] * (end - start) * weight
            for some in self._passes(at):
                batch = self._forward(rows[some], at[some], shares[some])
                batch.backward()
                total[some if self.each else [0]] += self._gradients(batch, len(some))
        return total

    def look(self, rows: Array, at: Array) -> _Seen:
        """The rows' losses, each at its place."""
        parts = []
        for some in self._passes(at):
            batch, m, shares = self._forward(rows[some], at[some]), len(some), self.shares[rows[some]]
            losses = shares * batch.example_losses()[:m]
            sizes = np.abs(losses) + shares * np.abs(batch.head.Z[:m]).max(axis=1)
            parts.append((some, _Seen(at[some], losses, sizes, *_pieces(self.network, batch, m))))
        if len(parts) == 1:
            return parts[0][1]
        order = np.argsort(np.concatenate([some for some, _ in parts]))
        together = [np.concatenate(arrays) for arrays in zip(*(seen.arrays for _, seen in parts), strict=True)]
        return _Seen(*(array[order] for array in together))

    def _passes(self, at: Array) -> Iterator[Array]:
        """Which of some rows go together: those at one place, or as many as there is room for in a fan."""
        room, places = len(self.X), at[:1] if (at == at[0]).all() else np.unique(at)
        groups = [np.arange(len(at))] if self.apart is not None else [np.flatnonzero(at == place) for place in places]
        for group in groups:
            yield from (group[start : start + room] for start in range(0, len(group), room))

    def _forward(self, rows: Array, at: Array, weights: Array | None = None) -> Batch:
        """A pass forward; behind the rows stand others without a weight, so that few sizes of batches are made."""
        workspace, m = self.together, len(rows)
        if self.apart is not None and (at != at[0]).any():
            workspace = self.apart
            self.at[:m, 0] = at
        else:
            np.multiply(self.step, at[0], out=self.theta)
            self.theta += self.start
        batch = workspace.cut(min(workspace.rows, 1 << (m - 1).bit_length()))
        batch.X[:m], batch.Y[:m] = self.X[rows], self.Y[rows]
        if workspace.weights is not None:
            workspace.weights.fill(0)
            workspace.weights[:m, 0] = 1.0 if weights is None else weights
        batch.forward()
        return batch

    def _gradients(self, batch: Batch, m: int) -> Array:
        """The first m rows' gradients, times their weights: (m, parameters), or their sum (1, …)."""
        if not self.each:
            return batch.workspace.gradient[None]
        parts = ExampleGradients(batch).each(list(self.network.shapes))
        return np.concatenate([part[:m].reshape(m, -1) for part in parts.values()], axis=1)


def _guess(before: _Seen, behind: _Seen, turn: int) -> Array:
    """Where the kink is between two places: a little behind it, a little before it, or midway, as the turn says."""
    width = behind.at - before.at
    crossed = before.pieces != behind.pieces
    with np.errstate(all="ignore"):
        share = np.where(crossed, before.Z / (before.Z - behind.Z), np.nan)
        share = np.fmin.reduce(share, axis=1)
    share = np.where(np.isfinite(share) & (turn != 0), share, 0.5)
    margin = np.minimum(width, FINEST) / 4
    guess: Array = np.clip(before.at + share * width + turn * margin, before.at + margin, behind.at - margin)
    return guess


def _pieces(network: Network, batch: Batch, m: int) -> tuple[Array, Array]:
    """(m, units): on which piece of a function with kinks each unit is, the losses last; and its Z, if that tells."""
    pieces, values = [np.empty((m, 0), bool)], [np.empty((m, 0))]
    for layer, slot in zip(network.layers, batch.slots, strict=True):
        found = layer.pieces(slot)
        if found is not None:
            pieces.append(found[:m].reshape(m, -1))
            tells = np.array_equal(found, slot.x > 0)
            values.append(slot.x[:m].reshape(m, -1) if tells else np.full(pieces[-1].shape, np.nan))
    found = network.loss.pieces(batch.head)
    if found is not None:
        pieces.append(found[:m].reshape(m, -1))
        values.append(np.full(pieces[-1].shape, np.nan))
    return np.concatenate(pieces, axis=1), np.concatenate(values, axis=1)
