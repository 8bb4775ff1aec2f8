"""What the doctor says."""

from typing import Annotated, Any, Literal

from pydantic import Field

from service.schemas.base import Body, Request, example
from service.schemas.inspections import ReplayBody

SeverityName = Literal["critical", "warning", "info"]
FINDING: dict[str, Any] = {
    "rule": "vanishing",
    "severity": "critical",
    "first_step": 1,
    "first_epoch": None,
    "layers": [1, 2],
    "units": [],
    "rows": [],
    "why": "dZ[l−1] = (dZ[l]·W[l]ᵀ) ⊙ g′(Z[l−1]): at each layer the gradient is made smaller",
    "evidence": [
        {
            "quantity": "dW.1.norm",
            "value": 3.1e-7,
            "threshold": 0.0001,
            "step": 1,
            "href": "/v1/runs/run_0193d2f4c1a09f86d081884c7d65/steps/1",
        }
    ],
    "remedy": {"patch": {"training": {"clip": None}}, "rationale": "relu with the start that suits it"},
    "tested": None,
    "consequences": [],
}


class Consultation(Request):
    """What the doctor is asked."""

    model_config = {"json_schema_extra": {"examples": [{"thresholds": {"dead_relu": {"share": 0.3}}, "test": True}]}}

    thresholds: Annotated[
        dict[str, dict[str, Annotated[float, Field(strict=False)]]],
        Field(max_length=100, description='In place of the defaults, by rule: {"dead_relu": {"share": 0.3}}.'),
    ] = {}
    test: Annotated[bool, Field(description="Train a little with each remedy and without it.")] = False


class EvidenceBody(Body):
    """A number a finding rests on."""

    quantity: str
    value: float | None
    threshold: float | None
    step: int | None
    href: str | None
    """The step, computed again."""


class RemedyBody(Body):
    """What would mend it."""

    patch: dict[str, Any] | None
    """Of the run's spec."""
    rationale: str


class OutcomeBody(Body):
    """Where a short training ended; null where it diverged."""

    train_loss: float | None
    validation_loss: float | None


class TrialBody(Body):
    """A short training with the remedy beside the same without it."""

    error: str | None = None
    """Why it could not be tried."""
    moment: int | None = None
    """How many steps were done where both began."""
    epochs: int | None = None
    without: OutcomeBody | None = None
    with_remedy: OutcomeBody | None = None
    helped: bool | None = None


class ConsequenceBody(Body):
    """Another rule's finding that follows from the first."""

    rule: str
    severity: SeverityName
    first_step: int | None
    first_epoch: int | None
    layers: list[int]
    why: str
    evidence: list[EvidenceBody]


class FindingBody(Body):
    """One thing that is wrong."""

    rule: str
    severity: SeverityName
    """The worst of its own and of what follows from it."""
    first_step: int | None
    """The first step at which it holds; null where it is of the spec, of the rows, or of whole epochs."""
    first_epoch: int | None
    layers: list[int]
    units: list[str]
    rows: list[int]
    """Of the dataset."""
    why: str
    """In the equations' terms."""
    evidence: list[EvidenceBody]
    remedy: RemedyBody | None
    tested: TrialBody | None
    consequences: list[ConsequenceBody]


class DiagnosisBody(Body):
    """What is wrong with a run, the worst first."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "moment": 400,
            "steps": [1, 2, 5, 20, 90, 400],
            "replay": {"status": "exact", "steps": 400, "proved_at": 400, "seconds": 0.6},
            "findings": [FINDING],
        }
    )

    run: str
    moment: int
    """How many steps were done."""
    steps: list[int]
    """Those that were looked at."""
    replay: ReplayBody
    findings: list[FindingBody]


class RuleBody(Body):
    """A rule of the doctor's."""

    id: str
    severity: SeverityName
    """The worst it finds."""
    stage: Literal["before", "start", "training", "end"]
    condition: str
    source: str
    thresholds: dict[str, float]
    explains: list[str]
    """Rules whose findings it takes under its own."""


class RulesBody(Body):
    """Every rule, causes before what they cause."""

    model_config = example(
        {
            "rules": [
                {
                    "id": "dead_relu",
                    "severity": "critical",
                    "stage": "training",
                    "condition": "more than share of a hidden layer's units have Z ≤ 0 on all rows looked at",
                    "source": "SageMaker Debugger (DeadRelu)",
                    "thresholds": {"share": 0.5, "critical": 0.9},
                    "explains": ["loss_flat"],
                }
            ]
        }
    )

    rules: list[RuleBody]
