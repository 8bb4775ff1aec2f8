"""Options: the parts a spec is made of. Each page of a layer, loss or optimizer says its own here."""

from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["AutoSpec", "Choice", "Field", "Spec", "choice", "model_validator"]


class Spec(BaseModel):
    """A part of a spec: immutable, finite numbers only, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Choice(Spec):
    """One entry of a table with its options; `type` is its name there."""

    type: str

    def resolved(self) -> Self:
        """The same with each `auto` of its own, and of what it holds, filled in."""
        return self


class AutoSpec(Choice):
    """What suits the rest of the spec and the data."""

    type: Literal["auto"] = "auto"


class Chosen(Protocol):
    """What a table holds: a class that says which spec describes it."""

    @property
    def spec(self) -> type[Choice]: ...


def choice(table: Mapping[str, Chosen], *others: type[Choice]) -> Any:
    """The type of a field that holds the spec of one of a table's entries, or one of the others.

    A bare name stands for the object with that type: "relu" for {"type": "relu"}.
    """
    specs: Any = reduce(or_, (*others, *(kind.spec for kind in table.values())))
    return Annotated[
        specs, Field(discriminator="type"), BeforeValidator(_named, json_schema_input_type=str | dict[str, Any])
    ]


def _named(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value
