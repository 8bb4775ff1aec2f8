"""What all bodies have in common."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

ItemT = TypeVar("ItemT")

NO_NUL = r"^[^\x00]*$"
"""Text that any database can hold."""


At = Annotated[
    Annotated[int, Field(ge=0, le=10**12, strict=True)] | Annotated[str, Field(max_length=80)],
    Field(description="best, last, first, epoch:3, checkpoint:ckpt_…, or after how many steps: 0 before the first."),
]
"""A moment of a run."""


def example(content: dict[str, Any]) -> ConfigDict:
    """The `model_config` of a body that shows this in the documentation."""
    return ConfigDict(json_schema_extra={"examples": [content]})


class Body(BaseModel):
    """An answer: read from the attributes of what the domain gives."""

    model_config = ConfigDict(from_attributes=True)


class Request(BaseModel):
    """A request: unknown fields are refused, and numbers are finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class PageBody(BaseModel, Generic[ItemT]):
    """Some items, and the cursor that goes on behind them: null at the end."""

    items: list[ItemT]
    next_cursor: str | None
