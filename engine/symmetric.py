"""One symmetric matrix for each example, (n, n), kept as a vector r of n numbers: how the function of a row bends.

Of a function that takes each number on its own it is diag(r). Of one behind softmax it is Eᵀ·diag(r)·E with
E = I − 1·Aᵀ, whose row k is e_k − A: softmax's own Jacobian diag(A) − A·Aᵀ is that with r = A, since Σ A = 1.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.parameters import Array


@dataclass(frozen=True)
class Symmetric:
    """What both forms have in common."""

    r: Array
    """(m, n)."""

    @property
    def width(self) -> int:
        """n."""
        return len(self.r.T)

    def of(self, r: Array) -> "Symmetric":
        """The same form with another r."""
        raise NotImplementedError

    def rows(self, part: slice) -> "Symmetric":
        """The same for some of the examples."""
        raise NotImplementedError

    def times(self, V: Array, *, out: Array | None = None) -> Array:
        """The product with a vector of each example, V (…, m, n); where it can, in `out`, which may be V."""
        raise NotImplementedError

    def columns(self) -> Array:
        """K (n, m, n), of which Σ_c sign(r_c)·K_c·K_cᵀ is the matrix: where no r is negative, a root of it."""
        raise NotImplementedError

    def full(self) -> Array:
        """(m, n, n)."""
        raise NotImplementedError

    def diagonal(self) -> Array:
        """(m, n)."""
        raise NotImplementedError

    def around(self, H: Array) -> Array:
        """The product M·H·M for symmetric H (m, n, n)."""
        half = np.moveaxis(self.times(np.moveaxis(H, 1, 0)), 0, 1)
        return np.moveaxis(self.times(np.moveaxis(half, 2, 0)), 0, 2)


@dataclass(frozen=True)
class Diagonal(Symmetric):
    """diag(r)."""

    def of(self, r: Array) -> "Diagonal":
        return Diagonal(r)

    def rows(self, part: slice) -> "Diagonal":
        return Diagonal(self.r[part])

    def times(self, V: Array, *, out: Array | None = None) -> Array:
        product: Array = np.multiply(self.r, V, out=out)
        return product

    def columns(self) -> Array:
        m, n = self.r.shape
        found = np.zeros((n, m, n), self.r.dtype)
        np.einsum("jij->ij", found)[...] = np.sqrt(np.abs(self.r))
        return found

    def full(self) -> Array:
        m, n = self.r.shape
        found = np.zeros((m, n, n), self.r.dtype)
        np.einsum("ijj->ij", found)[...] = self.r
        return found

    def diagonal(self) -> Array:
        return self.r

    def around(self, H: Array) -> Array:
        product: Array = self.r[:, :, None] * H * self.r[:, None, :]
        return product


@dataclass(frozen=True)
class OfShares(Symmetric):
    """Eᵀ·diag(r)·E with E = I − 1·Aᵀ, for rows A (m, n) of shares that sum to 1.

    1 − A of a row's largest share is the sum of the others: nothing cancels where A is nearly 1.
    """

    A: Array

    @cached_property
    def largest(self) -> Array:
        """(m, 1): the place of each row's largest share."""
        place: Array = self.A.argmax(axis=1, keepdims=True)
        return place

    @cached_property
    def rest(self) -> Array:
        """(m, n): 1 − A."""
        others, rest = self.A.copy(), 1 - self.A
        np.put_along_axis(others, self.largest, 0.0, axis=1)
        np.put_along_axis(rest, self.largest, others.sum(axis=1, keepdims=True), axis=1)
        return rest

    def of(self, r: Array) -> "OfShares":
        return OfShares(r, self.A)

    def rows(self, part: slice) -> "OfShares":
        return OfShares(self.r[part], self.A[part])

    def times(self, V: Array, *, out: Array | None = None) -> Array:
        """With U = E·V, which stays as it is when one number is taken off V: here V at the largest share."""
        U = V - np.take_along_axis(V, np.broadcast_to(self.largest, (*V.shape[:-1], 1)), axis=-1)
        U -= (self.A * U).sum(axis=-1, keepdims=True)
        U *= self.r
        product: Array = U - self.A * U.sum(axis=-1, keepdims=True)
        return product

    def columns(self) -> Array:
        found: Array = self._rows() * np.sqrt(np.abs(self.r)).T[:, :, None]
        return found

    def full(self) -> Array:
        E = np.moveaxis(self._rows(), 0, 1)
        product: Array = np.matmul(E.transpose(0, 2, 1) * self.r[:, None, :], E)
        return product

    def diagonal(self) -> Array:
        squares = np.square(self.A)
        rest: Array = self.r * np.square(self.rest) + squares * (self.r.sum(axis=1, keepdims=True) - self.r)
        return rest

    def _rows(self) -> Array:
        """(n, m, n): row k of each example's E."""
        found = np.repeat(-self.A[None], self.A.shape[1], axis=0)
        np.einsum("jij->ij", found)[...] = self.rest
        return found
