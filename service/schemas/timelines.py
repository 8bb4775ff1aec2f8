"""Timelines, searches and comparisons of runs' steps."""

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field

from service.schemas.base import At, Body, Request, example
from service.schemas.inspections import EstimateOnly, ReplayBody

if TYPE_CHECKING:
    from service.domain.timelines import Crossing, Difference, Timeline

REPLAY = {
    "status": "exact",
    "start": {"checkpoint": None, "moment": 0},
    "steps": 400,
    "proved_at": 400,
    "seconds": 0.3,
    "changed": {},
    "largest_difference": None,
}
QuantityText = Annotated[str, Field(min_length=1, max_length=120)]


class TimelineBody(Body):
    """Numbers over steps, as columns."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "columns": {"step": [1, 200, 400], "epoch": [1, 7, 13], "dW.1.norm": [0.31, 0.12, 0.04]},
            "non_finite": {},
            "replay": REPLAY,
        }
    )

    run: str
    columns: dict[str, list[int | float | None]]
    """`step` and `epoch`, counted from 1, then each number; null where it is not finite, or was not measured."""
    non_finite: dict[str, list[str]]
    """Of columns with such numbers, NaN, Infinity or -Infinity for each null in turn; "" for one not measured."""
    replay: ReplayBody

    @classmethod
    def of(cls, found: "Timeline") -> Self:
        """The timeline as JSON."""
        columns: dict[str, list[int | float | None]] = {
            "step": list(found.steps),
            "epoch": [found.course.epoch_of(step) for step in found.steps],
        }
        non_finite: dict[str, list[str]] = {}
        for name, values in found.columns.items():
            columns[name] = [_finite(value) for value in values]
            words = [_word(value) for value in values if _finite(value) is None]
            if any(words):
                non_finite[name] = words
        return cls(
            run=found.course.run_id,
            columns=columns,
            non_finite=non_finite,
            replay=ReplayBody.model_validate(found.replay),
        )


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _word(value: float | None) -> str:
    if value is None:
        return ""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


class BisectRequest(Request):
    """What is to hold, and where to look."""

    model_config = {
        "json_schema_extra": {"examples": [{"quantity": "A.1[:,7].zero_share", "comparison": ">=", "value": 1}]}
    }

    quantity: Annotated[QuantityText, Field(description="A number of a step, such as loss, dW.1.norm or W.2[0,3].")]
    comparison: Literal[">", ">=", "<", "<=", "==", "!="]
    value: Annotated[float, Field(strict=True)]
    first: Annotated[int | None, Field(ge=1, le=10**12, description="Null: the run's first step.")] = None
    last: Annotated[int | None, Field(ge=1, le=10**12, description="Null: the last one done.")] = None
    search: Annotated[
        Literal["auto", "scan", "halve"],
        Field(
            description="scan looks at every step; halve at a few, and is right where it holds from some step on; auto "
            "scans where that takes about two seconds at most."
        ),
    ] = "auto"
    estimate_only: EstimateOnly = False


class CrossingBody(Body):
    """The first step at which a predicate holds."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "step": 96,
            "value": 1.0,
            "before": 0.98,
            "search": "scan",
            "evaluations": 96,
            "replay": REPLAY,
        }
    )

    run: str
    step: int | None
    """Null where it holds at none that was looked at."""
    value: float | None
    """The number there; null where it is not finite."""
    before: float | None
    """At the step before; at the last one looked at where it never holds."""
    search: Literal["scan", "halve"]
    evaluations: int
    """How many steps were looked at."""
    replay: ReplayBody

    @classmethod
    def of(cls, run_id: str, found: "Crossing", replay: dict[str, Any]) -> Self:
        """The crossing as JSON."""
        values = {**vars(found), "value": _finite(found.value), "before": _finite(found.before)}
        return cls(run=run_id, replay=ReplayBody.model_validate(replay), **values)


class PlaceRequest(Request):
    """A moment of a run."""

    run: Annotated[str, Field(max_length=60)]
    at: At = "best"


class DiffRequest(Request):
    """Two moments, of one run or of two."""

    model_config = {
        "json_schema_extra": {
            "examples": [{"a": {"run": "run_0193d2f4c1a09f86d081884c7d65", "at": "epoch:1"}, "b": {"run": "run_01"}}]
        }
    }

    a: PlaceRequest
    b: PlaceRequest


class ParameterDifferenceBody(Body):
    """How far a parameter of b is from that of a."""

    name: str
    norm_a: float
    norm_b: float
    distance: float
    """‖b − a‖."""
    cosine: float | None
    """Of the angle between them; null where one is 0."""
    sign_flips: int
    """Elements that have the other sign."""
    is_equal: bool
    """Bit for bit."""


class DifferenceBody(Body):
    """What two moments have in common, and what not."""

    model_config = example(
        {
            "moments": [32, 400],
            "parameters": [
                {
                    "name": "W.1",
                    "norm_a": 2.1,
                    "norm_b": 2.4,
                    "distance": 0.6,
                    "cosine": 0.97,
                    "sign_flips": 3,
                    "is_equal": False,
                }
            ],
            "unlike": [],
            "spec": {"training.optimizer.learning_rate": [0.01, 0.1]},
            "began_alike": True,
            "first_difference": 1,
            "replays": [{"status": "stored"}, {"status": "stored"}],
        }
    )

    moments: list[int]
    """How many steps were done, in a and in b."""
    parameters: list[ParameterDifferenceBody]
    unlike: list[str]
    """Parameters that only one has, or that have other shapes."""
    spec: dict[str, list[Any]]
    """What the resolved specs say differently: a's value, and b's."""
    began_alike: bool
    """Whether both runs had the same parameters where they began; true of one run."""
    first_difference: int | None
    """The first moment at which their parameters differ; null where they never do, or can't be compared."""
    replays: list[ReplayBody]

    @classmethod
    def of(cls, found: "Difference") -> Self:
        """The difference as JSON."""
        return cls(
            moments=list(found.moments),
            parameters=[ParameterDifferenceBody.model_validate(each) for each in found.parameters],
            unlike=list(found.unlike),
            spec={path: list(values) for path, values in found.spec.items()},
            began_alike=found.began_alike,
            first_difference=found.first_difference,
            replays=[ReplayBody.model_validate(each) for each in found.replays],
        )
