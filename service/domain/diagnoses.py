"""Diagnoses: what the doctor finds in a run, before it, at its end, or whenever someone asks."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from engine import checkpoints as formats
from engine.data import Preprocessing, open_table
from engine.errors import EngineError
from engine.inspection.doctor import (
    RULES,
    Chart,
    Evidence,
    Finding,
    Remedy,
    Stage,
    Trial,
    check_overrides,
    examine,
    judge,
    outcome,
)
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec, resolve
from engine.training import TrainingData, TrainingState
from service.domain import courses, datasets, replays, runs
from service.domain.courses import Course
from service.domain.journeys import Journey
from service.domain.overrides import merged
from service.domain.training import ROWS_HERE, Plan, parts
from service.settings import Settings
from service.store import epochs, events
from service.store import runs as store
from service.store.database import Database
from service.store.tables import Json, RunRow

BEFORE_ROWS = 5_000
"""Of each part, looked at before a training."""
EXAMINE_SECONDS, TRIAL_SECONDS = 20.0, 6.0
"""So long the doctor looks at steps, and trains for each remedy with and without it."""
ENDED_SECONDS = 5.0
"""So long a worker has for a run that has just ended."""
TRIAL_EPOCHS = 20
TRIALS = 4
"""Remedies that are tried at most."""

BEFORE: tuple[Stage, ...] = ("before",)

Overrides = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Diagnosis:
    """What a process gives back."""

    steps: tuple[int, ...]
    """Those looked at."""
    findings: list[Json]


def diagnosis(database: Database, settings: Settings, run_id: str) -> Json:
    """What was found when the run ended; of any other run, and where nothing is stored, what is found now."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        moment = courses.course(session, run).reached
    if run.diagnosis is not None and run.diagnosis["moment"] == moment:
        return run.diagnosis
    return diagnose(database, settings, run_id)


def diagnose(
    database: Database, settings: Settings, run_id: str, *, thresholds: Overrides | None = None, tests: bool = False
) -> Json:
    """Look at a run as far as it has come; with `tests`, try what would mend it.

    Raises SpecError for thresholds that there are not, and as `replays.go` does.
    """
    check_overrides(thresholds or {})
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course, reports = courses.course(session, run), dict(epochs.all_of(session, run_id))
        heard = events.newest_at(session, run_id) if run.status == "running" else None
    idle = None if heard is None else (datetime.now(UTC) - heard).total_seconds()
    look = partial(_examined, course=course, reports=reports, thresholds=thresholds, tests=tests, idle_seconds=idle)
    travelled = replays.go(settings, run, look)
    found = travelled.found
    replay = replays.trust(database, settings, run, travelled) if travelled.stretches else {"status": "stored"}
    answer = {
        "run": run.id,
        "moment": course.reached,
        "steps": list(found.steps),
        "replay": replay,
        "findings": found.findings,
    }
    if run.status in store.FINISHED and not thresholds and not tests:
        keep(database, run_id, answer)
    return answer


def keep(database: Database, run_id: str, found: Json) -> None:
    """Store what was found in a run that has ended."""
    with database.write() as session:
        run = session.get(RunRow, run_id)
        if run is not None:
            run.diagnosis = found


def at_end(settings: Settings, database: Database, run_id: str, is_stopping: Callable[[], bool]) -> None:
    """In the worker that trained a run: look at it once it has ended, and store what is found."""
    with database.read() as session:
        run = store.get(session, run_id)
        if run is None or run.status not in store.FINISHED:
            return
        course, reports = courses.course(session, run), dict(epochs.all_of(session, run_id))
    if course.furthest_step <= course.begun:
        return
    until = time.monotonic() + ENDED_SECONDS
    journey = Journey(settings, database, run_id)
    found = _examined(
        journey,
        course=course,
        reports=reports,
        thresholds=None,
        tests=False,
        deadline=lambda: is_stopping() or time.monotonic() > until,
    )
    replay = {"status": "exact", "steps": len(found.steps)}
    if not is_stopping():
        keep(
            database,
            run_id,
            {
                "run": run_id,
                "moment": course.reached,
                "steps": list(found.steps),
                "replay": replay,
                "findings": found.findings,
            },
        )


def before(plan: Plan, path: Path) -> list[Json]:
    """What the spec and the encoded rows of a run that is planned say; of large tables nothing."""
    table, preprocessing, spec = open_table(path), plan.preprocessing, plan.resolved
    if table.row_count > ROWS_HERE:
        return []
    split, dtype, n_out = preprocessing.split(table), spec.training.dtype, plan.network.n_out
    arrays: list[Array] = []
    for rows in (split.train, split.validation):
        some = rows[:: max(1, -(-len(rows) // BEFORE_ROWS))]
        arrays.append(preprocessing.encode_features(table, some, dtype=dtype))
        arrays.append(preprocessing.encode_targets(table, some, dtype=dtype, n_out=n_out))
    X, Y, X_validation, Y_validation = arrays
    has_validation, kind = len(X_validation) > 0, preprocessing.facts.kind
    data = TrainingData(X, Y, X_validation, Y_validation, kind) if has_validation else TrainingData(X, Y, kind=kind)
    chart = Chart(spec, plan.network, data, preprocessing.input_names)
    return [_body(finding, "", lambda rows: []) for finding in judge(chart, stages=BEFORE)]


def rules() -> list[Json]:
    """Every rule with its thresholds, in the order of judgement."""
    return [
        {
            "id": rule.id,
            "severity": rule.severity,
            "stage": rule.stage,
            "condition": rule.condition,
            "source": rule.source,
            "thresholds": dict(rule.thresholds),
            "explains": sorted(rule.explains),
        }
        for rule in RULES.values()
    ]


# In the process ------------------------------------------------------------------------------------------------------


def _examined(
    journey: Journey,
    *,
    course: Course,
    reports: Mapping[int, Mapping[str, Any]],
    thresholds: Overrides | None,
    tests: bool,
    idle_seconds: float | None = None,
    deadline: Callable[[], bool] | None = None,
) -> Diagnosis:
    until = time.monotonic() + EXAMINE_SECONDS
    chart, found = examine(
        journey,
        begun=course.begun,
        reached=course.reached,
        epochs=[reports[epoch] for epoch in sorted(reports)],
        diverged=course.diverged,
        idle_seconds=idle_seconds,
        input_names=journey.preprocessing.input_names,
        overrides=thresholds,
        is_fair=tests,
        deadline=deadline or (lambda: time.monotonic() > until),
    )
    trials = {id(finding): _trial(journey, course, finding) for finding in found[:TRIALS]} if tests else {}
    run, numbers = journey.run_id, lambda rows: journey.rows[list(rows)].tolist()
    bodies = [_body(finding, run, numbers) | {"tested": trials.get(id(finding))} for finding in found]
    return Diagnosis(tuple(look.step for look in chart.looks), bodies)


def _trial(journey: Journey, course: Course, finding: Finding) -> Json | None:
    """Train a little with and without the remedy: from before the trouble where the patch is of the training alone."""
    patch = None if finding.remedy is None else finding.remedy.patch
    if patch is None:
        return None
    later = set(patch) == {"training"} and finding.step is not None and finding.step > course.begun + 1
    moment = (finding.step or 1) - 1 if later else 0
    content = None
    if later:
        journey.to(moment)
        content = formats.dump(journey.state, journey.network)
    begin = partial(_begin, journey, content=content, refits="preprocessing" in patch)
    epochs_ = min(TRIAL_EPOCHS, max(1, journey.spec.training.epochs))
    try:
        changed = _resolved(journey, merged(journey.run.resolved, patch))
        ends = [outcome(spec, begin, epochs_, _in(TRIAL_SECONDS)) for spec in (journey.spec, changed)]
    except EngineError as error:
        return {"error": str(error)}
    trial = Trial(epochs_, moment, *ends)
    return {
        "moment": moment,
        "epochs": epochs_,
        "without": vars(trial.without),
        "with_remedy": vars(trial.with_remedy),
        "helped": trial.helped,
    }


def _in(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def _resolved(journey: Journey, whole: Mapping[str, Any]) -> RunSpec:
    asked = RunSpec.model_validate(whole)
    has_validation = journey.data.X_validation is not None
    return resolve(asked, journey.preprocessing.facts, features=asked.features or (), has_validation=has_validation)


def _begin(
    journey: Journey, spec: RunSpec, *, content: bytes | None, refits: bool
) -> tuple[Network, TrainingData, TrainingState]:
    """From the stored state, or from the seed; with rows encoded anew where the remedy changes how."""
    preprocessing, data = journey.preprocessing, journey.data
    if refits and spec is not journey.spec:
        table = datasets.table_of(journey.settings.data, journey.run.dataset_id)
        preprocessing = Preprocessing.fit(table, spec)
        network = Network.of(spec, n_in=preprocessing.n_in)
        room = journey.settings.limits.encoded_bytes_in_memory
        data = parts(spec, preprocessing, network, table, bytes_in_memory=room, folder=journey.settings.data).training
    network = Network.of(spec, n_in=preprocessing.n_in)
    dtype = np.dtype(spec.training.dtype)
    if content is None or data.X.dtype != dtype:
        return network, data, TrainingState.of(spec, network, data)
    return network, data, formats.load(content, network)


# As it is answered ---------------------------------------------------------------------------------------------------


def _body(finding: Finding, run_id: str, numbers: Callable[[Sequence[int]], list[int]]) -> Json:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "first_step": finding.step,
        "first_epoch": finding.epoch,
        "layers": list(finding.layers),
        "units": list(finding.units[:40]),
        "rows": numbers(finding.rows) if finding.rows else [],
        "why": finding.why,
        "evidence": [_evidence(each, run_id) for each in finding.evidence],
        "remedy": _remedy(finding.remedy),
        "tested": None,
        "consequences": [
            {
                "rule": each.rule,
                "severity": each.severity,
                "first_step": each.step,
                "first_epoch": each.epoch,
                "layers": list(each.layers),
                "why": each.why,
                "evidence": [_evidence(one, run_id) for one in each.evidence],
            }
            for each in finding.consequences
        ],
    }


def _evidence(evidence: Evidence, run_id: str) -> Json:
    link = f"/v1/runs/{run_id}/steps/{evidence.step}" if run_id and evidence.step else None
    return {
        "quantity": evidence.quantity,
        "value": _finite(evidence.value),
        "threshold": _finite(evidence.threshold),
        "step": evidence.step,
        "href": link,
    }


def _remedy(remedy: Remedy | None) -> Json | None:
    return None if remedy is None else {"patch": remedy.patch, "rationale": remedy.rationale}


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and isfinite(value) else None
