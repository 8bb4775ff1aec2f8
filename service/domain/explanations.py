"""Explanations: where one number of a pass comes from, where its gradient goes through, and where gradients fade."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import orjson

from engine.inspection import explain as engine
from engine.inspection.gains import Gain, Ledger
from engine.inspection.gains import gains as gains_of
from engine.inspection.paths import Paths
from engine.inspection.paths import paths as paths_of
from service.domain.inspections import Answer, Subject, check_size
from service.settings import Limits

DOCUMENTS = {
    "json": "application/json",
    "markdown": "text/markdown; charset=utf-8",
    "latex": "application/x-latex; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
"""The forms of an explanation, and what each is sent as."""


def explain(
    subject: Subject,
    questions: Mapping[str, Any],
    limits: Limits,
    *,
    form: str,
    link: Callable[[str], str | None] = lambda address: None,
) -> bytes:
    """One number of the subject's pass line by line, or without an address all of one example's way, in a form.

    `questions`: address, example, learning_rate, convention, orientation, head, terms, digits. `link` gives the
    address at which another number is explained, for a page.
    """
    found, digits = explained(subject, questions, limits), questions["digits"]
    if form == "markdown":
        return engine.as_markdown(found, digits=digits).encode()
    if form == "latex":
        return engine.as_latex(found, digits=digits).encode()
    if form == "html":
        return engine.as_html(found, digits=digits, link=link).encode()
    return orjson.dumps({**about(subject), **engine.as_json(found, digits=digits)})


def explained(subject: Subject, questions: Mapping[str, Any], limits: Limits) -> engine.Explanation:
    """The same before it is written."""
    check_size(subject, limits)
    network, parameters, X, Y = subject.network, subject.parameters, subject.X, subject.Y
    orientation, head = questions["orientation"], questions["head"]
    if questions["address"] is None:
        example, learning_rate = questions["example"], questions["learning_rate"]
        return engine.sheet(
            network, parameters, X, Y, example=example, learning_rate=learning_rate, orientation=orientation, head=head
        )
    return engine.explain(
        network,
        parameters,
        X,
        Y,
        address=questions["address"],
        weights=subject.weights,
        convention=questions["convention"],
        orientation=orientation,
        head=head,
        terms=questions["terms"],
    )


def gains(subject: Subject, questions: Mapping[str, Any], limits: Limits) -> Answer:
    """What each operation makes of the gradient's norm. `questions`: end, head."""
    check_size(subject, limits)
    found = gains_of(
        subject.network,
        subject.parameters,
        subject.X,
        subject.Y,
        weights=subject.weights,
        end=questions["end"],
        head=questions["head"],
    )
    return {**about(subject), **ledger_body(found)}


def ledger_body(found: Ledger) -> Answer:
    """A gain ledger as it is answered."""
    return {
        "start": found.start,
        "end": found.end,
        "start_norm": _finite(found.start_norm),
        "end_norm": _finite(found.end_norm),
        "total": _finite(found.total),
        "residual": _finite(found.residual),
        "largest_loss": None if found.largest_loss is None else found.largest_loss.operation,
        "largest_gain": None if found.largest_gain is None else found.largest_gain.operation,
        "gains": [_gain_body(each) for each in found.gains],
    }


def paths(subject: Subject, questions: Mapping[str, Any], limits: Limits) -> Answer:
    """The largest parts of one weight's gradient. `questions`: address, group, most, layer, orientation, head."""
    check_size(subject, limits)
    asked = {name: questions[name] for name in ("address", "group", "most", "layer", "orientation", "head")}
    found = paths_of(subject.network, subject.parameters, subject.X, subject.Y, weights=subject.weights, **asked)
    return {**about(subject), **_paths_body(found)}


def about(subject: Subject) -> Answer:
    """Which run, which moment, which rows."""
    return {"units": subject.units, **subject.about, "warnings": list(subject.warnings)}


def _gain_body(gain: Gain) -> Answer:
    return {**vars(gain), "norm": _finite(gain.norm), "gain": _finite(gain.gain)}


def _paths_body(found: Paths) -> Answer:
    return {
        "address": found.address,
        "group": found.group,
        "gradient": _finite(found.gradient),
        "count": found.count,
        "sum": _finite(found.sum),
        "shown": _finite(found.shown),
        "residual": _finite(found.residual),
        "contributions": [
            {
                "value": _finite(part.value),
                "example": part.example,
                "units": list(part.units),
                "factors": [{"name": each.name, "value": _finite(each.value)} for each in part.factors],
            }
            for part in found.contributions
        ],
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
