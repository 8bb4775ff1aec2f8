"""The chart: everything the doctor's rules look at, of one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from engine.data.noise import MOST_ROWS, unexplained
from engine.inspection.doctor.looks import Look
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from engine.training import TrainingData

EARLY = 10
"""Steps that count as the beginning."""
REACH, LEAST_REACH = 0.4, 0.06
"""By what share of chance a loss should fall, and where a linear model explains little."""


@dataclass(frozen=True)
class Extras:
    """What was measured at a moment."""

    moment: int
    digits: dict[int, float]
    """Of each W's gradient, by its layer's number: how many decimal digits float32 and float64 agree in."""
    mismatches: tuple[str, ...]
    """Numbers whose derivative the nudge contradicts."""
    nudged: int
    opposed: tuple[int, ...]
    """Of the rows surveyed, those that lose more than by guessing, and that another class pulls against harder than
    their own pulls with them."""
    surveyed: int


@dataclass(frozen=True)
class Fair:
    """Short trainings that any sound run passes."""

    few_before: float
    few_after: float
    """The loss on 16 rows, before and after they are trained on alone."""
    plain: float
    blank: float
    """The loss after some steps with the rows as they are, and with zeros in their place."""


@dataclass(frozen=True)
class Chart:
    """A run: its spec, its rows, what its epochs reported, and the looks at some of its steps."""

    spec: RunSpec
    network: Network
    data: TrainingData
    input_names: tuple[str, ...] = ()
    """Of the columns of X."""
    epochs: Sequence[Mapping[str, Any]] = ()
    """The reports from the first epoch on."""
    looks: tuple[Look, ...] = ()
    """In the order of their steps."""
    extras: Extras | None = None
    """What was measured once, near the end."""
    fair: Fair | None = None
    """What short trainings came to; None where none were asked for."""
    diverged: int | None = None
    """The step whose numbers were not finite, where the run ended so."""
    idle_seconds: float | None = None
    """Since anything was last heard of it, where it is under way."""

    def curve(self, name: str) -> Array:
        """What epochs reported under a name; NaN where one has no such number."""
        values = [report.get(name) for report in self.epochs]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    @property
    def early(self) -> tuple[Look, ...]:
        """The looks at the first steps."""
        return tuple(look for look in self.looks if look.step <= EARLY)

    @cached_property
    def labels(self) -> Array | None:
        """Each training row's class; None of a regression, and of several targets."""
        kind, Y = self.data.kind, self.data.Y
        if kind == "multiclass":
            return Y.argmax(axis=1) if Y.shape[1] > 1 else Y[:, 0].astype(np.int64)
        return (Y[:, 0] > 0.5).astype(np.int64) if kind == "binary" else None

    @cached_property
    def class_count(self) -> int:
        """How many classes there are to tell apart."""
        return max(2, self.data.Y.shape[1]) if self.labels is not None else 0

    @cached_property
    def chance(self) -> float | None:
        """The loss of the best constant answer, where it is known: the entropy of classes, or half the variance."""
        loss = self.network.loss.spec.model_fields["type"].default
        if self.labels is not None and loss in ("cross_entropy", "binary_cross_entropy"):
            share = np.bincount(self.labels, minlength=self.class_count) / len(self.labels)
            return float(-(share[share > 0] * np.log(share[share > 0])).sum())
        if loss in ("half_squared_error", "squared_error"):
            spread = float(((self.data.Y - self.data.Y.mean(axis=0)) ** 2).sum(axis=1).mean())
            return spread / 2 if loss == "half_squared_error" else spread
        return None

    @cached_property
    def linear(self) -> float:
        """The share of the targets' variance that ridge regression explains in rows left out; 0 where unknown."""
        if self.labels is None and self.chance is None:
            return 0.0
        rows = np.unique(np.linspace(0, len(self.data.X) - 1, min(len(self.data.X), MOST_ROWS)).astype(np.int64))
        X = self.data.X[rows].reshape(len(rows), -1).astype(np.float64)
        return 1 - unexplained(X, self.data.Y[rows].astype(np.float64))

    @property
    def reach(self) -> float:
        """By what share of chance the loss should fall at least: half of what is linear, if that is little."""
        if self.labels is None and self.chance is None:
            return REACH
        return min(REACH, max(LEAST_REACH, self.linear / 2))

    @cached_property
    def is_learned(self) -> bool:
        """Whether the training loss of the last epochs is well below chance, by as much as the rows let expect."""
        losses = self.curve("train.loss")
        losses = losses[-max(1, len(losses) // 5) :]
        losses = losses[np.isfinite(losses)]
        if not losses.size:
            return False
        start = self.chance if self.chance is not None else (self.looks[0].loss if self.looks else losses[0])
        return bool(np.median(losses) < (1 - self.reach) * start)
