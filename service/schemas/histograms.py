"""How tensors are spread over a run's steps."""

from typing import TYPE_CHECKING, Self

from service.schemas.base import Body, example
from service.schemas.inspections import ReplayBody
from service.schemas.timelines import REPLAY

if TYPE_CHECKING:
    from service.domain.histograms import Histograms, Spread


class SpreadBody(Body):
    """A tensor over steps, in the same bins at each."""

    model_config = example({"edges": [-0.2, 0.0, 0.2], "counts": [[31, 30], [40, 21]], "outside": [3, 3]})

    edges: list[float]
    """One more than there are bins, ascending, from the 1 % to the 99 % quantile of the numbers of all steps."""
    counts: list[list[int]]
    """For each step how many numbers lie in each bin."""
    outside: list[int]
    """For each step how many lie in none, those that are not finite included."""

    @classmethod
    def of(cls, found: "Spread") -> Self:
        """The spread as JSON."""
        return cls(edges=found.edges.tolist(), counts=found.counts.tolist(), outside=found.outside.tolist())


class HistogramsBody(Body):
    """How some tensors are spread, by name."""

    model_config = example(
        {
            "run": "run_0193d2f4c1a09f86d081884c7d65",
            "steps": [1, 400],
            "epochs": [1, 13],
            "histograms": {"dW.1": {"edges": [-0.2, 0.0, 0.2], "counts": [[31, 30], [40, 21]], "outside": [3, 3]}},
            "replay": REPLAY,
        }
    )

    run: str
    steps: list[int]
    epochs: list[int]
    histograms: dict[str, SpreadBody]
    replay: ReplayBody

    @classmethod
    def of(cls, found: "Histograms") -> Self:
        """The histograms as JSON."""
        return cls(
            run=found.course.run_id,
            steps=list(found.steps),
            epochs=[found.course.epoch_of(step) for step in found.steps],
            histograms={name: SpreadBody.of(spread) for name, spread in found.spreads.items()},
            replay=ReplayBody.model_validate(found.replay),
        )
