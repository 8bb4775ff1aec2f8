"""The body of every answer that is not what was asked for (RFC 9457)."""

from pydantic import BaseModel, ConfigDict


class FaultBody(BaseModel):
    """One place that is wrong."""

    pointer: str
    """A JSON pointer into the body, or the parameter."""
    code: str
    detail: str
    allowed: list[str] | None = None


class ProblemBody(BaseModel):
    """What went wrong: `code` is for programs and stable, `detail` for people."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FaultBody] = []
