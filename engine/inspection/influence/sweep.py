"""A sweep: any number of rows run forward and back, some at a time, with dropout off."""

from collections.abc import Iterator

import numpy as np

from engine.network import Network
from engine.parameters import Array
from engine.workspace import Batch, Workspace


class Sweep:
    """Rows X (n, n_in) and Y (n, n_out), and the arrays to run them in float64 with any parameters."""

    def __init__(self, network: Network, X: Array, Y: Array) -> None:
        self.X, self.Y = X, Y
        self.rows = min(len(X), network.evaluation_rows)
        self.parameters = np.zeros(network.layout.size)
        self.workspace = Workspace(network, self.parameters, rows=self.rows, shared=False, weighted=True)

    def at(
        self, parameters: Array, *, rows: Array | None = None, shares: Array | None = None
    ) -> Iterator[tuple[Array, Batch]]:
        """All rows, or those at some places, some at a time: their places, and a batch that holds until the next.

        Each row's loss is taken as often as its `shares` (n,) say.
        """
        self.parameters[...] = parameters
        rows = np.arange(len(self.X)) if rows is None else rows
        for start in range(0, len(rows), self.rows):
            some = rows[start : start + self.rows]
            batch = self.workspace.cut(len(some))
            batch.X[...], batch.Y[...] = self.X[some], self.Y[some]
            if self.workspace.weights is not None:
                self.workspace.weights[: batch.m, 0] = 1.0 if shares is None else shares[some]
            batch.forward()
            batch.example_losses()
            batch.backward()
            yield some, batch

    def gradient(self, parameters: Array, *, rows: Array | None = None, shares: Array | None = None) -> Array:
        """The sum of the rows' gradients, each taken as often as its share says: the flat vector that is formed."""
        total = np.zeros_like(self.workspace.gradient)
        for _, batch in self.at(parameters, rows=rows, shares=shares):
            total += batch.workspace.gradient
        return total
