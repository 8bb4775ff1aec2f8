"""Histograms: how the numbers of tensors are spread, over the steps of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from engine.errors import SpecError
from engine.parameters import Array
from service.domain import courses, estimates, replays, runs, timelines
from service.domain.courses import Course
from service.domain.journeys import Journey
from service.settings import Settings
from service.store.database import Database
from service.store.tables import Json

KEPT_NUMBERS = 20_000
"""Of a larger tensor so many are taken, evenly apart."""
MIDDLE = (0.01, 0.99)
"""The quantiles over all steps between which bins lie, so that a few numbers far off don't set the scale."""


@dataclass(frozen=True)
class Spread:
    """A tensor over steps: the same bins at each."""

    edges: Array
    """(bins + 1,): ascending."""
    counts: Array
    """(steps, bins)."""
    outside: Array
    """(steps,): how many numbers lie in none, those that are not finite included."""


@dataclass(frozen=True)
class Histograms:
    """How some tensors of some steps are spread."""

    steps: tuple[int, ...]
    spreads: Mapping[str, Spread]
    replay: Json
    course: Course


def histograms(
    database: Database,
    settings: Settings,
    run_id: str,
    *,
    tensors: Sequence[str],
    first: int | None,
    last: int | None,
    points: int,
    bins: int,
) -> Histograms:
    """How tensors are spread at `points` steps from the first to the last, evenly apart, computed again.

    Raises SpecError for a tensor that no step of the run has, beside what a timeline raises.
    """
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
    steps = timelines.steps_of(course, first, last, points)
    estimates.check(timelines.estimate_of(database, run, course, steps), settings.limits)
    travelled = replays.go(settings, run, partial(_spreads, steps=steps, tensors=tuple(tensors), bins=bins))
    return Histograms(steps, travelled.found, replays.trust(database, settings, run, travelled), course)


def spread_of(samples: Sequence[Array], bins: int) -> Spread:
    """Arrays over the bins that suit them all."""
    finite = [np.asarray(each, np.float64)[np.isfinite(each)] for each in samples]
    joined = np.concatenate(finite)
    low, high = np.quantile(joined, MIDDLE) if joined.size else (0.0, 1.0)
    if low == high and joined.size:
        low, high = joined.min(), joined.max()
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    counts = np.stack([np.histogram(each, bins=edges)[0] for each in finite])
    outside = np.array([each.size for each in samples]) - counts.sum(axis=1)
    return Spread(edges, counts, outside)


def _spreads(journey: Journey, *, steps: tuple[int, ...], tensors: tuple[str, ...], bins: int) -> dict[str, Spread]:
    """In the process: take the steps, keep some numbers of each tensor, and sort them into bins."""
    samples: dict[str, list[Array]] = {name: [] for name in tensors}
    for number in steps:
        journey.to(number - 1)
        step = journey.observe()
        for place, name in enumerate(tensors):
            if name not in step.tensors:
                raise SpecError(
                    f"tensors[{place}]",
                    f"there is no {name[:60]!r} in a step of this run",
                    code="unknown_tensor",
                    allowed=tuple(step.tensors)[:200],
                )
            samples[name].append(_some(step.tensors[name]))
    return {name: spread_of(arrays, bins) for name, arrays in samples.items()}


def _some(array: Array) -> Array:
    flat = array.reshape(-1)
    if flat.size <= KEPT_NUMBERS:
        return flat.copy()
    return flat[np.linspace(0, flat.size - 1, KEPT_NUMBERS).astype(np.int64)]
