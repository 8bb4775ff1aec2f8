"""The targets of a nudge check: which numbers, or directions, are measured."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import EllipsisType
from typing import Literal

import numpy as np

from engine.errors import SpecError
from engine.inspection.addresses import Index, check_index, join, split, unknown_address
from engine.inspection.names import Orientation, shape_of
from engine.layers.residual import Part
from engine.network import Network
from engine.parameters import Array, Shape
from engine.randomness import generator

Method = Literal["auto", "central", "complex", "direction"]
Choice = Literal["all", "random", "topk"]

_CHOICE = re.compile(r"(all|random|topk)(?::([1-9][0-9]{0,5}))?", re.ASCII)


@dataclass(frozen=True)
class Target:
    """One number of a tensor, some of its numbers, or all of it along one direction."""

    name: str
    shape: Shape
    """In rows."""
    index: Index | None = None
    """In rows, of the one number."""
    choice: Choice | Literal["direction"] = "all"
    samples: int = 0
    """How many numbers, at most, where not all."""

    @property
    def count(self) -> int:
        """How many derivatives are measured."""
        if self.index is not None or self.choice == "direction":
            return 1
        return prod(self.shape) if self.choice == "all" else min(self.samples, prod(self.shape))


@dataclass(frozen=True)
class Place:
    """What one nudge moves: `array[index] += step · direction`."""

    address: str
    name: str
    index: Index | EllipsisType
    direction: Array | float
    """A tensor of Euclidean norm 1, or 1 for one number."""


def targets_of(
    network: Network,
    m: int,
    asked: Sequence[str] | str | None,
    *,
    samples: int = 4,
    orientation: Orientation = "rows",
    method: Method = "auto",
) -> list[Target]:
    """The targets that a request names.

    `all`, `random` and `topk`, the last two with a number behind a colon instead of `samples`, are of each parameter
    and of X; a list holds numbers (`W.1[0,3]`) and tensors (`Z.1`, or `Z` for every layer's), of which all numbers are
    meant. None is `random`. With the method `direction` each tensor is one target. Raises SpecError for what is not
    there and for numbers with the method `direction`.
    """
    shapes = nudgeable(network, m)
    is_whole = method == "direction"
    if asked is None or isinstance(asked, str):
        choice, count = _choice(asked or "random")
        names = (*network.shapes, "A.0")
        kind: Choice | Literal["direction"] = "direction" if is_whole else choice
        return [Target(name, shapes[name], None, kind, count or samples) for name in names]
    return [
        target
        for number, address in enumerate(asked)
        for target in _named(address, f"targets[{number}]", shapes, orientation, is_whole=is_whole)
    ]


def nudgeable(network: Network, m: int) -> dict[str, Shape]:
    """Every tensor with a derivative of its own, in rows.

    What a residual block parts has none: its derivative is split between the two ways.
    """
    boundaries = [
        name
        for place, name in enumerate(network.boundary_names)
        if place == 0 or not isinstance(network.layers[place - 1], Part)
    ]
    return {name: shape_of(network, name, m) for name in (*network.shapes, *boundaries)}


def _choice(text: str) -> tuple[Choice, int | None]:
    match = _CHOICE.fullmatch(text)
    if match is None:
        raise SpecError(
            "targets",
            f"expected a list of addresses, all, random, topk, random:8 or topk:8, got {text[:60]!r}",
            code="unknown_target",
            allowed=("all", "random", "topk"),
        )
    choice: Choice = match[1]  # type: ignore[assignment]
    return choice, int(match[2]) if match[2] else None


def _named(
    address: str, place: str, shapes: Mapping[str, Shape], orientation: Orientation, *, is_whole: bool
) -> list[Target]:
    name, index = split(address)
    if index is None:
        names = [each for each in shapes if each == name or re.sub(r"\.\d+$", "", each) == name]
        if not names:
            raise unknown_address(place, address, shapes)
        return [Target(each, shapes[each], choice="direction" if is_whole else "all") for each in names]
    if name not in shapes:
        raise unknown_address(place, address, shapes)
    if is_whole:
        raise SpecError(
            place,
            f"expected a whole tensor for the method direction, such as {name}, got {address}",
            code="no_direction",
        )
    return [Target(name, shapes[name], check_index(place, name, index, shapes[name], orientation))]


def places_of(
    network: Network,
    targets: Sequence[Target],
    derivatives: Mapping[str, Array],
    *,
    seed: int,
    orientation: Orientation,
) -> list[Place]:
    """What each target moves; `derivatives`, by the name of what they are by, say which are the largest."""
    names = [*network.shapes, *network.boundary_names]
    found = []
    for target in targets:
        random = generator(seed, "nudge", layer=names.index(target.name))
        if target.choice == "direction":
            V = random.standard_normal(target.shape)
            found.append(Place(target.name, target.name, ..., V / np.linalg.norm(V)))
            continue
        for index in _indices(target, derivatives[target.name], random):
            found.append(Place(join(target.name, index, orientation), target.name, index, 1.0))
    return found


def _indices(target: Target, derivative: Array, random: np.random.Generator) -> list[Index]:
    if target.index is not None:
        return [target.index]
    flat = np.arange(prod(target.shape))
    if target.choice == "random":
        flat = np.sort(random.choice(len(flat), size=target.count, replace=False))
    elif target.choice == "topk":
        flat = np.argsort(-np.abs(derivative), axis=None, kind="stable")[: target.count]
    return [tuple(int(part) for part in np.unravel_index(place, target.shape)) for place in flat]
