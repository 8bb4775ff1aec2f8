"""What every optimizer is: how a gradient becomes a change of the parameters, written down for one block of them.

A block fits the processor's cache, so that the several passes of one update read it from memory once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.options import Choice
from engine.parameters import Array
from engine.plans import Call, Plan

BLOCK = 32_768
"""Numbers in a block: 128 KiB of float32."""


@dataclass(frozen=True)
class Block:
    """A stretch of the flat vectors, and what one update of it needs."""

    theta: Array
    """The parameters."""
    g: Array
    """Their gradient."""
    moments: dict[str, Array]
    """The optimizer's memory, by name."""
    scalars: dict[str, Array]
    """The numbers that change from update to update, by name, each an array of no axes."""
    spare: Array
    """Scratch."""
    more: Array
    """Scratch."""
    decays: bool = False
    """Whether these are weights, which a decoupled decay makes smaller."""


@dataclass(frozen=True)
class Stretch:
    """Parameters that are updated alike: where they lie, their share of the learning rate, whether they decay."""

    place: slice
    factor: float = 1.0
    decays: bool = False


class Optimizer:
    """One optimizer. Its memory between updates is in `moments`, flat vectors as long as the parameters."""

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    source: ClassVar[str]
    moments: ClassVar[tuple[str, ...]]
    scalars: ClassVar[tuple[str, ...]] = ("rate",)
    """The numbers that change from update to update."""

    def __init__(self, spec: Any) -> None:
        self.learning_rate: float = spec.learning_rate

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        """What `scalars` are in the update that is the count-th (from 1) and takes this learning rate."""
        return (rate,)

    def update(self, block: Block) -> Plan:
        """Change the block's parameters and moments in place."""
        raise NotImplementedError


class Updater:
    """An optimizer bound to flat vectors: called, it updates them in place."""

    def __init__(
        self,
        optimizer: Optimizer,
        parameters: Array,
        gradient: Array,
        moments: dict[str, Array],
        stretches: Sequence[Stretch],
    ) -> None:
        self.optimizer = optimizer
        dtype, size = parameters.dtype, min(BLOCK, parameters.size)
        spare, more = np.empty(size, dtype), np.empty(size, dtype)
        self.numbers: dict[float, Array] = {}
        self.plan: list[Call] = []
        for stretch in stretches:
            numbers = self.numbers.setdefault(stretch.factor, np.empty(len(optimizer.scalars), dtype))
            scalars = {name: numbers[place : place + 1].reshape(()) for place, name in enumerate(optimizer.scalars)}
            for start in range(stretch.place.start, stretch.place.stop, BLOCK):
                place = slice(start, min(start + BLOCK, stretch.place.stop))
                length = place.stop - place.start
                block = Block(
                    theta=parameters[place],
                    g=gradient[place],
                    moments={name: moment[place] for name, moment in moments.items()},
                    scalars=scalars,
                    spare=spare[:length],
                    more=more[:length],
                    decays=stretch.decays,
                )
                self.plan += optimizer.update(block)

    def __call__(self, count: int, rate: float) -> None:
        """Apply the update that is the count-th (from 1), at this learning rate."""
        for factor, numbers in self.numbers.items():
            numbers[:] = self.optimizer.numbers(count, rate * factor)
        for each in self.plan:
            each()
