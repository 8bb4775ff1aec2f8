"""The catalogue of what a spec can name."""

from typing import Any

from service.schemas.base import Body, example

EXAMPLE: dict[str, Any] = {
    "name": "tanh",
    "summary": "The hyperbolic tangent.",
    "formula": "A = tanh(Z)",
    "source": "LeCun et al. 1998",
    "parameters": {},
    "derivative": "1 − A²",
    "second_derivative": "−2A(1 − A²)",
}


class EntryBody(Body):
    """One thing a spec can name."""

    name: str
    summary: str
    formula: str
    source: str
    parameters: dict[str, Any]
    """JSON schema of each."""
    derivative: str | None = None
    second_derivative: str | None = None


class CatalogueBody(Body):
    """Everything a spec can name."""

    model_config = example(
        {
            "layers": [],
            "activations": [EXAMPLE],
            "losses": [],
            "initializers": [],
            "optimizers": [],
            "schedules": [],
            "clips": [],
            "metrics": [],
        }
    )

    layers: list[EntryBody]
    activations: list[EntryBody]
    losses: list[EntryBody]
    initializers: list[EntryBody]
    optimizers: list[EntryBody]
    schedules: list[EntryBody]
    clips: list[EntryBody]
    metrics: list[EntryBody]
