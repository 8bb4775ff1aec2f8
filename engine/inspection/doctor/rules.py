"""Rules: what the doctor asks of a chart, by which thresholds, and what an answer would explain."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from engine.inspection.doctor.chart import Chart
from engine.inspection.doctor.findings import Finding, Severity

Stage = Literal["before", "start", "training", "end"]
Thresholds = Mapping[str, float]


@dataclass(frozen=True)
class Rule:
    """A rule: when it finds something, and what it would explain."""

    id: str
    severity: Severity
    """The worst it finds."""
    stage: Stage
    condition: str
    source: str
    judge: Callable[[Chart, Thresholds], Iterator[Finding]]
    thresholds: Thresholds
    explains: frozenset[str] = frozenset()
    """Rules whose findings are its consequences where it finds something."""
