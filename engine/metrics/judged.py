"""What metrics look at: the truth of rows, outputs for them, and what several metrics need of both, computed once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np

from engine.parameters import Array
from engine.units import Units

Kind = Literal["regression", "binary", "multiclass", "multilabel"]
"""Of the targets: numbers, one of two classes, one of several, several of two classes each."""


def classes_of(values: Array, kind: Kind, *, threshold: float) -> Array:
    """(m,): the class of each row, the largest value's, or of one value whether it is above the threshold.

    Of several labels (m, n_out), whether each is yes.
    """
    if kind == "multilabel":
        return np.asarray(values > threshold)
    if values.shape[1] > 1:
        return np.asarray(values.argmax(axis=1))
    return (values[:, 0] > threshold).astype(np.intp)


@dataclass(frozen=True)
class Truth:
    """Rows' targets, and how much each row counts."""

    Y: Array
    """(m, n_out)."""
    kind: Kind
    units: Units | None = None
    """How Y lies to the targets' own numbers; None where it is these."""
    weights: Array | None = None
    """(m,): how much each row counts; None where all count alike."""

    @cached_property
    def row_weights(self) -> Array:
        """(m,): `weights` in float64, with their default."""
        return np.ones(len(self.Y)) if self.weights is None else self.weights.astype(np.float64)

    def mean(self, values: Array) -> Array:
        """The mean over the rows, in float64."""
        if self.weights is None:
            return np.asarray(values.mean(axis=0, dtype=np.float64))
        return np.asarray(np.average(values, axis=0, weights=self.row_weights))

    def count(self, classes: Array, counted: Array | None = None) -> Array:
        """(K,) in float64: the weights of the rows of each class, or of each label's yes, of those that are counted."""
        if self.kind == "multilabel":
            return np.asarray(self.row_weights @ classes)
        weights = self.weights if counted is None else counted if self.weights is None else counted * self.weights
        return np.bincount(classes, weights, minlength=self.class_count).astype(np.float64)

    @property
    def class_count(self) -> int:
        """Of a binary or multiclass target."""
        return max(2, int(self.Y.shape[1]))

    @cached_property
    def classes(self) -> Array:
        """(m,): the class of each row; of several labels (m, n_out), whether each is yes."""
        return classes_of(self.Y, self.kind, threshold=0.5)

    @cached_property
    def counts(self) -> Array:
        """(K,): the weights of the rows of each class."""
        return self.count(self.classes)

    def comparable(self, values: Array) -> Array:
        """Numbers (m, n_out) in units of Y, as errors are taken of them: of a logarithm in the target's own unit."""
        return values if self.units is None else self.units.comparable(values)

    @cached_property
    def numbers(self) -> Array:
        """(m, n_out): Y, comparable."""
        return self.comparable(self.Y)

    @cached_property
    def variances(self) -> Array:
        """(n_out,): of the targets; 0 where rounding the mean is all there is of one."""
        means = self.mean(self.numbers)
        found = self.mean(np.square(self.numbers - means))
        return np.where(found > np.square(4 * np.finfo(np.float64).eps * means), found, 0.0)

    def in_own_units(self, differences: Array) -> Array:
        """Differences (n_out,) between comparable numbers, in the targets' own units."""
        return differences if self.units is None else differences * self.units.step

    def target(self, place: int) -> Self:
        """One target by itself; a label is a binary one."""
        column = slice(place, place + 1)
        if self.kind == "multilabel":
            return type(self)(self.Y[:, column], "binary", None, self.weights)
        return type(self)(
            self.Y[:, column], self.kind, None if self.units is None else self.units.of(place), self.weights
        )


@dataclass(frozen=True)
class Judged:
    """Outputs for rows whose truth is known."""

    A: Array
    """(m, n_out)."""
    truth: Truth
    scores: bool = False
    """Whether the outputs are scores, of which the sign or the largest decides, instead of probabilities."""

    @property
    def kind(self) -> Kind:
        """Of the targets."""
        return self.truth.kind

    @cached_property
    def targets(self) -> tuple["Judged", ...]:
        """Each target by itself: classes that exclude each other are one target."""
        if self.kind in ("binary", "multiclass") or self.A.shape[1] == 1:
            return (self,)
        places = range(self.A.shape[1])
        return tuple(Judged(self.A[:, place : place + 1], self.truth.target(place), self.scores) for place in places)

    # Classes -------------------------------------------------------------------------------------------------------

    @cached_property
    def predicted(self) -> Array:
        """(m,): the class the outputs decide for; of several labels (m, n_out), whether each is yes."""
        return classes_of(self.A, self.kind, threshold=0.0 if self.scores else 0.5)

    @cached_property
    def right(self) -> Array:
        """(m,): whether the class of a row is right; of several labels, whether all are."""
        right = self.truth.classes == self.predicted
        return np.asarray(right.all(axis=1) if self.kind == "multilabel" else right)

    @cached_property
    def hits(self) -> Array:
        """(K,): the weights of the rows of each class that are taken for it."""
        if self.kind == "multilabel":
            return self.truth.count(self.truth.classes & self.predicted)
        return self.truth.count(self.predicted, self.right)

    @cached_property
    def predictions(self) -> Array:
        """(K,): the weights of the rows taken for each class."""
        return self.truth.count(self.predicted)

    def probabilities_of(self, classes: Array) -> Array:
        """(m,) in float64: what each row gives one class of a binary or multiclass target, as shares of the row."""
        if self.A.shape[1] == 1:
            p = self.A[:, 0].astype(np.float64)
            return np.where(classes == 1, p, 1 - p)
        return np.asarray(self.A[np.arange(len(self.A)), classes] / self.sums)

    @cached_property
    def sums(self) -> Array:
        """(m,) in float64: 1 but for rounding, where the outputs are the probabilities of several classes."""
        return np.asarray(self.A.sum(axis=1, dtype=np.float64))

    # Numbers -------------------------------------------------------------------------------------------------------

    @cached_property
    def errors(self) -> Array:
        """(m, n_out): A − Y, of comparable numbers."""
        return self.truth.comparable(self.A) - self.truth.numbers

    @cached_property
    def mean_squared_errors(self) -> Array:
        """(n_out,)."""
        return self.truth.mean(np.square(self.errors, dtype=np.float64))
