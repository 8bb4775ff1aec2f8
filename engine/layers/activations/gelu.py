"""GELU: a number weighed with the probability that a standard normal one lies below it."""

from math import pi, sqrt
from typing import Literal

import numpy as np

from engine.layers.activations.base import Activation
from engine.layers.activations.sigmoid import logistic_slope
from engine.layers.base import Slot
from engine.options import Choice, Field
from engine.parameters import Array, Shape, Shapes
from engine.plans import Plan, call

Approximation = Literal["none", "tanh"]

TAIL = {
    "float64": (
        (
            0.49999999999999994,
            0.5896862871315672,
            0.3476143516118976,
            0.1263351481316039,
            0.03013349199025194,
            0.004689834364920038,
            0.0004414765471508178,
            1.9534553152940285e-05,
        ),
        (
            1.0,
            1.9772571350659787,
            1.7728516440309239,
            0.9445342043555766,
            0.32834473442899276,
            0.07663924117107178,
            0.011804680608272418,
            0.0011066161593947352,
            4.8965886205721826e-05,
        ),
    ),
    "float32": (
        (0.4999999703745184, 0.33453888797713877, 0.10444682345043582, 0.013624545402281928),
        (1.0, 1.4669587849862118, 0.8793913652001736, 0.2612560497713557, 0.034172286234349473),
    ),
}
"""p and q with Φ(−u) = e^{−u²/2}·p(u)/q(u) for u ≥ 0, the constant first: rational approximations whose largest
relative error for u ≤ 6 is 1.2·10⁻¹⁶ and 6·10⁻⁸; behind it, where Φ(−u) < 10⁻⁹, it stays below 5·10⁻⁸ and 3·10⁻⁴. All
are positive, so that nothing cancels."""
INNER, CUBIC = 2 * sqrt(2 / pi), 0.044715


class GeluSpec(Choice):
    type: Literal["gelu"] = "gelu"
    approximate: Approximation = Field(
        "none", description="`none` is exact to rounding; `tanh` is the source's approximation, which is faster."
    )


class Gelu(Activation):
    """A = Z·Φ(Z), Φ being the standard normal distribution: Φ(Z) = ½(1 + erf(Z/√2)).

    Φ comes from the tail, Φ(−|Z|), which is found with a small relative error however far out, in the form of Cody 1969
    (Rational Chebyshev approximations for the error function): an exponential times a ratio of polynomials. With
    `approximate` tanh Φ(Z) is ½(1 + tanh w), w = √(2/π)(Z + 0.044715 Z³), which is σ(2w).
    """

    spec = GeluSpec
    formula = "A = Z·Φ(Z)"
    derivative = "Φ(Z) + Z·e^{−Z²/2}/√(2π); with tanh Φ + Z·Φ·(1 − Φ)·2w′"
    second_derivative = "(2 − Z²)·e^{−Z²/2}/√(2π); with tanh Φ·(1 − Φ)·(4w′ + Z·(2w″ − 4w′²·tanh w))"
    source = "Hendrycks & Gimpel 2016, Gaussian error linear units, §2"
    initializer = "he_normal"
    backward_reads = frozenset({"x"})

    def __init__(self, input_shape: Shape, spec: GeluSpec) -> None:
        super().__init__(input_shape, spec)
        self.approximate = spec.approximate

    def scratch(self) -> Shapes:
        return dict.fromkeys(("share", "density", "slope"), self.input_shape)

    def forward(self, slot: Slot) -> Plan:
        share = slot.scratch["share"]
        yield from self._logistic(slot, share) if self.approximate == "tanh" else self._normal(slot, share)
        yield call(np.multiply, slot.x, share, slot.y)

    def backward(self, slot: Slot) -> Plan:
        """The forward pass has left Φ(Z), and the exact one e^{−Z²/2}, in the scratch."""
        if slot.dx is None:
            return
        share, density, slope = (slot.scratch[name] for name in ("share", "density", "slope"))
        if self.approximate == "tanh":
            yield call(np.square, slot.x, slope)
            yield call(np.multiply, slope, 3 * INNER * CUBIC, slope)
            yield call(np.add, slope, INNER, slope)
            yield call(np.multiply, slope, slot.x, slope)
            yield call(np.multiply, slope, share, slope)
            yield call(np.subtract, 1.0, share, density)
            yield call(np.multiply, slope, density, slope)
        else:
            yield call(np.multiply, slot.x, density, slope)
            yield call(np.multiply, slope, 1 / sqrt(2 * pi), slope)
        yield call(np.add, slope, share, slope)
        yield call(np.multiply, slot.dy, slope, slot.dx)

    def second(self, slot: Slot) -> Array:
        """Farther out than 40 it is 0, as e^{−Z²/2} is there."""
        Z = slot.x.clip(-40, 40)
        squares = np.square(Z)
        if self.approximate == "none":
            density: Array = (2 - squares) * np.exp(-squares / 2) / sqrt(2 * pi)
            return density
        w1, w2 = INNER * (1 + 3 * CUBIC * squares), 6 * INNER * CUBIC * Z
        w = (INNER / 2) * Z * (1 + CUBIC * squares)
        found: Array = logistic_slope(2 * w) * (2 * w1 + Z * (w2 - np.square(w1) * np.tanh(w)))
        return found

    def _normal(self, slot: Slot, share: Array) -> Plan:
        """share = Φ(Z): the tail where Z < 0, else 1 − the tail, which is |[Z > 0] − tail|."""
        u, density, ratio = slot.scratch["slope"], slot.scratch["density"], slot.y
        p, q = TAIL[share.dtype.name]
        yield call(np.square, slot.x, density)
        yield call(np.multiply, density, -0.5, density)
        yield call(np.exp, density, density)
        yield call(np.abs, slot.x, u)
        yield from polynomial(p, u, share)
        yield from polynomial(q, u, ratio)
        yield call(np.divide, share, ratio, share)
        yield call(np.multiply, share, density, share)
        yield call(np.greater, slot.x, 0.0, u)
        yield call(np.subtract, u, share, share)
        yield call(np.abs, share, share)

    def _logistic(self, slot: Slot, share: Array) -> Plan:
        """share = σ(2w)."""
        yield call(np.square, slot.x, share)
        yield call(np.multiply, share, -INNER * CUBIC, share)
        yield call(np.subtract, share, INNER, share)
        yield call(np.multiply, share, slot.x, share)
        yield call(np.exp, share, share)
        yield call(np.add, share, 1.0, share)
        yield call(np.reciprocal, share, share)


def polynomial(coefficients: tuple[float, ...], u: Array, out: Array) -> Plan:
    """out = Σ coefficients[i]·uⁱ by Horner's rule."""
    *lower, highest = coefficients
    yield call(np.multiply, u, highest, out)
    for each in lower[:0:-1]:
        yield call(np.add, out, each, out)
        yield call(np.multiply, out, u, out)
    yield call(np.add, out, lower[0], out)
