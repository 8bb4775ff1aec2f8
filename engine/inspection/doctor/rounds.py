"""Rounds: the doctor's way through a run: the steps that are looked at, every rule asked, consequences under causes."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.errors import SpecError
from engine.inspection.doctor.before import BEFORE
from engine.inspection.doctor.chart import Chart
from engine.inspection.doctor.ends import ENDS
from engine.inspection.doctor.extras import EXTRAS, FAIR, fair_tests, measured
from engine.inspection.doctor.findings import Finding, Severity
from engine.inspection.doctor.looks import Course, Look, look_at, probe_rows
from engine.inspection.doctor.rules import Rule, Stage
from engine.inspection.doctor.steps import STEPS
from engine.optimizers import OPTIMIZERS

RULES: dict[str, Rule] = {rule.id: rule for rule in (*BEFORE, *STEPS, *ENDS, *EXTRAS, *FAIR)}
"""In the order of judgement: causes before what they cause."""
STAGES: tuple[Stage, ...] = ("before", "start", "training", "end")
LOOKS = 14
"""Steps that are looked at, unless told otherwise."""
SEARCHED = 12
"""At most so many more to find where a thing begins."""
RANK: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}

Overrides = Mapping[str, Mapping[str, float]]
"""Thresholds by rule, in place of the defaults."""


def check_overrides(overrides: Overrides) -> None:
    """Raise SpecError for a rule, or a threshold of one, that there is not."""
    for rule, thresholds in overrides.items():
        if rule not in RULES:
            raise SpecError(f"thresholds.{rule}", "there is no such rule", code="unknown_rule", allowed=tuple(RULES))
        for name in thresholds:
            if name not in RULES[rule].thresholds:
                allowed = tuple(RULES[rule].thresholds)
                raise SpecError(
                    f"thresholds.{rule}.{name}",
                    "the rule has no such threshold",
                    code="unknown_threshold",
                    allowed=allowed,
                )


def judge(chart: Chart, overrides: Overrides | None = None, stages: Collection[Stage] = STAGES) -> list[Finding]:
    """The findings of the rules of some stages, what follows from another under it, the most severe first."""
    return fold(_told(chart, overrides or {}, stages))


def _told(chart: Chart, overrides: Overrides, stages: Collection[Stage] = STAGES) -> list[Finding]:
    """Every rule's findings, in the order of judgement."""
    with np.errstate(all="ignore"):
        return [
            finding
            for rule in RULES.values()
            if rule.stage in stages
            for finding in rule.judge(chart, {**rule.thresholds, **overrides.get(rule.id, {})})
        ]


def fold(findings: Sequence[Finding]) -> list[Finding]:
    """Consequences under the first finding that explains them; the rest by severity, then in the order of judgement."""
    order = list(RULES)
    told = sorted(findings, key=lambda finding: order.index(finding.rule))
    causes: list[Finding] = []
    for finding in told:
        place = next((at for at, cause in enumerate(causes) if _explains(cause, finding)), None)
        if place is None:
            under = tuple(each for each in causes if _explains(finding, each))
            causes = [each for each in causes if each not in under]
            causes.append(replace(finding, consequences=(*finding.consequences, *_flat(under))))
        else:
            causes[place] = replace(causes[place], consequences=(*causes[place].consequences, *_flat([finding])))
    return sorted(map(_as_grave, causes), key=lambda finding: RANK[finding.severity])


def _explains(cause: Finding, other: Finding) -> bool:
    """Whether one follows from another, which then comes first: steps that are too long explain nothing seen before."""
    if other.rule not in RULES[cause.rule].explains:
        return False
    if cause.step is None or other.step is None:
        return True
    if cause.rule == "lr_high":
        return other.step > cause.step  # what is seen at a step was there before its update
    return other.rule != "lr_high" or cause.step <= other.step


def _as_grave(cause: Finding) -> Finding:
    """A cause is as severe as what follows from it."""
    worst = min((cause, *cause.consequences), key=lambda finding: RANK[finding.severity])
    return replace(cause, severity=worst.severity)


def _flat(findings: Iterable[Finding]) -> list[Finding]:
    """Each, and behind it what followed from it."""
    return [each for found in findings for each in (replace(found, consequences=()), *found.consequences)]


def examine(
    course: Course,
    *,
    begun: int,
    reached: int,
    epochs: Sequence[Mapping[str, Any]],
    diverged: int | None = None,
    idle_seconds: float | None = None,
    input_names: Sequence[str] = (),
    overrides: Overrides | None = None,
    count: int = LOOKS,
    is_fair: bool = False,
    deadline: Callable[[], bool] = lambda: False,
) -> tuple[Chart, list[Finding]]:
    """Look at some steps between two moments of a training, judge, and find the first step of what is wrong.

    `is_fair` adds the fair tests, which train. `deadline` is asked before each further look, and ends the looking when
    true. Raises SpecError for thresholds that there are not.
    """
    check_overrides(overrides or {})
    rows = probe_rows(course.data)
    looks: dict[int, Look] = {}
    if not OPTIMIZERS[course.spec.training.optimizer.type].full_batch:
        for step in steps_of(begun, reached, count, diverged):
            if len(looks) < 2 or not deadline():
                looks[step] = look_at(course, step, rows)
    chart = Chart(
        spec=course.spec,
        network=course.network,
        data=course.data,
        input_names=tuple(input_names),
        epochs=epochs,
        looks=tuple(looks[step] for step in sorted(looks)),
        diverged=diverged,
        idle_seconds=idle_seconds,
        extras=None if deadline() else measured(course, reached, rows),
        fair=fair_tests(course.spec, course.network, course.data) if is_fair else None,
    )
    found = [_dated(finding, chart, course, deadline) for finding in _told(chart, overrides or {})]
    return chart, fold(found)


def steps_of(begun: int, reached: int, count: int, diverged: int | None) -> list[int]:
    """The first steps, then further and further apart, the last one, and the one that ended the run."""
    if reached <= begun:
        return [] if diverged is None else [diverged]
    first = begun + 1
    near = [step for step in (first, first + 1, first + 4) if step <= reached]
    apart = np.geomspace(1, reached - begun, max(2, count - len(near))).round().astype(np.int64) + begun
    return sorted({*near, *apart.tolist(), *(() if diverged is None else (diverged,))})


def _dated(finding: Finding, chart: Chart, course: Course, deadline: Callable[[], bool]) -> Finding:
    """With the first step at which it holds, between the last look where it did not and the first where it did."""
    if finding.holds is None or finding.step is None:
        return finding
    clean = [look.step for look in chart.looks if look.step < finding.step and not finding.holds(look)]
    low, high = (max(clean) if clean else finding.step - 1), finding.step
    rows, tries = probe_rows(course.data), 0
    last: Look | None = None
    while high - low > 1 and tries < SEARCHED and not deadline():
        middle = (low + high) // 2
        look = look_at(course, middle, rows)
        low, high, last = (low, middle, look) if finding.holds(look) else (middle, high, last)
        tries += 1
    return finding if last is None else replace(finding, step=last.step)
