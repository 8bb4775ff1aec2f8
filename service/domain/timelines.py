"""Timelines: any number of a run over its steps, the first step where something holds, and where two runs part."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

import numpy as np

from engine.data.writers import arrow_stream
from engine.inspection.measures import Measure, Predicate
from engine.inspection.observation import ObservedStep
from engine.parameters import Array
from service.domain import courses, estimates, replays, runs
from service.domain.courses import Course
from service.domain.estimates import Estimate
from service.domain.journeys import Journey
from service.errors import Fault, NotFound, Unprocessable
from service.settings import Settings
from service.store import epochs
from service.store.database import Database
from service.store.tables import Json, RunRow

_LOGGED = re.compile(r"(train|validation)\.\w+|grad_norm|seconds")
"""What epochs report, which needs no replay."""
SCANNED_SECONDS = 2.0
"""A search that every step of its range takes longer for halves it instead."""


@dataclass(frozen=True)
class Timeline:
    """Numbers of some steps, by what was asked for."""

    steps: tuple[int, ...]
    columns: Mapping[str, Sequence[float | None]]
    replay: Json
    course: Course


def timeline(
    database: Database,
    settings: Settings,
    run_id: str,
    *,
    quantities: Sequence[str],
    first: int | None,
    last: int | None,
    points: int,
) -> Timeline:
    """Some numbers of at most `points` steps from the first to the last, evenly apart.

    What was measured at epochs' ends, such as train.loss, is each step's epoch's; the rest is computed again.
    """
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
        reports = dict(epochs.all_of(session, run.id))
    steps = steps_of(course, first, last, points)
    logged = {text for text in quantities if _LOGGED.fullmatch(text)}
    measured = tuple(text for text in quantities if text not in logged)
    for place, text in enumerate(quantities):
        if text in measured and "*" not in text:
            Measure.parse(text, f"quantities[{place}]")
    columns: dict[str, list[float | None]] = {}
    for text in quantities:
        if text in logged:
            of_epoch = [reports.get(course.epoch_of(step), {}) for step in steps]
            columns[text] = [values.get(text) for values in of_epoch]
    if not measured:
        return Timeline(steps, columns, {"status": "stored"}, course)
    estimates.check(estimate_of(database, run, course, steps), settings.limits)
    travelled = replays.go(settings, run, partial(_followed, steps=steps, quantities=measured))
    return Timeline(steps, {**columns, **travelled.found}, replays.trust(database, settings, run, travelled), course)


def cosines(
    database: Database, settings: Settings, run_id: str, *, first: int | None, last: int | None, points: int
) -> Timeline:
    """At steps evenly apart, the cosine of each dW.l with that of the step before: 1 is on, below 0 back again."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
    steps = steps_of(course, first, last, points)
    estimates.check(estimate_of(database, run, course, steps), settings.limits)
    travelled = replays.go(settings, run, partial(_cosines, steps=steps, begun=course.begun))
    return Timeline(steps, travelled.found, replays.trust(database, settings, run, travelled), course)


def as_arrow(found: Timeline) -> bytes:
    """An Arrow IPC stream: a row for each step, numbers that are not finite as they are, null where none was measured.

    The schema's metadata says under `chainrule` what run it is of, and how its numbers came about.
    """
    steps = {"step": found.steps, "epoch": [found.course.epoch_of(step) for step in found.steps]}
    return arrow_stream({**steps, **found.columns}, {"run": found.course.run_id, "replay": found.replay})


def timeline_estimate(
    database: Database, run_id: str, *, quantities: Sequence[str], first: int | None, last: int | None, points: int
) -> Estimate:
    """What `timeline` would cost."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
    steps = steps_of(course, first, last, points)
    is_logged = all(_LOGGED.fullmatch(text) for text in quantities)
    return Estimate() if is_logged else estimate_of(database, run, course, steps)


def estimate_of(database: Database, run: RunRow, course: Course, steps: Sequence[int]) -> Estimate:
    """Of computing these steps again, in their order."""
    with database.read() as session:
        return estimates.of_replay(session, run, course, [step - 1 for step in steps])


def _range(course: Course, first: int | None, last: int | None) -> tuple[int, int]:
    """The steps asked for, those of the whole run unless said, the one that diverged included."""
    begin = course.begun + 1 if first is None else first
    end = course.furthest_step if last is None else last
    if course.furthest_step == course.begun:
        raise NotFound(f"Run {course.run_id} has no step yet.", code="no_such_step")
    if not course.begun < begin <= end <= course.furthest_step:
        there = f"{course.begun + 1} to {course.furthest_step}"
        detail = f"expected steps from {there}, the first before the last, got {begin} to {end}"
        raise Unprocessable(f"first, last: {detail}.", errors=[Fault("/first", "no_such_step", detail)])
    return begin, end


def steps_of(course: Course, first: int | None, last: int | None, points: int) -> tuple[int, ...]:
    """At most so many steps from the first to the last, evenly apart; of the whole run where these are None."""
    first, last = _range(course, first, last)
    found = np.unique(np.linspace(first, last, min(points, last - first + 1)).round().astype(np.int64))
    return tuple(found.tolist())


def _cosines(journey: Journey, *, steps: tuple[int, ...], begun: int) -> dict[str, list[float | None]]:
    """In the process: take each step and the one before."""
    names = [f"d{name}" for name in journey.network.shapes if name.startswith("W.")]
    found: dict[str, list[float | None]] = {name: [] for name in names}
    for number in steps:
        before = None
        if number - 1 > begun:
            journey.to(number - 2)
            before = journey.observe().tensors
        else:
            journey.to(number - 1)
        now = journey.observe().tensors
        for name in names:
            found[name].append(None if before is None else _cosine(before[name], now[name]))
    return found


def _cosine(a: Array, b: Array) -> float | None:
    a, b = (each.astype(np.float64).ravel() for each in (a, b))
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size and isfinite(size) else None


def _followed(journey: Journey, *, steps: Sequence[int], quantities: Sequence[str]) -> dict[str, list[float]]:
    """In the process: the numbers of some steps, in their order."""
    measures: list[Measure] = []
    found: dict[str, list[float]] = {}
    for number in steps:
        step = _taken(journey, number)
        if not measures:
            measures = [each for text in quantities for each in Measure.expand(text, step)]
        for measure in measures:
            found.setdefault(measure.text, []).append(measure.of(step))
    return found


def _taken(journey: Journey, number: int) -> ObservedStep:
    journey.to(number - 1)
    return journey.observe()


# The first step where something holds ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crossing:
    """Where a predicate begins to hold."""

    step: int | None
    """None: at no step that was looked at."""
    value: float | None
    before: float | None
    """At the step before; None where there is none."""
    search: str
    evaluations: int


def bisect(
    database: Database,
    settings: Settings,
    run_id: str,
    predicate: Predicate,
    *,
    first: int | None,
    last: int | None,
    search: str,
) -> tuple[Crossing, Json]:
    """The first step from the first to the last at which a predicate holds.

    `scan` looks at each in turn; `halve` at a few, and finds the first where it holds from some step on to the last.
    """
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
    begin, end = _range(course, first, last)
    search = _search(course, begin, end, search)
    estimates.check(estimate_of(database, run, course, _looked_at(begin, end, search)), settings.limits)
    look = partial(_scanned if search == "scan" else _halved, predicate=predicate, first=begin, last=end)
    travelled = replays.go(settings, run, look)
    return travelled.found, replays.trust(database, settings, run, travelled)


def bisect_estimate(database: Database, run_id: str, *, first: int | None, last: int | None, search: str) -> Estimate:
    """What `bisect` would cost at most, but for a search by halves, which may be a little more."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
    begin, end = _range(course, first, last)
    return estimate_of(database, run, course, _looked_at(begin, end, _search(course, begin, end, search)))


def _search(course: Course, first: int, last: int, asked: str) -> str:
    if asked != "auto":
        return asked
    is_short = (last - first + 1) * (course.step_seconds or 0) * 3 <= SCANNED_SECONDS
    return "scan" if is_short else "halve"


def _looked_at(first: int, last: int, search: str) -> Sequence[int]:
    """The steps of a search that finds what it looks for at the last of them."""
    if search == "scan":
        return range(first, last + 1)
    looked, low = [last], first - 1
    while last - low > 1:
        low = (low + last) // 2
        looked.append(low)
    return looked


def _scanned(journey: Journey, *, predicate: Predicate, first: int, last: int) -> Crossing:
    before = None
    journey.to(first - 1)
    for number in range(first, last + 1):
        holds, value = predicate.holds(journey.observe())
        if holds:
            return Crossing(number, value, before, "scan", number - first + 1)
        before = value
    return Crossing(None, None, before, "scan", last - first + 1)


def _halved(journey: Journey, *, predicate: Predicate, first: int, last: int) -> Crossing:
    seen: dict[int, tuple[bool, float]] = {}

    def holds(number: int) -> bool:
        seen[number] = predicate.holds(_taken(journey, number))
        return seen[number][0]

    if not holds(last):
        return Crossing(None, None, seen[last][1], "halve", 1)
    low, high = first - 1, last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    before = seen[low][1] if low >= first else None
    return Crossing(high, seen[high][1], before, "halve", len(seen))


# Two moments compared ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A moment of a run, by its name."""

    run_id: str
    at: str


@dataclass(frozen=True)
class ParameterDifference:
    """How far a parameter of one moment is from that of another."""

    name: str
    norm_a: float
    norm_b: float
    distance: float
    """‖b − a‖."""
    cosine: float | None
    """Of the angle between them; None where one is 0."""
    sign_flips: int
    """How many elements have the other sign."""
    is_equal: bool
    """Bit for bit."""


@dataclass(frozen=True)
class Difference:
    """What two moments of runs have in common, and what not."""

    moments: tuple[int, int]
    parameters: tuple[ParameterDifference, ...]
    unlike: tuple[str, ...]
    """Parameters that only one has, or with another shape."""
    spec: Mapping[str, tuple[Any, Any]]
    """What differs of the resolved specs, by its path: a's, and b's."""
    first_difference: int | None
    """The first moment at which two runs that began alike have other parameters; None where they have the same."""
    began_alike: bool
    replays: tuple[Json, Json]


def difference(database: Database, settings: Settings, a: Place, b: Place) -> Difference:
    """Compare two moments of one run or of two."""
    found = [replays.moment(database, settings, place.run_id, place.at) for place in (a, b)]
    with database.read() as session:
        rows = [runs.row_of(session, place.run_id) for place in (a, b)]
        there = [courses.course(session, row) for row in rows]
        digests = [epochs.digests(session, row.id) for row in rows]
    views = [moment.network.views(moment.parameters) for moment in found]
    both = [name for name in views[0] if name in views[1] and views[0][name].shape == views[1][name].shape]
    began_alike, parted = (True, None) if a.run_id == b.run_id else _parted(settings, rows, there, digests)
    return Difference(
        moments=(_number(found[0], there[0]), _number(found[1], there[1])),
        parameters=tuple(_compared(name, views[0][name], views[1][name]) for name in both),
        unlike=tuple(sorted({*views[0], *views[1]} - set(both))),
        spec=_changed(rows[0].resolved, rows[1].resolved),
        first_difference=parted,
        began_alike=began_alike,
        replays=(found[0].replay, found[1].replay),
    )


def _number(moment: Any, course: Course) -> int:
    return int(moment.epoch * course.steps_per_epoch + moment.step)


def _compared(name: str, a: Any, b: Any) -> ParameterDifference:
    first, second = (array.astype(np.float64).reshape(-1) for array in (a, b))
    sizes = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    product = sizes[0] * sizes[1]
    return ParameterDifference(
        name=name,
        norm_a=sizes[0],
        norm_b=sizes[1],
        distance=float(np.linalg.norm(second - first)),
        cosine=float(first @ second) / product if product else None,
        sign_flips=int((np.sign(first) * np.sign(second) < 0).sum()),
        is_equal=a.tobytes() == b.tobytes(),
    )


def _changed(a: Any, b: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """What two specs say differently, by its path."""
    if isinstance(a, dict) and isinstance(b, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for name in (*a, *(name for name in b if name not in a)):
            found |= _changed(a.get(name), b.get(name), f"{path}.{name}" if path else name)
        return found
    return {} if a == b else {path: (a, b)}


def _parted(
    settings: Settings, rows: Sequence[RunRow], there: Sequence[Course], digests: Sequence[Mapping[int, str]]
) -> tuple[bool, int | None]:
    """Whether two runs began with the same parameters, and the first moment at which they have others."""
    a, b = there
    begun, reached = max(a.begun, b.begun), min(a.reached, b.reached)
    if a.steps_per_epoch != b.steps_per_epoch or begun > reached:
        return False, None
    low, high = begun, reached
    for epoch in sorted(digests[0].keys() & digests[1].keys()):
        moment = epoch * a.steps_per_epoch
        if low <= moment <= high:
            if digests[0][epoch] != digests[1][epoch]:
                high = moment
                break
            low = moment
    look = partial(_first_difference, settings=settings, other=rows[1].id, low=low, high=high)
    parted = replays.go(settings, rows[0], look).found
    return parted != begun, parted


def _first_difference(journey: Journey, *, settings: Settings, other: str, low: int, high: int) -> int | None:
    """In the process: go through both runs side by side."""
    twin = Journey(settings, journey.database, other)
    for moment in range(low, high + 1):
        journey.to(moment)
        twin.to(moment)
        if journey.state.parameters.tobytes() != twin.state.parameters.tobytes():
            return moment
    return None
