"""Orthogonal: weights that stretch no direction more than another."""

from math import prod
from typing import Literal

import numpy as np

from engine.initializers.base import Initializer
from engine.options import Choice, Field
from engine.parameters import Array, Shape


class OrthogonalSpec(Choice):
    type: Literal["orthogonal"] = "orthogonal"
    gain: float = Field(1.0, gt=0, le=1000, description="The length of every row or column, whichever are fewer.")


class Orthogonal(Initializer):
    """Weights that turn and mirror, but stretch no direction more than another.

    Q of a normal matrix, each column with the sign of its R's diagonal, so that every such matrix is equally likely
    (Mezzadri 2007, How to generate random matrices from the classical compact groups, §5). Where W has more outputs
    than inputs its rows are orthogonal, else its columns. W of more than two axes is taken as (all but the last, last).
    """

    spec = OrthogonalSpec
    formula = "WᵀW = gain²·1, or WWᵀ = gain²·1 where n_out > n_in"
    source = (
        "Saxe, McClelland & Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep networks, §3"
    )

    def __init__(self, spec: OrthogonalSpec) -> None:
        self.gain = spec.gain

    def draw(self, shape: Shape, generator: np.random.Generator, *, n_in: int, n_out: int) -> Array:
        rows, columns = prod(shape[:-1]), shape[-1]
        Q, R = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
        Q *= self.gain * np.copysign(1.0, np.diagonal(R))
        return (Q if rows >= columns else Q.T).reshape(shape)
