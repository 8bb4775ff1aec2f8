"""A pass through dense layers and activations alone, as second derivatives need it: links from input to output.

H stands for the second derivatives of each example's loss, times its weight, by the n numbers at a boundary;
S (C, m, n) for the columns of a root of it, H = Σ_c ±S_c·S_cᵀ. Every boundary is a matrix here, with a row for each
example.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from engine.errors import SpecError
from engine.inspection.quantities.base import Linear, Pass, refused
from engine.layers import Activation
from engine.layers.activations.prelu import Prelu
from engine.layers.activations.softmax import Softmax
from engine.layers.alpha_dropout import AlphaDropout
from engine.layers.dense import Dense
from engine.layers.dropout import Dropout
from engine.layers.gaussian_noise import GaussianNoise
from engine.layers.reshape import Reshape
from engine.parameters import Array
from engine.symmetric import Diagonal, Symmetric

Named = dict[str, Array]
Split = Literal["auto", "Z", "A"]
BUDGET = 2**25
"""At most so many numbers of H or of its roots are held at once, beside what a pass holds: 256 MiB in float64."""
UNCHANGING = (Dropout, AlphaDropout, GaussianNoise, Reshape)
"""Layers that give the numbers they get, with dropout off: every example's row stays the same."""


class Link:
    """A layer of the chain."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of what it learns."""
        return ()

    @property
    def n_in(self) -> int:
        """How many numbers a row has before it."""
        raise NotImplementedError

    def rows(self, part: slice) -> "Link":
        """The same for some of the examples."""
        raise NotImplementedError

    def push(self, RX: Array | None, V: Named) -> Array | None:
        """R{Y} of R{X}, how the input moves as the parameters move along V; None for what doesn't move."""
        raise NotImplementedError

    def gradients(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Named:
        """R{dW}, R{db} of R{dY}, summed over the examples; unless exact, what holds a derivative is left out."""
        return {}

    def pull(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Array:
        """R{dX} of R{dY}; unless exact, what holds a derivative is left out."""
        raise NotImplementedError

    def seen(self, S: Array, signs: Array | None) -> Array:
        """The diagonal of H by what it learns, as each unit sees it: (m, n), from S behind it."""
        raise NotImplementedError

    def seen_of(self, H: Array) -> Array:
        """The same from H behind it, (m, n, n), or its diagonal (m, n)."""
        raise NotImplementedError

    def squares(self, seen: Array) -> Named:
        """The diagonal by each parameter, summed over the examples."""
        raise NotImplementedError

    def traces(self, seen: Array) -> Named:
        """The sum of that for each parameter."""
        raise NotImplementedError

    def root(self, S: Array) -> Array:
        """S before it, of S behind it, which it may overwrite."""
        raise NotImplementedError

    def before(self, H: Array | None, *, whole: bool) -> Array | None:
        """H before it of H behind it, and of what bends in it: (m, n, n), or where that is diagonal (m, n); None is 0.

        What is not asked for as a `whole` may be the diagonal (m, n) of a matrix that isn't.
        """
        raise NotImplementedError

    def axes_before(self, axes: int, *, whole: bool) -> int:
        """How many axes that has, of how many H behind it has; 0 for None."""
        raise NotImplementedError

    def wants_whole(self, *, whole: bool, asked: bool) -> bool:
        """Whether H must be whole behind it, where before it it is `asked` for at all or must be `whole`."""
        raise NotImplementedError


@dataclass(frozen=True)
class DenseLink(Link):
    """Z = X·W + b."""

    linear: Linear

    @property
    def names(self) -> tuple[str, ...]:
        return self.linear.names

    @property
    def n_in(self) -> int:
        return len(self.linear.W)

    def rows(self, part: slice) -> "DenseLink":
        linear = self.linear
        return DenseLink(Linear(linear.number, linear.X[part], linear.dZ[part], linear.W, linear.b))

    def push(self, RX: Array | None, V: Named) -> Array:
        RZ: Array = self.linear.X @ V[self.names[0]]
        if RX is not None:
            RZ += RX @ self.linear.W
        if self.linear.b is not None:
            RZ += V[self.names[1]]
        return RZ

    def gradients(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Named:
        W, *b = self.names
        RdW = self.linear.X.T @ RdY
        if is_exact and RX is not None:
            RdW += RX.T @ self.linear.dZ
        return {W: RdW} | {name: RdY.sum(axis=0) for name in b}

    def pull(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Array:
        RdX: Array = RdY @ self.linear.W.T
        if is_exact:
            RdX += self.linear.dZ @ V[self.names[0]].T
        return RdX

    def seen(self, S: Array, signs: Array | None) -> Array:
        return _sum_of_squares(S, signs)

    def seen_of(self, H: Array) -> Array:
        return H if H.ndim == 2 else np.einsum("ijj->ij", H)

    def squares(self, seen: Array) -> Named:
        W, *b = self.names
        return {W: np.square(self.linear.X).T @ seen} | {name: seen.sum(axis=0) for name in b}

    def traces(self, seen: Array) -> Named:
        W, *b = self.names
        sums = seen.sum(axis=1)
        return {W: np.square(self.linear.X).sum(axis=1) @ sums} | {name: sums.sum() for name in b}

    def root(self, S: Array) -> Array:
        return (S.reshape(-1, S.shape[-1]) @ self.linear.W.T).reshape(*S.shape[:2], -1)

    def before(self, H: Array | None, *, whole: bool) -> Array | None:
        """W·H·Wᵀ."""
        W = self.linear.W
        if H is None:
            return None
        found: Array
        if H.ndim == 2:
            found = np.matmul(W * H[:, None, :], W.T) if whole else H @ np.square(W).T
        else:
            half = (H.reshape(-1, H.shape[-1]) @ W.T).reshape(*H.shape[:2], -1)
            found = np.matmul(W, half) if whole else np.einsum("ijk,jk->ik", half, W.T)
        return found

    def axes_before(self, axes: int, *, whole: bool) -> int:
        return axes and (3 if whole else 2)

    def wants_whole(self, *, whole: bool, asked: bool) -> bool:
        return asked


@dataclass(frozen=True)
class ActivationLink(Link):
    """A = g(Z)."""

    slopes: Symmetric
    bend: Symmetric | None
    """Σ_k dA_k·∂²A_k/∂Z∂Zᵀ; None where it is 0."""

    @property
    def n_in(self) -> int:
        return self.slopes.width

    def rows(self, part: slice) -> "ActivationLink":
        return ActivationLink(self.slopes.rows(part), self.bend and self.bend.rows(part))

    def push(self, RX: Array | None, V: Named) -> Array | None:
        return None if RX is None else self.slopes.times(RX)

    def pull(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Array:
        RdX = self.slopes.times(RdY)
        if is_exact and self.bend is not None and RX is not None:
            RdX += self.bend.times(RX)
        return RdX

    def root(self, S: Array) -> Array:
        return self.slopes.times(S, out=S)

    def before(self, H: Array | None, *, whole: bool) -> Array | None:
        """J·H·J, J being ∂A/∂Z, and the bend."""
        if H is not None and H.ndim == 3:
            H = self.slopes.around(H)
            if self.bend is not None:
                H += self.bend.full()
            return H
        if H is None:
            bent = self.bend
        else:
            bent = self.slopes.of(np.square(self.slopes.r) * H + (0 if self.bend is None else self.bend.r))
        if bent is None:
            return None
        return bent.full() if whole and not isinstance(bent, Diagonal) else bent.diagonal()

    def axes_before(self, axes: int, *, whole: bool) -> int:
        if isinstance(self.slopes, Diagonal):
            return axes or (0 if self.bend is None else 2)
        return 3 if whole or axes == 3 else 2

    def wants_whole(self, *, whole: bool, asked: bool) -> bool:
        return whole if isinstance(self.slopes, Diagonal) else asked


@dataclass(frozen=True)
class PreluLink(ActivationLink):
    """A = max(0, Z) + slope·min(0, Z), with a slope for each of the last axis's units or one for all."""

    name: str
    negative: Array
    """(m, n): min(0, Z)."""
    dA_below: Array
    """(m, n): dA where Z ≤ 0, else 0."""
    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def rows(self, part: slice) -> "PreluLink":
        return PreluLink(self.slopes.rows(part), None, self.name, self.negative[part], self.dA_below[part], self.count)

    def push(self, RX: Array | None, V: Named) -> Array:
        RY = self._spread(self.negative, V)
        return RY if RX is None else RY + self.slopes.times(RX)

    def gradients(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Named:
        moved = RdY * self.negative
        if is_exact and RX is not None:
            moved += self.dA_below * RX
        return {self.name: self._gather(moved).sum(axis=0)}

    def pull(self, RdY: Array, RX: Array | None, V: Named, *, is_exact: bool) -> Array:
        RdX = self.slopes.times(RdY)
        return RdX + self._spread(self.dA_below, V) if is_exact else RdX

    def seen(self, S: Array, signs: Array | None) -> Array:
        return _sum_of_squares(self._gather(S * self.negative), signs)

    def seen_of(self, H: Array) -> Array:
        if H.ndim == 2:
            return self._gather(np.square(self.negative) * H)
        around = self.negative[:, :, None] * H * self.negative[:, None, :]
        groups = around.reshape(len(H), -1, self.count, H.shape[1] // self.count, self.count)
        found: Array = np.einsum("isjtj->ij", groups)
        return found

    def squares(self, seen: Array) -> Named:
        return {self.name: seen.sum(axis=0)}

    def traces(self, seen: Array) -> Named:
        return {self.name: seen.sum()}

    def wants_whole(self, *, whole: bool, asked: bool) -> bool:
        return whole or self.count < self.negative.shape[1]

    def _spread(self, numbers: Array, V: Named) -> Array:
        """Each number times its unit's part of V."""
        grouped = numbers.reshape(len(numbers), -1, self.count) * V[self.name]
        return grouped.reshape(numbers.shape)

    def _gather(self, numbers: Array) -> Array:
        """The sums over the places that share a slope."""
        found: Array = numbers.reshape(*numbers.shape[:-1], -1, self.count).sum(axis=-2)
        return found


@dataclass(frozen=True)
class Chain:
    """All links below the head, which is the last activation and the loss."""

    links: tuple[Link, ...]
    H: Symmetric
    """Of the head by Z[L]."""
    is_exact: bool
    """Whether it is of the Hessian, not of a generalised Gauss-Newton matrix."""
    m: int
    in_time: Callable[[], None]
    """Raises OutOfTime where the time is over."""

    @property
    def lowest(self) -> int:
        """The place of the first link that learns; there is no need to go below it."""
        return next((place for place, link in enumerate(self.links) if link.names), len(self.links))

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers a row has before each link, and behind the last."""
        return (*(link.n_in for link in self.links), self.H.width)

    @property
    def wanted_whole(self) -> tuple[bool, ...]:
        """Before each link, and behind the last, whether H's diagonal is not enough."""
        found, asked = [False], False
        for link in self.links:
            found.append(link.wants_whole(whole=found[-1], asked=asked))
            asked = asked or bool(link.names)
        return tuple(found)

    def parts(self, numbers: int, quantity: str) -> "Iterator[Chain]":
        """The same for a few examples at a time, of which each needs so many numbers: within the budget.

        Raises SpecError that names `quantity` where one alone does not fit.
        """
        if numbers > BUDGET:
            raise SpecError(
                "network.layers",
                f"{quantity} would hold {numbers} numbers of second derivatives for each example, at most {BUDGET} are "
                "allowed; its layers are too wide",
                code="too_wide",
            )
        rows = max(1, BUDGET // max(numbers, 1))
        for start in range(0, self.m, rows):
            part = slice(start, min(start + rows, self.m))
            links = tuple(link.rows(part) for link in self.links)
            self.in_time()
            yield replace(self, links=links, H=self.H.rows(part), m=part.stop - part.start)


def chain_of(passed: Pass, quantity: str, *, split: Split | None = None) -> Chain:
    """The pass as a chain: for the Hessian, or with a `split` for that generalised Gauss-Newton matrix.

    Such a matrix takes the network up to the split as linear, and the loss behind it as it is (Schraudolph 2002, Fast
    curvature matrix-vector products for second-order gradient descent, §3). The split is Z[L] or A[L]; `auto` is Z[L]
    behind the loss's canonical activation, else A[L]. Where the loss is convex in that, the matrix is positive
    semi-definite: all are but the focal losses in Z and gamma in A. Raises SpecError that names `quantity` and the
    first layer it is not known for.
    """
    if not passed.network.shapes:
        raise SpecError("network.layers", f"{quantity} wants a layer that learns", code="nothing_to_learn")
    passed = passed.precisely()
    links = tuple(_links(passed, quantity, are_bent=split is None))
    last = links[-1] if isinstance(passed.network.layers[-1], Activation) else None
    if not isinstance(last, ActivationLink) or last.names:
        return Chain(links, Diagonal(_by_A(passed)), split is None, passed.m, passed.in_time)
    return Chain(links[:-1], _by_Z(passed, last, split), split is None, passed.m, passed.in_time)


def _by_A(passed: Pass) -> Array:
    """The diagonal of H by A[L]."""
    return _weighted(passed.network.loss.ddA(passed.batch.head), passed)


def _by_Z(passed: Pass, last: ActivationLink, split: Split | None) -> Symmetric:
    """H by Z[L]: from Z alone, or from A through the last activation, with or without what bends in that."""
    if passed.network.has_canonical_head and split != "A":
        return last.slopes.of(_weighted(passed.network.loss.ddZ(passed.batch.head), passed))
    through_A = np.square(last.slopes.r) * _by_A(passed)
    bend = _bend_of_head(passed) if split in (None, "Z") else None
    return last.slopes.of(through_A if bend is None else through_A + bend.r)


def _bend_of_head(passed: Pass) -> Symmetric | None:
    head = passed.network.layers[-1]
    return head.bend(passed.batch.slots[-1]) if isinstance(head, Activation) else None


def _weighted(r: Array, passed: Pass) -> Array:
    weights = passed.weights
    return r if weights is None else r * weights[:, None]


def _links(passed: Pass, quantity: str, *, are_bent: bool) -> Iterator[Link]:
    network = passed.network
    layers = zip(network.layers, passed.batch.slots, network.numbers, strict=True)
    for place, (layer, slot, number) in enumerate(layers):
        if isinstance(layer, Dense) and slot.x.ndim == 2 and number is not None:
            yield DenseLink(Linear(number, slot.x, slot.dy, slot.params["W"], slot.params.get("b")))
        elif isinstance(layer, Prelu):
            negative, below = np.minimum(slot.x, 0.0), np.where(slot.x > 0, 0.0, slot.dy)
            yield PreluLink(
                layer.slopes(slot),
                None,
                f"slope.{number}",
                negative.reshape(passed.m, -1),
                below.reshape(passed.m, -1),
                layer.count,
            )
        elif isinstance(layer, Activation) and not (isinstance(layer, Softmax) and slot.x.ndim > 2):
            yield ActivationLink(layer.slopes(slot), layer.bend(slot) if are_bent else None)
        elif not isinstance(layer, UNCHANGING):
            raise refused(quantity, network, place)


def _sum_of_squares(S: Array, signs: Array | None) -> Array:
    """Σ_c ±S_c² (m, n)."""
    squares: Array = np.square(S)
    if signs is not None:
        squares *= signs[:, :, None]
    total: Array = squares.sum(axis=0)
    return total
