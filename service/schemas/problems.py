"""The body of every answer that is not what was asked for (RFC 9457)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ParameterBody(BaseModel):
    """A part of the request that is not its body."""

    where: Literal["query", "header", "path"] = Field(alias="in")
    name: str


class FaultBody(BaseModel):
    """One place that is wrong: `pointer` or `parameter` says which."""

    pointer: str | None = Field(None, description="A JSON pointer into the body; empty for the whole of it.")
    parameter: ParameterBody | None = None
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
