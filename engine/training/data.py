"""The rows a training learns from and is judged by."""

from dataclasses import dataclass

from engine.metrics import Kind, Part, Truth
from engine.parameters import Array
from engine.units import Units
from engine.weights import check_weights


@dataclass(frozen=True)
class TrainingData:
    """Encoded rows: X (m, n_in) and Y (m, n_out) of the network's dtype, to train on and to validate with."""

    X: Array
    Y: Array
    X_validation: Array | None = None
    Y_validation: Array | None = None
    kind: Kind = "multiclass"
    """What the targets are."""
    units: Units | None = None
    """How Y lies to the targets' own numbers; None where it is these."""
    weights: Array | None = None
    """(m,): how much each row to train on counts in losses, gradients and metrics; all alike if None."""
    weights_validation: Array | None = None

    def __post_init__(self) -> None:
        check_weights("weights", self.weights, len(self.X))
        held_out = 0 if self.X_validation is None else len(self.X_validation)
        check_weights("weights_validation", self.weights_validation, held_out)

    def truths(self) -> dict[Part, Truth]:
        """The targets of each part."""
        found: dict[Part, Truth] = {"train": Truth(self.Y, self.kind, self.units, self.weights)}
        if self.Y_validation is not None:
            found["validation"] = Truth(self.Y_validation, self.kind, self.units, self.weights_validation)
        return found
