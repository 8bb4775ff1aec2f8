"""What every optimizer is: how a gradient becomes a change of the parameters, written down for one block of them.

A block fits the processor's cache, so that the several passes of one update read it from memory once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from engine.options import Choice
from engine.parameters import Array
from engine.plans import Call, Plan

BLOCK = 32_768
"""Numbers in a block: 128 KiB of float32."""


Objective = Callable[[Array], tuple[float, Array]]
"""What is minimized: its value and gradient at a vector of parameters. The next call overwrites the gradient."""


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


Factor = Array | float
"""What each element, or all of them, are multiplied with."""


@dataclass(frozen=True)
class Linear:
    """An update as a linear map of its gradient, element by element, m being the optimizer's `memory`:

    m ← kept·m + entered·g, θ ← θ − (of_memory·m + of_gradient·g).

    What is not linear in g, such as the root that Adam divides by, is held at the value it had.
    """

    of_gradient: Factor = 0.0
    of_memory: Factor = 0.0
    entered: Factor = 1.0


@dataclass(frozen=True)
class Stretch:
    """Parameters that are updated alike: where they lie, their share of the learning rate, whether they decay."""

    place: slice
    factor: float = 1.0
    decays: bool = False


class Optimizer:
    """One optimizer. Its memory between updates is in moments, flat vectors as long as the parameters."""

    spec: ClassVar[type[Choice]]
    formula: ClassVar[str]
    source: ClassVar[str]
    moments: tuple[str, ...] = ()
    """The names of its memory; which there are can depend on the options."""
    scalars: ClassVar[tuple[str, ...]] = ("rate",)
    """The numbers that change from update to update."""

    full_batch: ClassVar[bool] = False
    """Whether an epoch is one `step` of all training rows together, not an `update` for each batch."""
    is_linear: ClassVar[bool] = True
    """Whether an update is a linear map of its gradient once its divisors are held."""
    memory: str | None = None
    """The moment through which a gradient lives on in later updates, as momentum,"""
    kept: float = 0.0
    """and how much of it an update keeps."""
    weight_decay: float = 0.0
    """How fast the blocks that decay shrink on their own, beside any penalty."""

    def __init__(self, spec: Any) -> None:
        self.learning_rate: float = spec.learning_rate

    def start(self, parameters: Array) -> dict[str, Array]:
        """The moments before the first update of these parameters."""
        return {name: np.zeros_like(parameters) for name in self.moments}

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        """What `scalars` are in the update that is the count-th (from 1) and takes this learning rate."""
        return (rate,)

    def update(self, block: Block) -> Plan:
        """Change the block's parameters and moments in place."""
        raise NotImplementedError

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        """An update that was made with these scalars, between these moments."""
        raise NotImplementedError

    def step(self, theta: Array, moments: dict[str, Array], objective: Objective, rate: float) -> None:
        """For a full batch: change parameters and moments in place, asking for the objective wherever it helps."""
        raise NotImplementedError


class Updater:
    """An optimizer bound to flat vectors: its `plan` updates them in place, by what `numbers` then hold."""

    def __init__(
        self,
        optimizer: Optimizer,
        parameters: Array,
        gradient: Array,
        moments: dict[str, Array],
        stretches: Sequence[Stretch],
        *,
        extra: int = 0,
    ) -> None:
        self.optimizer = optimizer
        dtype, size = parameters.dtype, min(BLOCK, parameters.size)
        spare, more = np.empty(size, dtype), np.empty(size, dtype)
        self.factors = list(dict.fromkeys(stretch.factor for stretch in stretches))
        width = len(optimizer.scalars)
        self.numbers = np.zeros(len(self.factors) * width + extra, dtype)
        """The optimizer's scalars for one factor after the other, then places for `extra` numbers of the caller's."""
        self.plan: list[Call] = []
        for stretch in stretches:
            first = self.factors.index(stretch.factor) * width
            scalars = {name: self.numbers[first + place, ...] for place, name in enumerate(optimizer.scalars)}
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

    def numbers_of(self, count: int, rate: float) -> list[float]:
        """The optimizer's scalars in the update that is the count-th (from 1), at this learning rate."""
        return [number for factor in self.factors for number in self.optimizer.numbers(count, rate * factor)]
