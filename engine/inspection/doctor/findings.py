"""What the doctor says: findings, the evidence they rest on, and what to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.inspection.doctor.looks import Look

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True)
class Evidence:
    """A number a finding rests on."""

    quantity: str
    """In words, or as a timeline names it: update_ratio.W.1."""
    value: float
    threshold: float | None = None
    step: int | None = None
    """At which it was seen; None where it is of no single step."""


@dataclass(frozen=True)
class Remedy:
    """What to change."""

    patch: Mapping[str, Any] | None
    """Of the run's spec, to be merged into it (RFC 7396); None where there is nothing to set."""
    rationale: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where, since when, and why."""

    rule: str
    severity: Severity
    why: str
    """In the equations' terms."""
    step: int | None = None
    """The first at which it was seen; None where it holds before any step."""
    epoch: int | None = None
    """Likewise, of what shows at epochs' ends."""
    layers: tuple[int, ...] = ()
    units: tuple[str, ...] = ()
    """Such as A.1[:,7]."""
    rows: tuple[int, ...] = ()
    """Of the training rows."""
    evidence: tuple[Evidence, ...] = ()
    remedy: Remedy | None = None
    holds: Callable[[Look], bool] | None = None
    """Whether it is seen in a look at a step, for finding the first; None where that is known."""
    consequences: "tuple[Finding, ...]" = ()
    """What follows from it."""
