"""The doctor: what is wrong with a training, where, since when, why, and what would mend it.

Every rule looks at a chart: the spec, the rows, the epochs' reports and looks at some of the steps. What follows from
another finding is told under it. The thresholds are those of published rule systems where these do not accuse healthy
runs, else ones that part the two on a zoo of both (`python -m tests.benchmarks doctor`).
"""

from engine.inspection.doctor.chart import Chart
from engine.inspection.doctor.findings import Evidence, Finding, Remedy, Severity
from engine.inspection.doctor.looks import Course, Look
from engine.inspection.doctor.rounds import RANK, RULES, Overrides, check_overrides, examine, judge
from engine.inspection.doctor.rules import Rule, Stage
from engine.inspection.doctor.trials import Outcome, Start, Trial, outcome

__all__ = [
    "RANK",
    "RULES",
    "Chart",
    "Course",
    "Evidence",
    "Finding",
    "Look",
    "Outcome",
    "Overrides",
    "Remedy",
    "Rule",
    "Severity",
    "Stage",
    "Start",
    "Trial",
    "check_overrides",
    "examine",
    "judge",
    "outcome",
]
