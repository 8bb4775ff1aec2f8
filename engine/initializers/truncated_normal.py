"""Truncated normal: normal weights, none far out."""

from typing import Literal

import numpy as np

from engine.initializers.base import Initializer
from engine.options import Choice, Field
from engine.parameters import Array, Shape


class TruncatedNormalSpec(Choice):
    type: Literal["truncated_normal"] = "truncated_normal"
    std: float = Field(
        0.02, gt=0, le=1000, description="The standard deviation before the cut; behind it 0.88 of it is left."
    )


class TruncatedNormal(Initializer):
    """Normal weights, of which those beyond two standard deviations are drawn again."""

    spec = TruncatedNormalSpec
    formula = "W ~ N(0, std²) given |W| ≤ 2·std"
    source = "Devlin, Chang, Lee & Toutanova 2019, BERT, appendix A.2, and its code"

    def __init__(self, spec: TruncatedNormalSpec) -> None:
        self.std = spec.std

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        W = generator.standard_normal(shape)
        while (outside := np.abs(W) > 2).any():
            W[outside] = generator.standard_normal(np.count_nonzero(outside))
        return self.std * W
