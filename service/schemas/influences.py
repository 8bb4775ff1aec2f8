"""Influences of training rows on losses."""

from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.schemas.base import At, Body, Request, example
from service.schemas.inspections import ReplayBody, RowNumber

Finite = Annotated[float | None, BeforeValidator(lambda value: value if value is None or isfinite(value) else None)]
"""Null where it is not finite."""


class InfluenceOf(Request):
    """The rows whose losses are asked about: one of three."""

    rows: Annotated[
        list[dict[str, Any] | list[Any]] | None, Field(min_length=1, description="With their target columns.")
    ] = None
    numbers: Annotated[
        list[RowNumber] | None, Field(min_length=1, max_length=1_000_000, description="Rows of the dataset.")
    ] = None
    part: Annotated[Literal["train", "validation", "test"] | None, Field(description="Of the run's split.")] = None
    limit: Annotated[int | None, Field(ge=1, description="The first so many of the part; null: all of it.")] = None


class InfluenceQuestion(Request):
    """Whose losses are asked about, and how."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {"of": {"numbers": [17]}, "method": "ledger", "since": "first", "until": "epoch:2", "top": 5},
                {"of": {"part": "test", "limit": 8}, "each": True, "method": "tracin", "moments": 4},
            ]
        }
    }

    of: InfluenceOf
    each: Annotated[bool, Field(description="Ask about every row's own loss, not about the mean of them.")] = False
    method: Literal["ledger", "tracin"] = "ledger"
    since: Annotated[At, Field(description="The moment before the first step.")] = "first"
    until: Annotated[At, Field(description="The moment behind the last step.")] = "last"
    moments: Annotated[
        Annotated[int, Field(ge=1, le=1000, strict=True)]
        | Annotated[list[At], Field(min_length=1, max_length=1000)]
        | None,
        Field(description="For tracin: so many between since and until, or these. 8 unless given."),
    ] = None
    over: Annotated[
        list[RowNumber] | None,
        Field(min_length=1, max_length=1_000_000, description="Tell of these training rows only; null: of all."),
    ] = None
    top: Annotated[int, Field(ge=1, le=1000, description="At most so many rows of each kind.")] = 10


class InfluentialRow(Body):
    """A training row, and what it did."""

    row: int
    """Its number in the dataset."""
    value: Finite
    """How far it lowered the loss; below 0 where it raised it."""
    layers: dict[str, Finite]
    """The same through each layer that learns."""
    visits: int | None = None
    """In how many batches of the stretch it was; null for tracin."""


class QueryBody(Body):
    """What became of a loss, and by which rows."""

    row: int | None
    """The dataset's row whose loss it is; null for a mean, and for a row that was sent."""
    rows: int
    """Of how many rows it is the mean loss."""
    before: Finite = None
    after: Finite = None
    """The loss at both ends of the stretch; null for tracin."""
    fall: Finite = None
    """Before less after: the sum of `total`, the `terms` and the `residual`."""
    total: Finite
    """What all training rows did together."""
    over: Finite = None
    """What the rows named in `over` did together."""
    terms: dict[str, Finite] | None = None
    """What no row did: `penalty`, `decay`, `max_norm`, `earlier` steps' momentum, the training's `rounding`."""
    residual: Finite = None
    """What the account misses of the fall."""
    layers: dict[str, Finite]
    """The whole fall through each layer's change; for tracin what all rows did through it."""
    proponents: list[InfluentialRow]
    """The rows that lowered the loss most."""
    opponents: list[InfluentialRow]
    """The rows that raised it most."""


class InfluenceBody(Body):
    """The training rows that did most to some losses."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "method": "ledger",
            "since": 0,
            "until": 64,
            "moments": None,
            "training_rows": 120,
            "units": "the loss is in nats",
            "replay": {
                "status": "exact",
                "start": {"checkpoint": None, "moment": 0},
                "steps": 64,
                "proved_at": 64,
                "seconds": 0.4,
            },
            "warnings": [],
            "queries": [
                {
                    "row": 17,
                    "rows": 1,
                    "before": 1.21,
                    "after": 0.52,
                    "fall": 0.69,
                    "total": 0.7,
                    "over": None,
                    "terms": {"penalty": -0.01, "decay": 0.0, "max_norm": 0.0, "earlier": 0.0, "rounding": 2e-8},
                    "residual": 3e-15,
                    "layers": {"1": 0.31, "2": 0.38},
                    "proponents": [{"row": 17, "value": 0.12, "layers": {"1": 0.05, "2": 0.07}, "visits": 2}],
                    "opponents": [{"row": 88, "value": -0.04, "layers": {"1": -0.03, "2": -0.01}, "visits": 2}],
                }
            ],
        }
    )

    run: str
    method: Literal["ledger", "tracin"]
    since: int
    until: int
    """How many steps were done before and after the stretch."""
    moments: list[int] | None
    """Those tracin looked at; null for the ledger, which follows every step."""
    training_rows: int
    units: str
    replay: ReplayBody
    warnings: list[str]
    queries: list[QueryBody]
