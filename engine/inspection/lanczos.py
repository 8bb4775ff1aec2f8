"""The extreme eigenvalues of a symmetric matrix that is known by its products alone, by Lanczos's method.

Lanczos 1950, An iteration method for the solution of the eigenvalue problem. Every new vector is orthogonalised against
all others (Paige 1972: else eigenvalues that have converged come back as ghosts), and where there is no room for one
more, the best at both ends are kept and the others built anew (Wu & Simon 2000, Thick-restart Lanczos method).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.errors import SpecError
from engine.parameters import Array

BASIS_NUMBERS = 2**26
"""At most so many numbers are held in a basis: 512 MiB."""
SPARE = 4
"""Vectors kept at each end beside those asked for, when the basis is full."""
NEGLIGIBLE = 1e-14
"""What is left of a product, beside the largest eigenvalue, when it is rounding alone."""


@dataclass(frozen=True)
class Extremes:
    """Eigenvalues at both ends, the outermost first, each with ‖Hv − λv‖ for its vector v of length 1."""

    largest: Array
    smallest: Array
    largest_residual: Array
    smallest_residual: Array
    products: int
    """How many it took."""


def extremes(
    product: Callable[[Array], Array],
    size: int,
    *,
    random: np.random.Generator,
    count: int = 1,
    products: int = 100,
    tolerance: float = 1e-6,
) -> Extremes:
    """`count` eigenvalues at each end of the symmetric matrix (size, size) that `product` multiplies a vector with.

    It ends when every residual is at most `tolerance` times the largest |λ|, or after so many `products`; an eigenvalue
    of the matrix lies at most the residual off. Of equal eigenvalues it need not see more than one.
    Raises SpecError where a basis does not fit into memory.
    """
    basis = Basis(product, size, random=random, count=min(count, size), room=min(size, max(products, 2 * count + 2)))
    while basis.products < products and not basis.is_close(tolerance):
        basis.grow()
    return basis.extremes()


class Basis:
    """Orthonormal vectors in rows, and the matrix as they see it."""

    def __init__(
        self, product: Callable[[Array], Array], size: int, *, random: np.random.Generator, count: int, room: int
    ) -> None:
        fitting = BASIS_NUMBERS // size
        if fitting < min(room, 2 * count + 2):
            raise SpecError(
                "options.eigenvalues",
                f"expected at most {max(0, fitting // 2 - 1)} at each end of a matrix of {size} rows, got {count}",
                code="too_many_parameters",
            )
        self.product, self.random, self.count = product, random, count
        self.vectors = np.empty((min(room, fitting), size))
        self.seen = np.zeros((len(self.vectors), len(self.vectors)))
        """The matrix between them: vectors·H·vectorsᵀ."""
        self.length = self.products = 0
        self.values, self.turns = np.empty(0), np.empty((0, 0))
        """Its eigenvalues, and their vectors in columns."""
        self.next, self.remainder = self._direction(), np.inf
        """Where to go on, and how much of the last product lies there."""

    def is_close(self, tolerance: float) -> bool:
        """Whether the residuals at both ends are small enough, or there are none to be had."""
        if self.length < 2 * self.count and self.length < self.vectors.shape[1]:
            return False
        residuals = self.remainder * np.abs(self.turns[-1, self._ends(self.count)])
        return not (residuals > tolerance * np.abs(self.values).max()).any()

    def grow(self) -> None:
        """Take one more product."""
        if self.length == len(self.vectors):
            self._restart()
        self.vectors[self.length] = self.next
        self.length += 1
        self.products += 1
        parts, rest = self._orthogonal(self.product(self.next))
        self.seen[self.length - 1, : self.length] = self.seen[: self.length, self.length - 1] = parts
        if not np.isfinite(parts).all():
            self.values, self.turns = np.full(self.length, np.nan), np.full((self.length, self.length), np.nan)
            return
        self.values, self.turns = np.linalg.eigh(self.seen[: self.length, : self.length])
        self.remainder = float(np.linalg.norm(rest))
        if self.remainder > NEGLIGIBLE * np.abs(self.values).max():
            self.next = rest / self.remainder
        elif self.length < self.vectors.shape[1]:
            self.remainder, self.next = 0.0, self._direction()

    def extremes(self) -> Extremes:
        """What the basis knows, with residuals from products of their own."""
        ends = self._ends(self.count)
        values = self.values[ends]
        vectors = self.turns[:, ends].T @ self.vectors[: self.length]
        pairs = zip(values, vectors, strict=True)
        residuals = np.array([np.linalg.norm(self.product(vector) - value * vector) for value, vector in pairs])
        half = len(ends) // 2
        return Extremes(
            largest=values[: half - 1 : -1],
            smallest=values[:half],
            largest_residual=residuals[: half - 1 : -1],
            smallest_residual=residuals[:half],
            products=self.products + len(ends),
        )

    def _ends(self, count: int) -> Array:
        """The places of so many eigenvalues at each end, in order."""
        count = min(count, self.length)
        return np.concatenate([np.arange(count), np.arange(self.length - count, self.length)])

    def _restart(self) -> None:
        kept = self._ends(min(self.count + SPARE, (len(self.vectors) - 1) // 2))
        self.vectors[: len(kept)] = self.turns[:, kept].T @ self.vectors
        self.seen[...] = 0
        np.fill_diagonal(self.seen[: len(kept), : len(kept)], self.values[kept])
        self.length = len(kept)

    def _direction(self) -> Array:
        """A random unit vector that is orthogonal to all."""
        _, rest = self._orthogonal(self.random.standard_normal(self.vectors.shape[1]))
        direction: Array = rest / np.linalg.norm(rest)
        return direction

    def _orthogonal(self, vector: Array) -> tuple[Array, Array]:
        """Its parts along each vector, and the rest: twice where much cancels, as that leaves rounding behind."""
        vectors = self.vectors[: self.length]
        parts = vectors @ vector
        rest = vector - parts @ vectors
        if np.linalg.norm(rest) < 0.7 * np.linalg.norm(vector):
            more = vectors @ rest
            rest -= more @ vectors
            parts += more
        return parts, rest
