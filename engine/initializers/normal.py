"""Normal: weights around 0, of one standard deviation."""

from typing import Literal

from engine.initializers.base import Spread
from engine.options import Choice, Field


class NormalSpec(Choice):
    type: Literal["normal"] = "normal"
    std: float = Field(0.01, gt=0, le=1000, description="The standard deviation.")


class Normal(Spread):
    """Normal weights of a standard deviation that does not depend on the layer's size."""

    spec = NormalSpec
    formula = "W ~ N(0, std²)"
    source = "Krizhevsky, Sutskever & Hinton 2012, ImageNet classification with deep convolutional networks, §5"

    def __init__(self, spec: NormalSpec) -> None:
        self.std = spec.std

    def deviation(self, n_in: int, n_out: int) -> float:
        return self.std
