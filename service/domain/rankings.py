"""Rankings: the rows of a part by their own losses and gradients, the largest or the most suspect first."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from sqlalchemy.orm import Session

from engine.data import Preprocessing, open_table
from engine.inspection.influence import Survey
from engine.parameters import Array
from service.domain import courses, datasets, replays, runs
from service.domain.courses import Course
from service.domain.evaluations import Part
from service.domain.influences import MOMENTS, TRACIN_OPERATIONS, Learner, check_passes, moments_at, spread
from service.domain.inspections import units_of
from service.domain.journeys import Journey
from service.domain.training import FLOPS_PER_SECOND
from service.errors import Fault, Parameter, TooLarge, Unprocessable
from service.settings import Limits, Settings
from service.store.database import Database
from service.store.tables import Json, RunRow

By = Literal["loss", "gradient_norm", "self_influence", "suspicion"]
OVER_MOMENTS: tuple[By, ...] = ("self_influence", "suspicion")
"""These look at several moments; the others at the best one."""
OPPONENTS = 3
"""So many are told of each suspect."""


@dataclass(frozen=True)
class PartRows:
    """The rows of a part, for a process to encode."""

    part: Part
    numbers: Array
    classes: Array | None
    """The place of each one's class; None where that is not asked for."""
    table: Path
    preprocessing: Json

    def encoded(self, journey: Journey) -> tuple[Array, Array, Array | None]:
        """X, Y and weights."""
        data = journey.parts.training
        if self.part == "train":
            return data.X, data.Y, data.weights
        if self.part == "validation" and data.X_validation is not None and data.Y_validation is not None:
            return data.X_validation, data.Y_validation, data.weights_validation
        table, preprocessing = open_table(self.table), Preprocessing.from_json(self.preprocessing)
        dtype, n_out = data.X.dtype, journey.network.n_out
        X = preprocessing.encode_features(table, self.numbers, dtype=dtype)
        Y = preprocessing.encode_targets(table, self.numbers, dtype=dtype, n_out=n_out)
        return X, Y, preprocessing.weights(table, self.numbers)


def rank(
    database: Database,
    settings: Settings,
    run_id: str,
    *,
    part: Part,
    by: By,
    at: Sequence[str],
    count: int | None,
    top: int,
) -> Json:
    """The first rows of a part by what is asked for: at the moments named, or at so many over the training."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
        moments = _moments(session, run, course, by, at, count)
    learner = Learner.of(run, course, settings)
    rows = _rows(learner, run, settings, part, by)
    _check(learner, rows, moments, settings.limits)
    travelled = replays.go(settings, run, partial(_ranked, asked=rows, moments=moments, by=by, top=top))
    classes = learner.preprocessing.targets[0].classes if rows.classes is not None else ()
    return {
        "run": run.id,
        "part": part,
        "by": by,
        "moments": list(moments),
        "rows": len(rows.numbers),
        "units": units_of(learner.network, learner.preprocessing),
        "replay": replays.trust(database, settings, run, travelled),
        "opposed": travelled.found.opposed,
        "ranked": [_named(row, classes) for row in travelled.found.rows],
    }


def _moments(
    session: Session, run: RunRow, course: Course, by: By, at: Sequence[str], count: int | None
) -> tuple[int, ...]:
    if at and count is not None:
        fault = Fault(Parameter("query", "moments"), "one_of", "expected either at or moments")
        raise Unprocessable("Expected either at or moments.", errors=[fault])
    if at or (count is None and by not in OVER_MOMENTS):
        return moments_at(session, run, at or ["best"])
    if course.reached == course.begun:
        return (course.begun,)
    return spread(course.begun, course.reached, count=count or MOMENTS, steps_per_epoch=course.steps_per_epoch)


def _rows(learner: Learner, run: RunRow, settings: Settings, part: Part, by: By) -> PartRows:
    preprocessing, table = learner.preprocessing, learner.table
    numbers = preprocessing.split(table).part(part)
    if not len(numbers):
        detail = f"expected a part with rows, but this run's {part} part has none"
        fault = Fault(Parameter("query", "part"), "empty_part", detail)
        raise Unprocessable(f"part: {detail}.", code="empty_part", errors=[fault])
    codes = preprocessing.class_codes(table, numbers) if by == "suspicion" else None
    if by == "suspicion" and codes is None:
        detail = "expected a run with one target of classes: suspects are rows whose label other classes pull against"
        fault = Fault(Parameter("query", "by"), "no_classes", detail, ("loss", "gradient_norm", "self_influence"))
        raise Unprocessable(f"by: {detail}.", code="no_classes", errors=[fault])
    return PartRows(part, numbers, codes, datasets.path_of(settings.data, run.dataset_id), run.preprocessing)


def _check(learner: Learner, rows: PartRows, moments: Sequence[int], limits: Limits) -> None:
    """Refuse what takes too long, or too much memory."""
    network, count = learner.network, len(rows.numbers)
    classes = 0 if rows.classes is None else int(rows.classes.max()) + 1
    passes = 3 + classes if classes else 1
    seconds = (moments[-1] - moments[0]) * (learner.course.step_seconds or 0.0)
    seconds += len(moments) * count * passes * TRACIN_OPERATIONS * network.products / FLOPS_PER_SECOND
    check_passes(len(moments) * count * passes, limits, seconds=seconds)
    needed = count * (network.n_in + network.n_out + 2 * classes) + classes * network.parameter_count
    needed += 4 * min(count, network.evaluation_rows) * sum(network.widths)
    if needed > limits.evaluate_numbers:
        raise TooLarge(
            f"Ranking the {rows.part} part takes {needed} numbers, at most {limits.evaluate_numbers} are allowed.",
            limit="evaluate_numbers",
            maximum=limits.evaluate_numbers,
        )


def _named(row: Json, classes: Sequence[str]) -> Json:
    """With its classes by name."""
    return row | {name: classes[place] for name in ("label", "opposing") if (place := row.get(name)) is not None}


# In the process -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranked:
    """What a process gives back."""

    rows: list[Json]
    opposed: int | None
    """How many rows are opposed; None where that is not looked at."""


def _ranked(journey: Journey, *, asked: PartRows, moments: Sequence[int], by: By, top: int) -> Ranked:
    X, Y, weights = asked.encoded(journey)
    survey = Survey(journey.network, X, Y, weights=weights, classes=asked.classes)
    for moment in moments:
        journey.to(moment)
        survey.add(_served(journey), journey.replay.learning_rate)
    order = _order(survey, by)[:top]
    told = [
        {
            "row": int(asked.numbers[place]),
            "loss": float(survey.losses[place]),
            "gradient_norm": float(survey.norms[place]),
            "self_influence": float(survey.self_influence[place]),
        }
        for place in order
    ]
    if by == "suspicion":
        told = [row | more for row, more in zip(told, _suspicions(survey, journey, asked, order), strict=True)]
    return Ranked(told, int(survey.is_opposed.sum()) if by == "suspicion" else None)


def _served(journey: Journey) -> Array:
    """The parameters that are served: their average where the run keeps one."""
    state = journey.state
    return state.parameters if state.average is None else state.average


def _order(survey: Survey, by: By) -> Array:
    if by == "suspicion":
        return survey.suspects()
    values = {"loss": survey.losses, "gradient_norm": survey.norms, "self_influence": survey.self_influence}
    order: Array = np.argsort(-values[by], kind="stable")
    return order


def _suspicions(survey: Survey, journey: Journey, asked: PartRows, order: Array) -> list[Json]:
    """How each row stands to its own class and to the one that pulls hardest against it, and to single rows."""
    if asked.classes is None:
        raise ValueError("expected classes")
    places, cosines = survey.opponents(_served(journey), order, OPPONENTS)
    return [
        {
            "label": int(asked.classes[place]),
            "own_cosine": float(survey.own[place]),
            "opposing": int(survey.opposing[place]),
            "opposing_cosine": float(survey.opposed[place]),
            "is_opposed": bool(survey.is_opposed[place]),
            "opponents": [
                {"row": int(asked.numbers[other]), "cosine": float(cosine)}
                for other, cosine in zip(others, their, strict=True)
            ],
        }
        for place, others, their in zip(order, places, cosines, strict=True)
    ]
