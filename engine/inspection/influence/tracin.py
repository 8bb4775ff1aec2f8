"""TracIn: how much training on a row at some moments would have lowered a loss, to the first order.

The sum over moments c of η_c·g_i(θ_c)·g_q(θ_c), η being the learning rate there: positive for a proponent, which lowers
the loss, negative for an opponent. Over all layers, and of dense ones without forming a gradient, as
g_i·g_q = Σ_l (dz_i·dz_q)(a_i·a_q + 1).

TracInCP of Pruthi, Liu, Kale & Sundararajan 2020, Estimating training data influence by tracing gradient descent, §3.2.
"""

from collections.abc import Iterator

import numpy as np

from engine.inspection.influence.layers import layer_of, numbers_of
from engine.inspection.influence.queries import Queries
from engine.inspection.influence.sweep import Sweep
from engine.inspection.quantities.gradients import ExampleGradients, LayerGradients
from engine.network import Network
from engine.parameters import Array, Layout
from engine.weights import relative_weights


class TracIn:
    """The sums for training rows X (n, n_in), Y (n, n_out), which count as their weights (n,) say, and for queries."""

    def __init__(self, network: Network, X: Array, Y: Array, weights: Array | None, queries: Queries) -> None:
        queries.check(network)
        self.network, self.queries = network, queries
        self.numbers = numbers_of(network)
        self.training, self.asked = Sweep(network, X, Y), Sweep(network, queries.X, queries.Y)
        self.shares = None if weights is None else relative_weights(weights, len(X))
        self.values = np.zeros((queries.count, len(self.numbers), len(X)))
        """(queries, layers, training rows)."""

    def add(self, parameters: Array, rate: float) -> None:
        """Add a moment, with the learning rate there."""
        for queries, rows, layer, products in self._products(parameters):
            self.values[queries[:, None], self.numbers.index(layer_of(layer)), rows] += rate * products

    def _products(self, parameters: Array) -> Iterator[tuple[Array, Array, LayerGradients, Array]]:
        """For some queries, rows and a layer, g_q·g_i: (queries, rows)."""
        if not self.queries.each:
            flat = self.asked.gradient(parameters, shares=self.queries.shares)
            mean = Layout(self.network.shapes).views(flat)
            for rows, batch in self.training.at(parameters, shares=self.shares):
                for layer in ExampleGradients(batch).layers:
                    yield np.zeros(1, int), rows, layer, layer.along(mean)[None]
            return
        for queries, asked in self.asked.at(parameters):
            theirs = ExampleGradients(asked).layers
            for rows, batch in self.training.at(parameters, shares=self.shares):
                for layer, their in zip(ExampleGradients(batch).layers, theirs, strict=True):
                    yield queries, rows, layer, their.against(layer)
