"""AMSGrad: Adam that never forgets the largest gradients, so that its step sizes only shrink."""

from typing import Literal

import numpy as np

from engine.optimizers.adam import Adam, AdamOptions
from engine.optimizers.base import Block, Linear
from engine.parameters import Array
from engine.plans import Plan, call


class AmsgradSpec(AdamOptions):
    """Adam divided by the largest running square so far, not by the current one."""

    type: Literal["amsgrad"] = "amsgrad"


class Amsgrad(Adam):
    """AMSGrad: Adam's step divided by the root of the largest running square so far, so that no step size grows again.

    Where Adam forgets a rare large gradient and then steps too far, this one remembers it. Both bias corrections are
    Adam's, as in PyTorch; the paper's algorithm has none.
    """

    spec = AmsgradSpec
    formula = "m, v as Adam's, u ← max(u, v), θ ← θ − η·m̂/(√û + ε), m̂ = m/(1 − β₁ᵗ), û = u/(1 − β₂ᵗ)"
    source = "Reddi, Kale & Kumar 2018, On the convergence of Adam and beyond, algorithm 2"
    moments = ("M", "V", "U")

    def update(self, block: Block) -> Plan:
        V, U = block.moments["V"], block.moments["U"]
        yield from self.remember(block)
        yield call(np.maximum, U, V, out=U)
        yield from self.descend(block, U)

    def linear(self, before: dict[str, Array], after: dict[str, Array], scalars: dict[str, float]) -> Linear:
        return Linear(of_memory=scalars["rate"] / (np.sqrt(after["U"]) + scalars["floor"]))
