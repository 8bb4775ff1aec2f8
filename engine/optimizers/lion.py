"""Lion: every parameter steps by the same length, only the sign is learned."""

from typing import Literal

import numpy as np

from engine.optimizers.base import Block, Optimizer
from engine.options import Choice, Field
from engine.plans import Plan, call


class LionSpec(Choice):
    """Steps of one length along the sign of the gradient's running mean, with decoupled weight decay."""

    type: Literal["lion"] = "lion"
    learning_rate: float = Field(0.0001, gt=0)
    beta1: float = Field(0.9, ge=0, lt=1, description="How much of the running mean the step's sign is taken of.")
    beta2: float = Field(0.99, ge=0, lt=1, description="How much of the running mean is kept.")
    weight_decay: float = Field(0.0, ge=0, description="λ: weights lose η·λ of themselves at each update; never b.")


class Lion(Optimizer):
    """Lion: each parameter moves by η along the sign of a mixture of its gradient and the gradient's running mean.

    The kept moment is the paper's divided by 1 − β₂, and the mixture is divided by 1 − β₁, which leaves its sign. The
    sign times η is the mixture made huge, then cut off at ±η: `np.sign` branches on every number, and takes ten times
    as long.
    """

    spec = LionSpec
    formula = "θ ← (1 − η·λ)·θ where θ is a weight, θ ← θ − η·sign(β₁m + (1 − β₁)g), then m ← β₂m + (1 − β₂)g"
    source = "Chen et al. 2023, Symbolic discovery of optimization algorithms, algorithm 2"
    moments = ("M",)
    scalars = ("rate", "back", "keep")
    is_linear = False

    def __init__(self, spec: LionSpec) -> None:
        super().__init__(spec)
        self.beta2, self.weight_decay = spec.beta2, spec.weight_decay
        self.weight = spec.beta1 * (1 - spec.beta2) / (1 - spec.beta1)
        """Of the kept moment in the mixture."""

    def numbers(self, count: int, rate: float) -> tuple[float, ...]:
        return rate, -rate, 1 - rate * self.weight_decay

    def update(self, block: Block) -> Plan:
        M, change, scalars = block.moments["M"], block.spare, block.scalars
        if block.decays and self.weight_decay:
            yield call(np.multiply, block.theta, scalars["keep"], block.theta)
        yield call(np.multiply, M, self.weight, change)
        yield call(np.add, change, block.g, change)
        yield call(np.multiply, change, float(np.finfo(change.dtype).max), change)
        yield call(np.clip, change, scalars["back"], scalars["rate"], out=change)
        yield call(np.subtract, block.theta, change, block.theta)
        yield call(np.multiply, M, self.beta2, M)
        yield call(np.add, M, block.g, M)
