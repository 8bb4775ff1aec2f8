"""AdamW: Adam whose weights decay on their own, not through the gradient."""

from typing import Literal

import numpy as np

from engine.optimizers.adam import Adam, AdamOptions
from engine.optimizers.base import Block
from engine.options import Field
from engine.plans import Plan, call


class AdamWSpec(AdamOptions):
    """Adam with decoupled weight decay, which takes the place of the default `l2`."""

    type: Literal["adamw"] = "adamw"
    weight_decay: float = Field(0.01, ge=0, description="λ: weights lose η·λ of themselves at each update; never b.")


class AdamW(Adam):
    """AdamW: Adam, before whose step every weight matrix (never b) shrinks by the share η·λ.

    A penalty's λ·W would pass through Adam's moments and be divided by √v̂ like any gradient; here it does not.
    """

    spec = AdamWSpec
    formula = "θ ← (1 − η·λ)·θ where θ is a weight, then θ ← θ − η·m̂/(√v̂ + ε) with Adam's m̂ and v̂"
    source = "Loshchilov & Hutter 2019, Decoupled weight decay regularization, algorithm 2; λ scaled by η as in PyTorch"
    scalars = ("rate", "floor", "keep")

    def __init__(self, spec: AdamWSpec) -> None:
        super().__init__(spec)
        self.weight_decay = spec.weight_decay

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        return *super().numbers(count, rate), 1 - rate * self.weight_decay

    def update(self, block: Block) -> Plan:
        if block.decays and self.weight_decay:
            yield call(np.multiply, block.theta, block.scalars["keep"], block.theta)
        yield from super().update(block)
