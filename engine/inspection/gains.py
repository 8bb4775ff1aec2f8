"""The gain ledger: how much of a gradient's size each operation keeps on its way from the loss to the input.

log₁₀‖dZ[1]‖ − log₁₀‖dZ[L]‖ is exactly the sum of log₁₀ of what each operation makes of a norm, since every norm but the
first and the last stands in it once with either sign: Wᵀ of layer l takes ‖dZ[l]‖ to ‖dA[l−1]‖, g′ of layer l takes
‖dA[l]‖ to ‖dZ[l]‖, and any other layer is one operation. So the ledger says which of them makes a gradient vanish.
"""

from dataclasses import dataclass
from math import fsum, inf, isfinite, log10, nan
from typing import Literal

import numpy as np

from engine.inspection.names import derivative_of, kind_of
from engine.inspection.passes import Head, check_batch, check_head
from engine.inspection.quantities import run_pass
from engine.layers import Activation
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array

End = Literal["first", "input"]


@dataclass(frozen=True)
class Gain:
    """What one operation makes of the gradient's norm."""

    operation: str
    """Such as Wᵀ of layer 2, g′ of layer 1, or the kind of another layer and its place."""
    layer: str
    """The layer's place in the spec."""
    before: str
    """The tensor it takes, such as dZ.2."""
    after: str
    """The tensor it gives, such as dA.1."""
    norm: float
    """‖after‖ over all examples."""
    gain: float
    """log₁₀(‖after‖/‖before‖): −∞ where nothing is left, NaN where nothing came."""


@dataclass(frozen=True)
class Ledger:
    """The operations between two derivatives, the one next to the loss first."""

    start: str
    end: str
    start_norm: float
    end_norm: float
    gains: tuple[Gain, ...]

    @property
    def total(self) -> float:
        """log₁₀ of ‖end‖/‖start‖."""
        return _gain(self.start_norm, self.end_norm)

    @property
    def residual(self) -> float:
        """What the sum of all gains differs by from the total: rounding alone."""
        return self.total - fsum(each.gain for each in self.gains)

    @property
    def largest_loss(self) -> Gain | None:
        """The operation that loses most; None where none loses."""
        return min((each for each in self.gains if each.gain < 0), key=lambda each: each.gain, default=None)

    @property
    def largest_gain(self) -> Gain | None:
        """The operation that gains most; None where none gains."""
        return max((each for each in self.gains if each.gain > 0), key=lambda each: each.gain, default=None)


def gains(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    weights: Array | None = None,
    end: End = "first",
    head: Head = "auto",
) -> Ledger:
    """The ledger of X (m, n_in) and Y (m, n_out) with dropout off, in the parameters' dtype.

    It begins at dZ[L], or where the last layer is no activation at its output, and ends at the output of the first
    layer, which is dZ[1] of a dense one, or with `input` at dA[0]. Norms are Euclidean ones over all examples of each
    one's own derivative. Inside a residual block it follows the layers inside; where the block begins, what came around
    them joins, as part of that operation. Raises DataError as `inspect` does.
    """
    check_batch(network, X, Y, weights)
    check_head(network, head)
    batch = run_pass(network, parameters, X, Y, weights, scale=1.0, shortcut=head != "general")
    names, layers = [derivative_of(name) for name in network.boundary_names], network.layers
    first = len(layers) - 1 if isinstance(layers[-1], Activation) else len(layers)
    last = 0 if end == "input" else 1
    if first <= last:
        last = 0
    norms = [_norm(array) for array in batch.workspace.derivatives]
    return Ledger(
        start=names[first],
        end=names[last],
        start_norm=norms[first],
        end_norm=norms[last],
        gains=tuple(
            Gain(
                operation=operation_at(network, place),
                layer=layers[place].path,
                before=names[place + 1],
                after=names[place],
                norm=norms[place],
                gain=_gain(norms[place + 1], norms[place]),
            )
            for place in reversed(range(last, first))
        ),
    )


def _norm(array: Array) -> float:
    """Scaled by the largest element, so that neither its square nor theirs underflows."""
    largest = float(np.abs(array).max(initial=0))
    if not largest or not isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(array.astype(np.float64) / largest))


def _gain(before: float, after: float) -> float:
    if not before or not isfinite(before) or not isfinite(after):
        return nan
    return log10(after) - log10(before) if after else -inf


def operation_at(network: Network, place: int) -> str:
    """What the layer at a place does to a gradient on its way back: Wᵀ of layer 2, g′ of layer 1, …"""
    layer, number = network.layers[place], network.numbers[place]
    if isinstance(layer, Dense):
        return f"Wᵀ of layer {number}"
    if isinstance(layer, Activation):
        return f"g′ of layer {number}" if number is not None else f"g′ of layers[{layer.path}]"
    return f"{kind_of(layer)} at layers[{layer.path}]"
