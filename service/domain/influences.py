"""Influence: which training rows lowered or raised a loss, found along a replay of the training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from engine.data import Preprocessing, Table
from engine.errors import SpecError
from engine.inspection.influence import Queries, TracIn, check_ledger, ledger, numbers_of, remembered
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.domain import courses, datasets, replays, runs
from service.domain.courses import Course
from service.domain.inputs import check_inputs
from service.domain.inspections import units_of
from service.domain.journeys import Journey
from service.domain.training import FLOPS_PER_SECOND
from service.errors import Fault, TooLarge, Unprocessable
from service.settings import Limits, Settings
from service.store.database import Database
from service.store.tables import Json, RunRow

MOMENTS = 8
"""So many are looked at where none are named."""
LEDGER_OPERATIONS, TRACIN_OPERATIONS = 150, 20
"""About so many for each row and each product with what is learned."""
LEDGER_SECONDS = 0.005
"""What a step of the ledger takes beside them."""


@dataclass(frozen=True)
class Learner:
    """A run as far as its influences go by it."""

    course: Course
    spec: RunSpec
    preprocessing: Preprocessing
    network: Network
    table: Table
    train: Array
    """The numbers of the rows it learns from."""

    @classmethod
    def of(cls, run: RunRow, course: Course, settings: Settings) -> "Learner":
        """Conflict where the dataset's file is gone."""
        spec, preprocessing = RunSpec.model_validate(run.resolved), Preprocessing.from_json(run.preprocessing)
        table = datasets.table_at_hand(settings.data, run.dataset_id)
        network = Network.of(spec, n_in=preprocessing.n_in)
        return cls(course, spec, preprocessing, network, table, preprocessing.split(table).train)


@dataclass(frozen=True)
class Asked:
    """The losses that are asked about."""

    queries: Queries
    numbers: Array | None = None
    """Which rows of the dataset they are of; None of rows that were sent."""
    warnings: tuple[str, ...] = ()

    def names(self) -> list[Json]:
        """What each query is of: a row of the dataset, or so many together."""
        count = self.queries.count
        rows = len(self.queries.X) // count
        numbers = [None] * count if rows > 1 or self.numbers is None else self.numbers.tolist()
        return [{"row": number, "rows": rows} for number in numbers]


def trace(database: Database, settings: Settings, run_id: str, question: Mapping[str, Any]) -> Json:
    """The rows that did most to a loss. `question`: of, each, over, method, since, until, moments, top."""
    is_ledger = question["method"] == "ledger"
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
        moments = _moments(session, run, course, question)
    learner = Learner.of(run, course, settings)
    asked = _asked(learner, question["of"], each=question["each"], limits=settings.limits)
    _check_over(learner, question["over"])
    if is_ledger:
        _check_amendments(run, moments)
    (_check_ledger if is_ledger else _check_tracin)(learner, asked.queries, moments, settings.limits)
    top = Top(question["top"], question["over"])
    look = partial(_ledger if is_ledger else _tracin, queries=asked.queries, moments=moments, top=top)
    travelled = replays.go(settings, run, look)
    return {
        "run": run.id,
        "method": question["method"],
        "since": moments[0],
        "until": moments[-1],
        "moments": None if is_ledger else list(moments),
        "training_rows": len(learner.train),
        "units": units_of(learner.network, learner.preprocessing),
        "replay": replays.trust(database, settings, run, travelled),
        "warnings": [*asked.warnings, *_warnings(learner, is_ledger=is_ledger)],
        "queries": [name | found for name, found in zip(asked.names(), travelled.found, strict=True)],
    }


def _warnings(learner: Learner, *, is_ledger: bool) -> list[str]:
    """What is not as a reader might take it."""
    found = []
    if learner.spec.training.average is not None:
        found.append("losses and gradients are those of the weights themselves, and this run serves their average")
    if not is_ledger and learner.network.is_random:
        found.append("dropout and noise are off here, though they were on in the training")
    return found


# What is asked ------------------------------------------------------------------------------------------------------


def _moments(session: Session, run: RunRow, course: Course, question: Mapping[str, Any]) -> tuple[int, ...]:
    """The stretch of the ledger from its first to its last moment, or those that TracIn looks at."""
    named = question["moments"]
    if question["method"] == "tracin" and isinstance(named, list):
        return moments_at(session, run, named)
    since, until = (courses.moment_at(session, run, str(question[name])) for name in ("since", "until"))
    if since >= until:
        detail = f"expected a moment behind since, which is {since}, got {until}"
        raise Unprocessable(f"until: {detail}.", code="bad_stretch", errors=[Fault("/until", "bad_stretch", detail)])
    if question["method"] == "ledger":
        return since, until
    return spread(since, until, count=named or MOMENTS, steps_per_epoch=course.steps_per_epoch)


def moments_at(session: Session, run: RunRow, named: Sequence[int | str]) -> tuple[int, ...]:
    """How many steps were done at each of the moments a user names, in order."""
    return tuple(sorted({courses.moment_at(session, run, str(each)) for each in named}))


def spread(since: int, until: int, *, count: int, steps_per_epoch: int) -> tuple[int, ...]:
    """So many moments behind one and up to another, evenly apart: at the ends of epochs where there are enough."""
    unit = steps_per_epoch if until // steps_per_epoch - since // steps_per_epoch >= count else 1
    first, last = since // unit, until // unit
    places = {first + max(1, round((last - first) * number / count)) for number in range(1, count + 1)}
    return tuple(unit * place for place in sorted(places))


def _asked(learner: Learner, of: Mapping[str, Any], *, each: bool, limits: Limits) -> Asked:
    """The rows sent, those of a part, or those with these numbers: one by one, or their mean."""
    preprocessing, network, dtype = learner.preprocessing, learner.network, learner.spec.training.dtype
    given = [name for name in ("rows", "numbers", "part") if of[name] is not None]
    if len(given) != 1:
        detail = f"expected exactly one of rows, numbers and part, got {', '.join(given) or 'none'}"
        raise Unprocessable(f"of: {detail}.", errors=[Fault("/of", "one_of", detail, ("rows", "numbers", "part"))])
    if of["rows"] is not None:
        _check_rows(len(of["rows"]), limits)
        sent = preprocessing.encode_rows(of["rows"], dtype=dtype, with_targets=True, n_out=network.n_out)
        if sent.Y is None:
            raise RuntimeError("expected targets")
        check_inputs(network, preprocessing, sent.X)
        return Asked(_queries(sent.X, sent.Y, None, each=each), warnings=sent.warnings)
    numbers = _numbers(learner, of)
    _check_rows(len(numbers), limits)
    X = preprocessing.encode_features(learner.table, numbers, dtype=dtype)
    Y = preprocessing.encode_targets(learner.table, numbers, dtype=dtype, n_out=network.n_out)
    weights = None if each else preprocessing.weights(learner.table, numbers)
    return Asked(_queries(X, Y, weights, each=each), numbers)


def _queries(X: Array, Y: Array, weights: Array | None, *, each: bool) -> Queries:
    if weights is not None and not weights.any():
        weights = None  # rows that count for nothing have losses all the same
    return Queries(X.astype(np.float64), Y.astype(np.float64), weights, each=each)


def _numbers(learner: Learner, of: Mapping[str, Any]) -> Array:
    if of["part"] is not None:
        rows = learner.preprocessing.split(learner.table).part(of["part"])[: of["limit"]]
        if not len(rows):
            raise Unprocessable(f"of.part: this run has no {of['part']} rows.", code="empty_part")
        return rows
    numbers = np.array(of["numbers"], np.int64)
    missing = np.flatnonzero(~np.isin(numbers, learner.preprocessing.usable_rows(learner.table)))
    if missing.size:
        place = int(missing[0])
        last = learner.table.row_count - 1
        detail = f"expected a row with a target, numbered from 0 to {last}, got {numbers[place]}"
        raise Unprocessable(f"{detail}.", errors=[Fault(f"/of/numbers/{place}", "no_such_row", detail)])
    return numbers


def _check_over(learner: Learner, over: Sequence[int] | None) -> None:
    if over is None:
        return
    missing = np.flatnonzero(~np.isin(over, learner.train))
    if missing.size:
        place = int(missing[0])
        detail = f"expected a row the run learns from, got {over[place]}"
        raise Unprocessable(f"over: {detail}.", errors=[Fault(f"/over/{place}", "no_such_row", detail)])


def _check_rows(count: int, limits: Limits) -> None:
    if count > limits.inspect_rows:
        raise TooLarge(
            f"of: expected at most {limits.inspect_rows} rows, got {count}; `limit` takes the first of a part.",
            limit="inspect_rows",
            maximum=limits.inspect_rows,
        )


# What it takes ------------------------------------------------------------------------------------------------------


def _check_amendments(run: RunRow, moments: Sequence[int]) -> None:
    """Refuse a stretch over which the training was changed: one account has one optimizer and one learning rate."""
    since, until = moments
    for amendment in run.amendments:
        if since < (moment := amendment["moment"]) < until:
            detail = f"expected a stretch of one training, which was changed at moment {moment}"
            fault = Fault("/until", "training_changed", detail, (moment,))
            raise Unprocessable(f"until: {detail}.", code="training_changed", errors=[fault])


def _check_ledger(learner: Learner, queries: Queries, moments: Sequence[int], limits: Limits) -> None:
    """Refuse a run the ledger is not known for, and a stretch that is too long for it."""
    network, course, training = learner.network, learner.course, learner.spec.training
    try:
        check_ledger(network, training)
    except SpecError as error:
        fault = Fault("/method", error.code, str(error), ("tracin",))
        raise Unprocessable(f"method: {error}.", code=error.code, errors=[fault]) from error
    steps = moments[-1] - moments[0]
    passed = steps * (course.batch_rows + len(queries.X))
    seconds = steps * LEDGER_SECONDS + passed * LEDGER_OPERATIONS * network.products / FLOPS_PER_SECOND
    check_passes(passed, limits, seconds=seconds)
    at_once = min(steps, ceil(1.25 * remembered(training)) + 1)
    each = (queries.count + 3) * network.parameter_count + 2 * course.batch_rows * sum(network.widths)
    check_held(at_once * each, queries, learner, limits)


def _check_tracin(learner: Learner, queries: Queries, moments: Sequence[int], limits: Limits) -> None:
    passed = len(moments) * (len(learner.train) + len(queries.X))
    seconds = (moments[-1] - moments[0]) * (learner.course.step_seconds or 0.0)
    seconds += passed * TRACIN_OPERATIONS * learner.network.products / FLOPS_PER_SECOND
    check_passes(passed, limits, seconds=seconds)
    check_held(0, queries, learner, limits)


def check_passes(passed: int, limits: Limits, *, seconds: float) -> None:
    """TooLarge for more rows times steps or moments than may be gone through, with an estimate of what they take."""
    if passed > limits.influence_rows:
        raise TooLarge(
            f"Expected at most {limits.influence_rows} rows times steps or moments to go through, got {passed}, for "
            f"about {seconds:.0f} seconds; ask for fewer steps, moments or rows.",
            limit="influence_rows",
            maximum=limits.influence_rows,
            estimated_seconds=round(seconds, 1),
        )


def check_held(numbers: int, queries: Queries, learner: Learner, limits: Limits) -> None:
    """TooLarge for more numbers at once than an inspection may hold: these, those of the queries and of the rows."""
    network = learner.network
    numbers += queries.count * len(numbers_of(network)) * len(learner.train)
    numbers += 8 * min(len(queries.X), network.evaluation_rows) * sum(network.widths)
    if queries.each:
        numbers += len(queries.X) * network.parameter_count
    if numbers > limits.inspect_workspace_numbers:
        raise TooLarge(
            f"Expected at most {limits.inspect_workspace_numbers} numbers at once, got {numbers}; ask about fewer rows "
            "or steps, or about the mean of the rows.",
            limit="inspect_workspace_numbers",
            maximum=limits.inspect_workspace_numbers,
        )


# In the process -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Top:
    """Which training rows are told of."""

    count: int
    over: Sequence[int] | None
    """Their numbers in the dataset; None of all."""

    def of(self, values: Array, numbers: Array, layers: Sequence[int], more: Callable[[int], Json]) -> Json:
        """The rows that lowered the loss most and those that raised it most, of values (layers, rows)."""
        sums = values.sum(axis=0)
        places = np.arange(len(sums)) if self.over is None else np.flatnonzero(np.isin(numbers, self.over))
        order = places[np.argsort(-sums[places], kind="stable")]
        found = {
            "proponents": order[sums[order] > 0][: self.count],
            "opponents": order[sums[order] < 0][::-1][: self.count],
        }
        told = {
            kind: [
                {
                    "row": int(numbers[place]),
                    "value": float(sums[place]),
                    "layers": _by_layer(layers, values[:, place]),
                    **more(place),
                }
                for place in some
            ]
            for kind, some in found.items()
        }
        return {"total": float(sums.sum()), "over": None if self.over is None else float(sums[places].sum()), **told}


def _ledger(journey: Journey, *, queries: Queries, moments: Sequence[int], top: Top) -> list[Json]:
    """What each of the queries' losses fell by, among rows, layers and terms."""
    journey.to(moments[0])
    account = ledger(journey.replay, queries, until=moments[-1])
    layers, rows = numbers_of(journey.network), journey.rows
    return [
        {
            "before": account.before[query],
            "after": account.after[query],
            "fall": account.before[query] - account.after[query],
            **top.of(account.rows[query], rows, layers, lambda place: {"visits": int(account.visits[place])}),
            "terms": {name: float(values[query]) for name, values in account.terms.items()},
            "layers": _by_layer(layers, account.layers[query]),
            "residual": account.residual[query],
        }
        for query in range(queries.count)
    ]


def _tracin(journey: Journey, *, queries: Queries, moments: Sequence[int], top: Top) -> list[Json]:
    """To the first order, what each row would have done to each query's loss at these moments."""
    data, network, rows = journey.parts.training, journey.network, journey.rows
    sums = TracIn(network, data.X, data.Y, data.weights, queries)
    for moment in moments:
        journey.to(moment)
        sums.add(journey.state.parameters, journey.replay.learning_rate)
    layers = numbers_of(network)
    return [
        {**top.of(values, rows, layers, lambda place: {}), "layers": _by_layer(layers, values.sum(axis=1))}
        for values in sums.values
    ]


def _by_layer(layers: Sequence[int], values: Array) -> dict[str, float]:
    return {str(number): float(value) for number, value in zip(layers, values, strict=True)}
