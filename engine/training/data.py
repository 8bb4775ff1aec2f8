"""The rows a training learns from and is judged by."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.parameters import Array
from engine.weights import check_weights


@dataclass(frozen=True)
class TrainingData:
    """Encoded rows: X (m, n_in) and Y (m, n_out) of the network's dtype, to train on and to validate with."""

    X: Array
    Y: Array
    X_validation: Array | None = None
    Y_validation: Array | None = None
    task: Literal["classification", "regression"] = "classification"
    target_scale: Array | None = None
    """(n_out,): what one unit of Y is in the target's own unit; ones if None."""
    weights: Array | None = None
    """(m,): how much each row to train on counts in losses, gradients and metrics; all alike if None."""
    weights_validation: Array | None = None

    def __post_init__(self) -> None:
        check_weights("weights", self.weights, len(self.X))
        held_out = 0 if self.X_validation is None else len(self.X_validation)
        check_weights("weights_validation", self.weights_validation, held_out)

    @property
    def scale(self) -> Array:
        """`target_scale`, with its default."""
        return np.ones(self.Y.shape[1]) if self.target_scale is None else self.target_scale
