"""L-BFGS: steps of Newton's length and direction, by a curvature learned from the last few steps alone."""

from collections.abc import Callable, Sequence
from math import copysign, isfinite, sqrt
from typing import Literal, NamedTuple, Self

import numpy as np

from engine.optimizers.base import Objective, Optimizer
from engine.options import Choice, Field, model_validator
from engine.parameters import Array


class LbfgsSpec(Choice):
    """Quasi-Newton steps of all training rows together, one an epoch; `batch_size` rows go through at once."""

    type: Literal["lbfgs"] = "lbfgs"
    learning_rate: float = Field(1.0, gt=0, description="The step length a line search tries first; 1 is Newton's.")
    history_size: int = Field(10, ge=1, le=1000, strict=True, description="How many steps' curvature is remembered.")
    c1: float = Field(1e-4, gt=0, lt=0.5, description="The share of the expected decrease that a step must reach.")
    c2: float = Field(0.9, gt=0, lt=1, description="The share of the slope that a step may leave.")
    max_evaluations: int = Field(25, ge=1, le=1000, strict=True, description="Of the loss, at most, in one step.")

    @model_validator(mode="after")
    def _c1_is_below_c2(self) -> Self:
        if self.c1 >= self.c2:
            raise ValueError(f"c1: expected less than c2, {self.c2}, or no step length need exist, got {self.c1}")
        return self


class Trial(NamedTuple):
    """A step length α, and the objective φ(α) = f(θ + α·p) with its slope φ′(α) there."""

    length: float
    value: float
    slope: float


Phi = Callable[[float], Trial]
Pairs = Sequence[tuple[Array, Array]]


class Lbfgs(Optimizer):
    """L-BFGS: each epoch is one step along −H·g, where H is built of the last steps s and what they did to g, y.

    The length is found by a line search that keeps to the strong Wolfe conditions: the loss falls enough (3.7a), and
    its slope flattens enough (3.7b), which makes sᵀy > 0 and so H positive definite. It asks for the loss and the
    gradient of all training rows at each trial, mostly one. Where no length is found, the history is forgotten, and
    the next step goes straight down the gradient.
    """

    spec = LbfgsSpec
    formula = "θ ← θ − α·H·g, H from the last pairs s = Δθ, y = Δg, f(θ + αp) ≤ f + c₁αgᵀp, |∇f(θ + αp)ᵀp| ≤ c₂|gᵀp|"
    source = "Nocedal & Wright 2006, Numerical optimization, algorithms 7.4, 7.5, 3.5 and 3.6, equations 3.7 and 3.59"
    moments = ("S", "Y")
    full_batch = True
    is_linear = False

    def __init__(self, spec: LbfgsSpec) -> None:
        super().__init__(spec)
        self.history_size, self.max_evaluations = spec.history_size, spec.max_evaluations
        self.c1, self.c2 = spec.c1, spec.c2

    def start(self, parameters: Array) -> dict[str, Array]:
        """A pair (s, y) in each row, the newest last; rows of zeros are no pairs yet."""
        shape = (self.history_size, parameters.size)
        return {name: np.zeros(shape, parameters.dtype) for name in self.moments}

    def step(self, theta: Array, moments: dict[str, Array], objective: Objective, rate: float) -> None:
        """Algorithm 7.5, one iteration."""
        S, Y = moments["S"], moments["Y"]
        value, gradient = objective(theta)
        g, begin = gradient.copy(), theta.copy()
        pairs = [(s, y) for s, y in zip(S, Y, strict=True) if s.dot(y) > 0]
        p = -product(g, pairs)
        start = Trial(0.0, value, float(g.dot(p)))
        first = rate if pairs else rate * min(1.0, 1 / max(float(np.abs(g).sum()), 1e-300))

        def go(length: float) -> None:
            np.multiply(p, length, out=theta)
            np.add(theta, begin, out=theta)

        def phi(length: float) -> Trial:
            go(length)
            value, gradient = objective(theta)
            return Trial(length, value, float(gradient.dot(p)))

        found = self.search(phi, start, first) if start.slope < 0 < first else start
        if found.length == 0:
            theta[...] = begin
            S.fill(0)
            Y.fill(0)
            return
        go(found.length)
        _, gradient = objective(theta)
        remember(S, Y, theta - begin, gradient - g)

    def search(self, phi: Phi, start: Trial, length: float) -> Trial:
        """Algorithm 3.5: lengthen the step until the conditions hold, or until they do somewhere on the way there."""
        before = start
        for left in reversed(range(self.max_evaluations)):
            trial = phi(length)
            if not self.falls(trial, start) or (before is not start and trial.value >= before.value):
                return self.zoom(phi, start, before, trial, evaluations=left)
            if self.flattens(trial, start):
                return trial
            if trial.slope >= 0:
                return self.zoom(phi, start, trial, before, evaluations=left)
            further = trial.length + 0.01 * (trial.length - before.length)
            before, length = trial, minimum(before, trial, further, 10 * trial.length)
        return before

    def zoom(self, phi: Phi, start: Trial, low: Trial, high: Trial, *, evaluations: int) -> Trial:
        """Algorithm 3.6: narrow the interval from `low`, the best so far, to `high` until the conditions hold in it."""
        for _ in range(evaluations):
            left, right = sorted((low.length, high.length))
            if left == right:
                break
            margin = 0.1 * (right - left)
            trial = phi(minimum(low, high, left + margin, right - margin))
            if not self.falls(trial, start) or trial.value >= low.value:
                high = trial
                continue
            if self.flattens(trial, start):
                return trial
            if trial.slope * (high.length - low.length) >= 0:
                high = low
            low = trial
        return low

    def falls(self, trial: Trial, start: Trial) -> bool:
        """Equation 3.7a: sufficient decrease."""
        return trial.value <= start.value + self.c1 * trial.length * start.slope

    def flattens(self, trial: Trial, start: Trial) -> bool:
        """Equation 3.7b: curvature."""
        return abs(trial.slope) <= self.c2 * abs(start.slope)


def product(g: Array, pairs: Pairs) -> Array:
    """H·g by algorithm 7.4, the two-loop recursion: from the newest pair to the oldest, and back."""
    q = g.copy()
    weights = []
    for s, y in reversed(pairs):
        weights.append(s.dot(q) / y.dot(s))
        q -= weights[-1] * y
    if pairs:
        s, y = pairs[-1]
        q *= s.dot(y) / y.dot(y)
    for (s, y), weight in zip(pairs, reversed(weights), strict=True):
        q += (weight - y.dot(q) / y.dot(s)) * s
    return q


def remember(S: Array, Y: Array, s: Array, y: Array) -> None:
    """Let the newest pair push out the oldest, unless rounding or a search cut short left it without curvature."""
    if s.dot(y) > np.finfo(s.dtype).eps * sqrt(float(s.dot(s)) * float(y.dot(y))):
        for kept, new in ((S, s), (Y, y)):
            kept[:-1] = kept[1:]
            kept[-1] = new


def minimum(one: Trial, other: Trial, least: float, most: float) -> float:
    """Where the cubic through both trials is lowest (equation 3.59), within bounds; their middle if it is nowhere."""
    apart = other.length - one.length
    d1 = one.slope + other.slope - 3 * (other.value - one.value) / apart
    square = d1 * d1 - one.slope * other.slope
    if isfinite(square) and square >= 0:
        d2 = copysign(sqrt(square), apart)
        below = other.slope - one.slope + 2 * d2
        if below:
            return min(max(other.length - apart * (other.slope + d2 - d1) / below, least), most)
    return (least + most) / 2
