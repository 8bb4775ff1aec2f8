"""Rankings."""

from typing import Literal

from service.schemas.base import Body, example
from service.schemas.influences import Finite
from service.schemas.inspections import ReplayBody


class OpponentBody(Body):
    """A row whose gradient points against another's."""

    row: int
    cosine: Finite


class RankedRow(Body):
    """A row, and what its own gradient says of it; what is not asked for is null."""

    row: int
    """Its number in the dataset."""
    loss: Finite
    """Its own, not weighted, at the last of the moments."""
    gradient_norm: Finite
    """Of the gradient of that."""
    self_influence: Finite
    """Σ of learning rate × weight × squared gradient norm over the moments: how far it lowers its own loss."""
    label: str | None = None
    own_cosine: Finite = None
    """The mean cosine of its gradient with those of the other rows of its class."""
    opposing: str | None = None
    """The class whose rows pull hardest against it,"""
    opposing_cosine: Finite = None
    """and its mean cosine with theirs."""
    is_opposed: bool | None = None
    """Whether they pull against it harder than its own class pulls with it: the two means sum to less than 0."""
    opponents: list[OpponentBody] | None = None
    """The rows whose gradients are most against its own, at the last of the moments."""


class RankingBody(Body):
    """Rows of a part in order."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "part": "train",
            "by": "suspicion",
            "moments": [50, 100],
            "rows": 120,
            "units": "the loss is in nats",
            "replay": {
                "status": "exact",
                "start": {"checkpoint": None, "moment": 0},
                "steps": 100,
                "proved_at": 100,
                "seconds": 0.2,
            },
            "opposed": 1,
            "ranked": [
                {
                    "row": 17,
                    "loss": 2.31,
                    "gradient_norm": 4.2,
                    "self_influence": 0.31,
                    "label": "virginica",
                    "own_cosine": 0.02,
                    "opposing": "setosa",
                    "opposing_cosine": -0.71,
                    "is_opposed": True,
                    "opponents": [{"row": 4, "cosine": -0.97}],
                }
            ],
        }
    )

    run: str
    part: Literal["train", "validation", "test"]
    by: Literal["loss", "gradient_norm", "self_influence", "suspicion"]
    moments: list[int]
    """How many steps were done at each moment looked at."""
    rows: int
    """Of the part."""
    units: str
    replay: ReplayBody
    opposed: int | None
    """How many of all rows are opposed; null where that is not looked at."""
    ranked: list[RankedRow]
