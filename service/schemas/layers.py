"""The catalogue of what a spec can name."""

from typing import Any

from service.schemas.base import Body


class EntryBody(Body):
    """One thing a spec can name."""

    name: str
    summary: str
    formula: str
    source: str
    parameters: dict[str, Any]
    """JSON schema of each."""
    derivative: str | None = None


class CatalogueBody(Body):
    """Everything a spec can name."""

    layers: list[EntryBody]
    activations: list[EntryBody]
    losses: list[EntryBody]
    initializers: list[EntryBody]
    optimizers: list[EntryBody]
    schedules: list[EntryBody]
    clips: list[EntryBody]
    metrics: list[EntryBody]
