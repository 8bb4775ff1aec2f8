"""Outputs: what a network says of many rows, column by column."""

from dataclasses import dataclass

from engine.parameters import Array


@dataclass(frozen=True)
class Output:
    """A column of answers: numbers (m,) in float64, or the places (m,) of `labels`."""

    name: str
    values: Array
    labels: tuple[str, ...] = ()
