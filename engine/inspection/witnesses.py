"""The witnesses of a derivative: both know nothing but the forward pass.

A central difference D(h) = (L(w + h) − L(w − h))/2h costs two forward passes for one number, so it is no way to
train. Two of them cancel the leading error (Richardson 1911), D(h) + (D(h) − D(2h))/3. What is left is below that
correction plus the rounding, 4ε(1 + |L|)(1 + max|Z[L]|)/h, since a small loss is the difference of larger numbers and a
large one may be an exponential of Z[L]: their sum is the error bar.

A complex step Im L(w + ih)/h subtracts nothing, so that h may be as small as one likes and nothing but rounding is left
(Squire & Trapp 1998, Using complex variables to estimate derivatives of real functions). The bar is sixteen times the
rounding of a product, ε, of what the nudge moves at every boundary behind it times the derivative there, |A| + |Y| in
place of dZ at a head where dZ = A − Y. It does not see how near a kink is: where there are any, two more passes at
±10⁻¹⁰ look for units that stand on one.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np

from engine.inspection.forward import Forward
from engine.inspection.targets import Place
from engine.layers import Activation
from engine.layers.activations.gelu import Gelu
from engine.layers.layer_norm import LayerNorm
from engine.layers.rms_norm import RmsNorm
from engine.parameters import Array
from engine.workspace import Batch

STEP = 6e-5
"""h is this times max(1, |w|): near the cube root of ε, where both errors of a central difference are smallest."""
COMPLEX_STEP = 1e-150
"""So small that its square is 0, and far smaller than any number that the loss is divided by or is a power of."""
KINK_STEP = 1e-10
"""A unit that changes its piece within this, times max(1, |w|), stands on a kink."""
UNDERFLOW = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps) / COMPLEX_STEP
"""Smaller derivatives lose digits, as the loss's imaginary part does."""
GELU_TAIL = 1e8
"""Its Φ(Z) has half of a float64's digits below −6, where it is less than 10⁻⁹."""
MAXIMUM_FLIPPED = 10
Kind = Literal["central", "complex"]
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Measurement:
    """A derivative of the mean loss, measured."""

    value: float
    error_bar: float
    """How far it may be off by its own nature."""
    flipped: tuple[str, ...]
    """Units that crossed a kink, as Z.1[row,unit]."""


class Witness(Protocol):
    """Measures the derivative of the mean loss by one place."""

    method: ClassVar[Kind]
    slack: ClassVar[float]
    """What it may be off beside its bar, relatively."""

    def measure(self, place: Place) -> Measurement:
        """The derivative along the place's direction."""

    @property
    def passes(self) -> int:
        """How many forward passes it took so far."""


class Central:
    """Two central differences, of h and of 2h."""

    method: ClassVar[Kind] = "central"
    slack: ClassVar[float] = 1e-9

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.real = RealSteps(forward)
        self.magnitude = (1 + abs(self.real.loss)) * (1 + float(np.abs(forward.batch.head.Z).max()))

    @property
    def passes(self) -> int:
        return self.forward.passes

    def measure(self, place: Place) -> Measurement:
        """From four forward passes."""
        h = STEP * self.real.scale(place)
        losses, flipped = self.real.around(place, (-2 * h, -h, h, 2 * h))
        near, far = (losses[2] - losses[1]) / (2 * h), (losses[3] - losses[0]) / (4 * h)
        bar = abs(near - far) / 3 + 4 * EPSILON * self.magnitude / h
        return Measurement(near + (near - far) / 3, bar, flipped)


class ComplexStep:
    """One step along the imaginary axis; `backward` is a pass of each example's own loss at the same point."""

    method: ClassVar[Kind] = "complex"
    slack: ClassVar[float] = 0.0

    def __init__(self, forward: Forward, real: Forward, backward: Batch) -> None:
        self.forward, self.backward = forward, backward
        self.real = RealSteps(real)
        self.has_kinks = bool(self.real.pattern)

    @property
    def passes(self) -> int:
        return self.forward.passes + self.real.forward.passes

    def measure(self, place: Place) -> Measurement:
        """From one forward pass at a complex point, and two more where there are kinks."""
        flipped: tuple[str, ...] = ()
        if self.has_kinks:
            step = KINK_STEP * self.real.scale(place)
            _, flipped = self.real.around(place, (-step, step))
        self.forward.settle(place.name)
        array = self.forward.array(place.name)
        kept = array[place.index].copy()
        array[place.index] += 1j * COMPLEX_STEP * place.direction
        losses = self.forward.losses(place.name)
        value = float(losses.imag.mean()) / COMPLEX_STEP
        bar = 16 * EPSILON * self._moved(place.name) / COMPLEX_STEP + UNDERFLOW
        array[place.index] = kept
        return Measurement(value, bar, flipped)

    def _moved(self, name: str) -> float:
        """The sum, over all boundaries behind a nudge, of how far they moved times their derivatives, by size."""
        network, head, total = self.forward.network, self.backward.head, 0.0
        start, last = self.forward.start(name), len(network.layers)
        layers = list(zip(network.layers, self.forward.batch.slots, self.backward.slots, strict=True))
        outputs = (np.abs(head.A) + np.abs(head.Y)) * (1.0 if head.weights is None else head.weights)
        if start == last:
            total += _product(outputs + np.abs(head.dA) * (1 + np.abs(head.Z)), self.forward.batch.head.A)
        elif network.has_canonical_head:
            *layers, (_, moved, _) = layers
            total += _product(outputs + np.abs(head.dZ) * (1 + np.abs(head.Z)), moved.x)
        for layer, moved, at in layers[start:]:
            total += _product(at.dy, moved.y)
            if isinstance(layer, Activation) and at.dx is not None:  # its slope is found from A, and bends with Z
                total += _product(np.abs(at.dy * at.y) + np.abs(at.dx * at.x), moved.x)
                if isinstance(layer, Gelu):
                    total += GELU_TAIL * _product(at.dx * (at.x < -6), moved.x)
            elif isinstance(layer, (LayerNorm, RmsNorm)):  # most of a row's movement may cancel inside
                total += _product(at.dy * at.params.get("gamma", 1.0) * at.scratch["factor"], moved.x)
        return total / self.forward.m


def _product(derivative: Array, moved: Array) -> float:
    return float(np.abs(derivative).reshape(-1) @ np.abs(moved.imag).reshape(-1))


class RealSteps:
    """Real nudges, and the units that cross a kink in them."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        forward.settle("A.0")
        with np.errstate(all="ignore"):
            self.loss = float(forward.losses("A.0").mean())
        self.pattern = {name: array.copy() for name, array in forward.pieces().items()}

    def scale(self, place: Place) -> float:
        """How large the nudged number is, or the tensor along the direction: 1 at least."""
        array = self.forward.array(place.name)[place.index]
        return max(1.0, abs(float(np.sum(array * place.direction))))

    def around(self, place: Place, steps: tuple[float, ...]) -> tuple[list[float], tuple[str, ...]]:
        """The mean loss after each step along the place's direction, and the units that changed their piece in any."""
        self.forward.settle(place.name)
        array = self.forward.array(place.name)
        kept = array[place.index].copy()
        losses, flipped = [], dict[str, None]()
        for step in steps:
            array[place.index] = kept + step * place.direction
            losses.append(float(self.forward.losses(place.name).mean()))
            flipped |= dict.fromkeys(self._flipped(place))
        array[place.index] = kept
        return losses, tuple(flipped)[:MAXIMUM_FLIPPED]

    def _flipped(self, place: Place) -> list[str]:
        """Only units behind the nudge can have crossed."""
        pieces = self.forward.pieces(self.forward.start(place.name))
        return [
            f"{name}[{','.join(map(str, index))}]"
            for name, now in pieces.items()
            for index in np.argwhere(now != self.pattern[name])[:MAXIMUM_FLIPPED].tolist()
        ]
