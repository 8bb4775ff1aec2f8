"""A survey: what the gradients of a part's rows say of each of them, at one moment or over several.

A row whose label is wrong asks for something else than the rows it looks like: those of another class pull against it
harder than its own class pulls with it. With cos_ij the cosine of g_i and g_j, a row of class c is opposed where

mean_{j≠i of c} cos_ij + min_{c'≠c} mean_{j of c'} cos_ij < 0.

The mean over its own class alone is hardly ever negative, as biases, and features that all rows share, make the rows of
one label alike. The opposed rows come first among the suspects, and of each kind those with the largest self-influence.

Self-influence is TracInCP of a row on itself, Σ_c η_c·w_i·‖g_i(θ_c)‖²: Pruthi, Liu, Kale & Sundararajan 2020,
Estimating training data influence by tracing gradient descent, §3.2 and §4.1, where it finds wrong labels.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from engine.errors import SpecError
from engine.inspection.influence.sweep import Sweep
from engine.inspection.quantities.gradients import ExampleGradients
from engine.network import Network
from engine.parameters import Array, Layout
from engine.weights import relative_weights


class Survey:
    """Rows X (n, n_in), Y (n, n_out) that count as `weights` (n,) say; with their `classes` (n,) the cosines too.

    Losses and norms are those of each row's own loss, not weighted, at the last moment; the rest is over all moments.
    Raises SpecError where there is only one class.
    """

    def __init__(
        self, network: Network, X: Array, Y: Array, *, weights: Array | None = None, classes: Array | None = None
    ) -> None:
        n = len(X)
        network.layers[0].check(X)
        self.network, self.sweep, self.moments = network, Sweep(network, X, Y), 0
        self.weights = np.ones(n) if weights is None else relative_weights(weights, n)
        self.losses, self.norms, self.self_influence = (np.zeros(n) for _ in range(3))
        self.classes = classes
        self.counts = np.zeros(0, int) if classes is None else np.bincount(classes)
        if classes is not None and np.count_nonzero(self.counts) < 2:
            raise SpecError("by", "expected rows of at least two classes, got one", code="one_class")
        self._cosines = np.zeros((n, len(self.counts)))

    def add(self, parameters: Array, rate: float) -> None:
        """Look at one more moment, with the learning rate there."""
        self.moments += 1
        for rows, batch in self.sweep.at(parameters):
            squares = ExampleGradients(batch).total_squares
            self.losses[rows], self.norms[rows] = batch.head.examples, np.sqrt(squares)
            self.self_influence[rows] += rate * self.weights[rows] * squares
        if self.classes is not None:
            self._cosines += self._mean_cosines(parameters, self.classes)

    def _mean_cosines(self, parameters: Array, classes: Array) -> Array:
        """(n, classes): each row's mean cosine with the other rows of a class; 0 where there is none."""
        inverse = _inverse(self.norms)
        sums = [
            self.sweep.gradient(parameters, rows=np.flatnonzero(classes == number), shares=inverse)
            for number in range(len(self.counts))
        ]
        directions = [Layout(self.network.shapes).views(flat) for flat in sums]
        found, others = np.zeros_like(self._cosines), np.tile(self.counts, (len(classes), 1))
        for rows, batch in self.sweep.at(parameters, shares=inverse):
            gradients = ExampleGradients(batch)
            for number, direction in enumerate(directions):
                found[rows, number] = gradients.along(direction)
        own = np.arange(len(classes)), classes
        found[own] -= inverse > 0
        others[own] -= 1
        means: Array = found / np.maximum(others, 1)
        return means

    @property
    def cosines(self) -> Array:
        """(n, classes): each row's mean cosine with the other rows of each class."""
        return self._cosines / self.moments

    @cached_property
    def own(self) -> Array:
        """(n,): each row's mean cosine with its own class."""
        found: Array = self.cosines[np.arange(len(self.cosines)), self._known]
        return found

    @cached_property
    def opposing(self) -> Array:
        """(n,): the class that pulls hardest against each row."""
        others = self.cosines.copy()
        others[np.arange(len(others)), self._known] = np.inf
        others[:, self.counts == 0] = np.inf
        found: Array = others.argmin(axis=1)
        return found

    @cached_property
    def opposed(self) -> Array:
        """(n,): its mean cosine with each row."""
        found: Array = self.cosines[np.arange(len(self.cosines)), self.opposing]
        return found

    @property
    def _known(self) -> Array:
        if self.classes is None:
            raise ValueError("expected a survey of rows with classes")
        return self.classes

    @property
    def is_opposed(self) -> Array:
        """(n,): whether another class pulls against a row harder than its own pulls with it."""
        found: Array = self.own + self.opposed < 0
        return found

    def suspects(self) -> Array:
        """The places of all rows: the opposed ones first, and of either kind those with the largest self-influence."""
        return np.lexsort((-self.self_influence, ~self.is_opposed))

    def opponents(self, parameters: Array, rows: Array, count: int) -> tuple[Array, Array]:
        """For each of some rows the places (k, count) of those whose gradients are most against its, and their cosines.

        At the moment looked at last, whose parameters these are.
        """
        count = min(count, len(self.norms))
        places, cosines = np.empty((len(rows), count), int), np.empty((len(rows), count))
        for some, found in self._cosines_of(parameters, rows):
            nearest = np.argsort(found, axis=1, kind="stable")[:, :count]
            places[some], cosines[some] = nearest, np.take_along_axis(found, nearest, axis=1)
        return places, cosines

    def _cosines_of(self, parameters: Array, rows: Array) -> Iterator[tuple[Array, Array]]:
        """Of some of the rows asked for, the cosines with all: (k, n)."""
        inverse = _inverse(self.norms)
        asked = Sweep(self.network, self.sweep.X[rows], self.sweep.Y[rows])
        for some, theirs in asked.at(parameters, shares=inverse[rows]):
            layers = ExampleGradients(theirs).layers
            found = np.zeros((len(some), len(self.norms)))
            for place, batch in self.sweep.at(parameters, shares=inverse):
                for layer, their in zip(ExampleGradients(batch).layers, layers, strict=True):
                    found[:, place] += their.against(layer)
            yield some, found


def _inverse(norms: Array) -> Array:
    """1/‖g_i‖; 0 of a row without a gradient, whose cosines are 0."""
    return np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
