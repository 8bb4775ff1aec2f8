"""Alpha, the normalised step."""

import numpy as np

from engine.errors import SpecError
from engine.inspection.quantities.base import Pass, Quantity, missing, scalar, several
from engine.parameters import Array

NO_VARIANCE = 1e-10
"""Stands for a variance of 0."""


def alpha(passed: Pass) -> dict[str, Array]:
    """Where a step has landed on the valley along its own line: −1 no move, 0 the floor, 1 as high on the other side.

    A parabola is fitted to the losses and slopes at both ends, each as sure as the examples agree on it; −1 too where
    it bends down. The other end sees the same examples, with the running statistics that are given for it.
    """
    several(passed, "alpha")
    step, length = _step(passed)
    if length == 0:
        return {"alpha": scalar(-1.0, passed)}
    ends = (passed, passed.at(_after(passed)))
    losses = [end.losses.astype(np.float64) for end in ends]
    slopes = [end.gradients.along(step).astype(np.float64) / length for end in ends]
    return {"alpha": scalar(_landing(losses, slopes, length), passed)}


def _after(passed: Pass) -> Array:
    after = passed.options.after
    if after is None:
        raise missing("alpha", "after", "the parameters after the step")
    if after.shape != passed.parameters.shape:
        raise SpecError("options.after", f"expected shape {list(passed.parameters.shape)}, got {list(after.shape)}")
    return after.astype(passed.parameters.dtype, copy=False)


def _step(passed: Pass) -> tuple[dict[str, Array], float]:
    """d = θ₁ − θ₀ of what is learned, by parameter, and its length."""
    learned = slice(0, passed.network.parameter_count)
    step = _after(passed)[learned] - passed.parameters[learned]
    return passed.network.views(step), float(np.linalg.norm(step))


def _landing(losses: list[Array], slopes: list[Array], length: float) -> float:
    """α of the parabola u₀ + u₁s + u₂s², s from 0 to 1, fitted to the means with the inverse variances as weights."""
    design = np.array([[1.0, 0, 0], [1, 1, 1], [0, 1, 0], [0, 1, 2]])
    seen = np.array([*(each.mean() for each in losses), *(each.mean() * length for each in slopes)])
    deviations = np.sqrt([_variance(each) for each in (*losses, *slopes)]) * [1, 1, length, length]
    if not np.isfinite([*seen, *deviations]).all():
        return np.nan
    _, first, second = np.linalg.lstsq(design / deviations[:, None], seen / deviations, rcond=None)[0]
    return -1.0 if second < 0 else float(-2 * second / np.float64(first) - 1)


def _variance(values: Array) -> float:
    return float(values.var(ddof=1)) or NO_VARIANCE


ALPHA = {
    "alpha": Quantity(
        equation="2‖d‖w₂/(−w₁) − 1, d = θ₁ − θ₀, of the parabola w₀ + w₁τ + w₂τ² fitted to L and (1/m)Σg_i·d/‖d‖ at "
        "τ = 0 and ‖d‖, weighted by 1/variance; −1 where w₂ < 0",
        shape="a number",
        cost="3, a pass at θ₁ included",
        backward_passes=3.0,
        source="Schneider, Dangel & Hennig 2021, Cockpit: a practical debugging tool for the training of deep neural "
        "networks",
        of=alpha,
        options=("after",),
    ),
}
