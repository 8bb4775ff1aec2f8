"""Queries: the losses that are asked about, of which rows of a training raised or lowered them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.errors import DataError
from engine.network import Network
from engine.parameters import Array
from engine.weights import check_weights, relative_weights


@dataclass(frozen=True)
class Queries:
    """Rows whose own losses are asked about, or the mean of them."""

    X: Array
    """(k, n_in)."""
    Y: Array
    """(k, n_out)."""
    weights: Array | None = None
    """(k,): how much each row counts in the mean, Σwl/Σw."""
    each: bool = False
    """Whether every row is a query, instead of their mean."""

    def __post_init__(self) -> None:
        check_weights("of.weights", self.weights, len(self.X))
        if not len(self.X):
            raise DataError("of", "expected at least one row, got none")
        if self.each and self.weights is not None:
            raise DataError("of.weights", "expected none, as every row is asked about on its own")

    @property
    def count(self) -> int:
        """How many queries there are."""
        return len(self.X) if self.each else 1

    @cached_property
    def shares(self) -> Array:
        """(k,): what each row's loss is multiplied with before a query's are summed."""
        k = len(self.X)
        if self.each:
            return np.ones(k)
        return relative_weights(np.ones(k) if self.weights is None else self.weights.astype(np.float64), k) / k

    @property
    def owners(self) -> Array:
        """(k,): the query each row belongs to."""
        return np.arange(len(self.X)) if self.each else np.zeros(len(self.X), int)

    def check(self, network: Network) -> None:
        """Raise DataError for rows that the first layer or the loss is not defined for."""
        network.layers[0].check(self.X)
        network.loss.check(self.Y)
