"""Explanations, gain ledgers and paths."""

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.inspection.explain import DIGITS, TERMS
from engine.inspection.paths import MOST
from service.schemas.base import Body, Request, example
from service.schemas.inspections import (
    NETWORK_EXAMPLE,
    Convention,
    HeadName,
    Orientation,
    ReplayBody,
    RunBatch,
    Stateless,
)

Address = Annotated[str, Field(min_length=1, max_length=60)]
RUN_EXAMPLE: dict[str, Any] = {"at": "best", "dataset_rows": {"part": "train", "limit": 8}}


class Explain(Request):
    """Which number is explained, and how it is written."""

    address: Annotated[
        Address | None,
        Field(
            description="Such as dW.2[0,3], Z.1[5,1], loss[0] or loss; without one, all of one example's way through a "
            "small net: forward, loss, backward and an update."
        ),
    ] = None
    example: Annotated[int, Field(ge=0, le=10**6, strict=True, description="Without an address: of the batch.")] = 0
    learning_rate: Annotated[float, Field(gt=0, description="Without an address: of the update that is shown.")] = 0.1
    convention: Convention = "per_example"
    orientation: Orientation = "rows"
    head: HeadName = "auto"
    terms: Annotated[int, Field(ge=1, le=1000, strict=True, description="Listed of a sum; the rest is summed.")] = TERMS
    digits: Annotated[int, Field(ge=1, le=17, strict=True, description="Significant ones in texts.")] = DIGITS


class RunExplain(RunBatch, Explain):
    """A number of a run's pass over a batch."""

    model_config = {"json_schema_extra": {"examples": [{**RUN_EXAMPLE, "address": "dW.1[0,3]"}]}}


class StatelessExplain(Stateless, Explain):
    """A number of a pass that is whole in the request."""

    model_config = {"json_schema_extra": {"examples": [{**NETWORK_EXAMPLE, "address": "dW.1[0,0]"}]}}


class Gains(Request):
    """How far a gradient is followed."""

    end: Annotated[
        Literal["first", "input"], Field(description="At the first layer's output, dZ[1], or at the input, dA[0].")
    ] = "first"
    head: HeadName = "auto"


class RunGains(RunBatch, Gains):
    """The gain ledger of a run's batch."""

    model_config = {"json_schema_extra": {"examples": [{**RUN_EXAMPLE}]}}


class StatelessGains(Stateless, Gains):
    """The gain ledger of a pass that is whole in the request."""

    model_config = {"json_schema_extra": {"examples": [NETWORK_EXAMPLE]}}


class PathsQuestion(Request):
    """Which gradient is taken apart, and into what."""

    address: Annotated[Address, Field(description="A gradient of a dense layer: dW.1[0,3] or db.2[1].")]
    group: Annotated[
        Literal["path", "example", "unit", "output"],
        Field(description="Single ways from unit to unit; or all of an example, through a unit, or to an output."),
    ] = "path"
    most: Annotated[int, Field(ge=1, le=1000, strict=True, description="Parts listed, the largest first.")] = MOST
    layer: Annotated[
        int | None, Field(ge=1, le=1000, strict=True, description="With group=unit: of which layer; null: the next.")
    ] = None
    orientation: Orientation = "rows"
    head: HeadName = "auto"


class RunPaths(RunBatch, PathsQuestion):
    """The paths of a gradient of a run's batch."""

    model_config = {"json_schema_extra": {"examples": [{**RUN_EXAMPLE, "address": "dW.1[0,3]"}]}}


class StatelessPaths(Stateless, PathsQuestion):
    """The paths of a gradient of a pass that is whole in the request."""

    model_config = {"json_schema_extra": {"examples": [{**NETWORK_EXAMPLE, "address": "dW.1[0,0]"}]}}


class AboutBody(Body):
    """Which pass an answer is about; what belongs to a run is null without one."""

    units: str
    run: str | None = None
    checkpoint: str | None = None
    epoch: int | None = None
    step: int | None = None
    replay: ReplayBody | None = None
    row_numbers: list[int] | None = None
    warnings: list[str]


class LineBody(Body):
    """One line of an explanation."""

    kind: str
    """equation, shapes, values, terms or result."""
    text: str
    note: str
    left: dict[str, Any] | None
    right: dict[str, Any]
    """A tree: operators, symbols, and numbers with their addresses."""


class SectionBody(Body):
    """Some lines under a heading."""

    title: str
    lines: list[LineBody]


class ExplanationBody(AboutBody):
    """A number, line by line."""

    model_config = example(
        {
            "units": "the loss is in nats",
            "warnings": [],
            "address": "dW.1[0,3]",
            "orientation": "rows",
            "convention": "per_example",
            "value": 0.0125,
            "computed": 0.0125,
            "ulps": 0.0,
            "sections": [{"title": "dW.1[0,3]", "lines": []}],
        }
    )

    address: str
    orientation: Orientation
    convention: Convention
    value: float | str | None
    """What the last line comes to; null for a sheet."""
    computed: float | str | None
    """What the engine's own pass came to."""
    ulps: float | None
    """How many units in the last place lie between them."""
    sections: list[SectionBody]


class GainBody(Body):
    """What one operation makes of the gradient's norm."""

    operation: str
    layer: str
    """Its place in the spec's layers."""
    before: str
    after: str
    norm: float | None
    """‖after‖ over all examples."""
    gain: float | None
    """log₁₀(‖after‖/‖before‖); null where either is 0 or not finite."""


class GainsBody(AboutBody):
    """The gain ledger: from the loss on, what each operation makes of the gradient's norm."""

    model_config = example(
        {
            "units": "the loss is in nats",
            "warnings": [],
            "start": "dZ.2",
            "end": "dZ.1",
            "start_norm": 1.2,
            "end_norm": 0.12,
            "total": -1.0,
            "residual": 0.0,
            "largest_loss": "g′ of layer 1",
            "largest_gain": "Wᵀ of layer 2",
            "gains": [
                {
                    "operation": "Wᵀ of layer 2",
                    "layer": "1",
                    "before": "dZ.2",
                    "after": "dA.1",
                    "norm": 1.5,
                    "gain": 0.1,
                }
            ],
        }
    )

    start: str
    end: str
    start_norm: float | None
    end_norm: float | None
    total: float | None
    """log₁₀(‖end‖/‖start‖): the sum of all gains."""
    residual: float | None
    """What that sum misses: rounding."""
    largest_loss: str | None
    """The operation that loses most."""
    largest_gain: str | None
    """The operation that gains most."""
    gains: list[GainBody]


class FactorBody(Body):
    """One factor of a path."""

    name: str
    value: float | None


class ContributionBody(Body):
    """What one part adds to a gradient."""

    value: float | None
    example: int | None
    """Of the batch, counted from 0; null where all are together."""
    units: list[str]
    factors: list[FactorBody]
    """Of a path: their product, divided by m, is the value."""


class PathsBody(AboutBody):
    """A weight's gradient in parts."""

    model_config = example(
        {
            "units": "the loss is in nats",
            "warnings": [],
            "address": "dW.1[0,3]",
            "group": "unit",
            "gradient": 0.0125,
            "count": 3,
            "sum": 0.0125,
            "shown": 0.0125,
            "residual": 0.0,
            "contributions": [{"value": 0.01, "example": None, "units": ["Z.2[:,1]"], "factors": []}],
        }
    )

    address: str
    group: Literal["path", "example", "unit", "output"]
    gradient: float | None
    """As backpropagation gave it."""
    count: int
    """How many parts there are."""
    sum: float | None
    """Of all of them."""
    shown: float | None
    """Of those listed."""
    residual: float | None
    """Of the others."""
    contributions: list[ContributionBody]
