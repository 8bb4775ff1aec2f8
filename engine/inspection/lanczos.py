"""The extreme eigenvalues of a symmetric matrix that is known by its products alone, by Lanczos's method.

Lanczos 1950, An iteration method for the solution of the eigenvalue problem. As many vectors as eigenvalues are wanted
start together (Ruhe 1979, Implementation aspects of band Lanczos algorithms), so that equal ones are found too. Every
new vector is orthogonalised against all others (Paige 1972: else eigenvalues that have converged come back as ghosts),
and where there is no room for one more, the best at both ends are kept and the others built anew (Wu & Simon 2000,
Thick-restart Lanczos method).
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
    of the matrix lies at most the residual off. Raises SpecError where a basis does not fit into memory.
    """
    basis = Basis(product, size, random=random, count=min(count, size), room=min(size, products + count))
    while basis.products < products and not basis.is_close(tolerance):
        basis.grow()
    return basis.extremes()


class Basis:
    """Orthonormal vectors in rows, and the matrix as they see it. The last of them wait to be multiplied."""

    def __init__(
        self, product: Callable[[Array], Array], size: int, *, random: np.random.Generator, count: int, room: int
    ) -> None:
        least, fitting = min(size, 3 * count + 1), BASIS_NUMBERS // size
        if fitting < least:
            raise SpecError(
                "options.eigenvalues",
                f"expected at most {max(0, (fitting - 1) // 3)} at each end of a matrix of {size} rows, got {count}",
                code="too_many_parameters",
            )
        self.product, self.size, self.count = product, size, count
        self.vectors = np.empty((max(least, min(room, fitting)), size))
        self.seen = np.zeros((len(self.vectors), len(self.vectors)))
        """In its first columns vectors·H·vectorᵀ of those that were multiplied."""
        self.length = self.waiting = self.products = 0
        self.values, self.turns = np.empty(0), np.empty((0, 0))
        """Eigenvalues of the matrix between those that were multiplied, and their vectors in columns."""
        for _ in range(count):
            self._add(self._orthogonal(random.standard_normal(size))[1])

    def is_close(self, tolerance: float) -> bool:
        """Whether the residuals at both ends are small enough, or there is nothing more to be had."""
        if self.length < min(2 * self.count, self.size) and self.waiting:
            return False
        beyond = self.seen[self.length : self.length + self.waiting, : self.length]
        residuals = np.linalg.norm(beyond @ self.turns[:, self._ends(self.count)], axis=0)
        return not (residuals > tolerance * np.abs(self.values).max()).any()

    def grow(self) -> None:
        """Take one more product."""
        if self.length + self.waiting == len(self.vectors) < self.size:
            self._restart()
        column = self.length
        self.length, self.waiting, self.products = self.length + 1, self.waiting - 1, self.products + 1
        parts, rest = self._orthogonal(self.product(self.vectors[column]))
        if not np.isfinite(parts).all():
            self.values, self.turns = np.full(self.length, np.nan), np.full((self.length, self.length), np.nan)
            return
        self.seen[: len(parts), column] = parts
        self.values, self.turns = np.linalg.eigh(self.seen[: self.length, : self.length])
        remainder = np.linalg.norm(rest)
        if remainder > NEGLIGIBLE * np.abs(self.values).max() and len(parts) < self.size:
            self.seen[len(parts), column] = remainder
            self._add(rest)

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

    def _add(self, rest: Array) -> None:
        """One more vector that waits."""
        np.divide(rest, np.linalg.norm(rest), out=self.vectors[self.length + self.waiting])
        self.waiting += 1

    def _restart(self) -> None:
        """Keep the outermost eigenvectors, and those that wait."""
        kept = self._ends(min(self.count + SPARE, (len(self.vectors) - 1 - self.waiting) // 2))
        old = slice(self.length, self.length + self.waiting)
        new = slice(len(kept), len(kept) + self.waiting)
        beyond, waiting = self.seen[old, : self.length] @ self.turns[:, kept], self.vectors[old].copy()
        self.vectors[: len(kept)] = self.turns[:, kept].T @ self.vectors[: self.length]
        self.vectors[new] = waiting
        self.seen[...] = 0
        np.fill_diagonal(self.seen[: len(kept), : len(kept)], self.values[kept])
        self.seen[new, : len(kept)] = beyond
        self.length = len(kept)

    def _orthogonal(self, vector: Array) -> tuple[Array, Array]:
        """Its parts along each vector, and the rest.

        Nearly all lies along the last few. Once that is off, one more pass over all is enough, or two where it still
        cancels much, as that leaves rounding behind.
        """
        total = self.length + self.waiting
        vectors, near = self.vectors[:total], max(0, total - 2 * self.count - 1)
        parts = np.zeros(total)
        parts[near:] = vectors[near:] @ vector
        rest: Array = vector - parts[near:] @ vectors[near:]
        for _ in range(2):
            before = np.linalg.norm(rest)
            more = vectors @ rest
            rest -= more @ vectors
            parts += more
            if np.linalg.norm(rest) > 0.7 * before:
                break
        return parts, rest
