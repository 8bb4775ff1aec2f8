"""The nudge check: the derivative measured by moving one number a little, beside the one backpropagation gives.

A central difference D(h) = (L(w + h) − L(w − h))/2h costs two forward passes for one number, so it is no way to
train; it is the independent witness. Two of them cancel the leading error (Richardson 1911), D(h) + (D(h) − D(2h))/3.
What is left is below that correction plus the rounding, 4ε(|L| + max|Z[L]|)/h, since a small loss is the difference of
larger numbers: their sum is the error bar. All in float64.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import SpecError
from engine.inspection.names import Orientation, check_orientation, derivative_of
from engine.inspection.passes import Convention, inspect
from engine.network import Network
from engine.parameters import Array
from engine.randomness import generator
from engine.weights import relative_weights
from engine.workspace import Batch, Workspace

Verdict = Literal["ok", "kink", "below_noise", "mismatch"]

STEP = 6e-5
"""h is this times max(1, |w|): near the cube root of ε, where both errors of a central difference are smallest."""
MAXIMUM_FLIPPED = 10
_ADDRESS = re.compile(r"([A-Za-z_]+\.\d{1,6})\[(\d{1,9}(?:,\s*\d{1,9}){0,7})\]")


@dataclass(frozen=True)
class Nudge:
    """One number's derivative, found both ways."""

    address: str
    """Such as W.1[0,3], b.2[1] or A.0[5,2]."""
    analytic: float
    numeric: float
    error_bar: float
    """How far the numeric one may be off by its own nature."""
    relative_error: float | None
    """|analytic − numeric| / max(|analytic|, |numeric|); None if both are 0."""
    verdict: Verdict
    """`kink`: a unit crossed a point where its derivative jumps or bends, so the numeric one means nothing.
    `below_noise`: both are smaller than the error bar. `mismatch`: they differ by more than the error bar explains."""
    flipped: tuple[str, ...]
    """Units that crossed a kink, as Z.1[row,unit]."""


@dataclass(frozen=True)
class Check:
    """A nudge check of some numbers."""

    nudges: tuple[Nudge, ...]
    loss: float
    backpropagation_seconds: float
    """For the gradient of everything."""
    nudging_seconds: float
    """For the numbers listed."""
    forward_passes: int
    is_complete: bool
    """Whether every target was reached before the time ran out."""

    @property
    def verdicts(self) -> dict[str, int]:
        """How many there are of each verdict."""
        return dict(Counter(nudge.verdict for nudge in self.nudges))

    @property
    def worst_relative_error(self) -> float | None:
        """Among those that are `ok` or a `mismatch`."""
        errors = [n.relative_error for n in self.nudges if n.verdict in ("ok", "mismatch")]
        return max((error for error in errors if error is not None), default=None)


def check(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    targets: Sequence[str] | None = None,
    samples: int = 4,
    seed: int = 0,
    weights: Array | None = None,
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    deadline: Callable[[], bool] = lambda: False,
) -> Check:
    """Nudge the targets, or `samples` numbers drawn from each of W, b and X, with dropout off.

    Derivatives by parameters are those of the mean loss, with weights (m,) of Σwl/Σw; by X (A.0) those of the
    convention. `deadline` is asked before each target and ends the check early when true. Raises SpecError for an
    address that is not there, and for columns in a network with tensors of more than two axes, DataError as `inspect`
    does.
    """
    check_orientation(network, orientation)
    parameters, X, Y = (array.astype(np.float64) for array in (parameters, X, Y))
    places = _places(network, len(X), targets, samples=samples, seed=seed, orientation=orientation)
    begun = time.perf_counter()
    quantities = ("dA.0", *map(derivative_of, network.shapes))
    passed = inspect(network, parameters, X, Y, quantities=quantities, weights=weights, convention=convention)
    backpropagation = time.perf_counter() - begun
    witness = _Witness(network, parameters, X, Y, weights, convention=convention)
    nudges: list[Nudge] = []
    begun = time.perf_counter()
    for address, name, index in places:
        if deadline():
            break
        nudges.append(witness.nudge(address, name, index, float(passed.tensors[derivative_of(name)][index])))
    return Check(
        nudges=tuple(nudges),
        loss=passed.loss,
        backpropagation_seconds=backpropagation,
        nudging_seconds=time.perf_counter() - begun,
        forward_passes=4 * len(nudges),
        is_complete=len(nudges) == len(places),
    )


class _Witness:
    """Measures derivatives by nudging, with nothing but the forward pass."""

    def __init__(
        self, network: Network, parameters: Array, X: Array, Y: Array, weights: Array | None, *, convention: Convention
    ) -> None:
        self.parameters = parameters.copy()
        self.workspace = Workspace(
            network, self.parameters, rows=len(X), gradients=False, shared=False, weighted=weights is not None
        )
        if self.workspace.weights is not None and weights is not None:
            self.workspace.weights[:, 0] = relative_weights(weights, len(X))
        self.batch: Batch = self.workspace.cut(len(X))
        self.batch.X[...], self.batch.Y[...] = X, Y
        self.arrays = {"A.0": self.workspace.outputs[0], **network.views(self.parameters)}
        self.input_scale = len(X) if convention == "per_example" else 1
        self.loss, self.pattern = self._forward()
        self.magnitude = abs(self.loss) + float(np.abs(self.batch.head.Z).max())

    def nudge(self, address: str, name: str, index: tuple[int, ...], analytic: float) -> Nudge:
        """Move one number by ±h and ±2h and see."""
        array, flipped = self.arrays[name], dict[str, None]()
        kept = float(array[index])
        h = STEP * max(1.0, abs(kept))
        losses = {}
        for step in (-2, -1, 1, 2):
            array[index] = kept + step * h
            losses[step], pattern = self._forward()
            flipped |= dict.fromkeys(self._flipped(pattern))
        array[index] = kept
        scale = self.input_scale if name == "A.0" else 1
        near, far = (scale * (losses[step] - losses[-step]) / (2 * step * h) for step in (1, 2))
        numeric = near + (near - far) / 3
        bar = abs(near - far) / 3 + scale * 4 * float(np.finfo(np.float64).eps) * self.magnitude / h
        largest = max(abs(analytic), abs(numeric))
        return Nudge(
            address=address,
            analytic=analytic,
            numeric=numeric,
            error_bar=bar,
            relative_error=abs(analytic - numeric) / largest if largest else None,
            verdict=_verdict(analytic, numeric, bar, has_flipped=bool(flipped)),
            flipped=tuple(flipped)[:MAXIMUM_FLIPPED],
        )

    def _forward(self) -> tuple[float, dict[str, Array]]:
        """The mean loss; where a layer or the loss has kinks, on which piece its elements are, by its input's name."""
        network = self.workspace.network
        with np.errstate(all="ignore"):
            self.batch.forward()
            loss = float(self.batch.example_losses().mean())
        layers = zip(network.boundary_names, network.layers, self.batch.slots, strict=False)
        pieces = {name: layer.pieces(slot) for name, layer, slot in layers}
        pieces[network.boundary_names[-1]] = network.loss.pieces(self.batch.head)
        return loss, {name: array for name, array in pieces.items() if array is not None}

    def _flipped(self, pattern: dict[str, Array]) -> list[str]:
        return [
            f"{name}[{','.join(map(str, index))}]"
            for name, before in self.pattern.items()
            for index in np.argwhere(before != pattern[name])[:MAXIMUM_FLIPPED].tolist()
        ]


def _verdict(analytic: float, numeric: float, bar: float, *, has_flipped: bool) -> Verdict:
    if has_flipped:
        return "kink"
    if not abs(analytic - numeric) <= 2 * bar + 1e-9 * abs(analytic):
        return "mismatch"
    if 0 < max(abs(analytic), abs(numeric)) <= bar:
        return "below_noise"
    return "ok"


# Addresses ---------------------------------------------------------------------------------------------------------

Place = tuple[str, str, tuple[int, ...]]
"""An address as asked, the tensor's name, and the index in rows."""


def _places(
    network: Network, m: int, targets: Sequence[str] | None, *, samples: int, seed: int, orientation: Orientation
) -> list[Place]:
    shapes = {**network.shapes, "A.0": (m, *network.input_shape)}
    if targets is None:
        return [
            (_address(name, index, orientation), name, index)
            for number, (name, shape) in enumerate(shapes.items())
            for index in _drawn(shape, samples, generator(seed, "nudge", layer=number))
        ]
    return [_parsed(address, place, shapes, orientation) for place, address in enumerate(targets)]


def _drawn(shape: tuple[int, ...], count: int, random: np.random.Generator) -> list[tuple[int, ...]]:
    size = int(np.prod(shape))
    flat = np.sort(random.choice(size, size=min(count, size), replace=False))
    return [tuple(int(part) for part in np.unravel_index(place, shape)) for place in flat]


def _parsed(address: str, place: int, shapes: dict[str, tuple[int, ...]], orientation: Orientation) -> Place:
    match = _ADDRESS.fullmatch(address)
    if match is None or match[1] not in shapes:
        raise SpecError(
            f"targets[{place}]",
            f"expected an element such as W.1[0,3], b.1[2] or A.0[0,1], got {address[:60]!r}",
            code="unknown_target",
            allowed=tuple(shapes),
        )
    name, index = match[1], tuple(int(part) for part in match[2].split(","))
    shape = shapes[name][::-1] if orientation == "columns" else shapes[name]
    if len(index) != len(shape) or any(part >= size for part, size in zip(index, shape, strict=True)):
        raise SpecError(f"targets[{place}]", f"expected an index into {name} of shape {list(shape)}, got {list(index)}")
    return address, name, index[::-1] if orientation == "columns" else index


def _address(name: str, index: tuple[int, ...], orientation: Orientation) -> str:
    shown = index[::-1] if orientation == "columns" else index
    return f"{name}[{','.join(map(str, shown))}]"
