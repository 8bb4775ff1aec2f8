"""Takeuchi's information criterion: how large the examples' noise is beside the curvature."""

from collections.abc import Mapping

from engine.inspection.quantities.base import Pass, Quantity, by_output, scalar
from engine.inspection.quantities.diagonals import diag_ggn, diag_hessian
from engine.parameters import Array

EPSILON = 1e-7
"""Added to curvatures that are divided by, as in Cockpit."""


def criterion(quantity: str, passed: Pass, curvature: Mapping[str, Array]) -> dict[str, Array]:
    """Σ_j M_j/(C_j + ε) and ΣM/(ΣC + ε), of the second moment M = (1/m)Σg_i² and a curvature's diagonal C by parameter.

    C is that of the Hessian or of the generalised Gauss-Newton matrix. Thomas, Pedregosa, van Merriënboer, Manzagol,
    Bengio & Le Roux 2020, On the interplay between noise and curvature, in the two forms of Cockpit.
    """
    moments = passed.gradients.second_moments()
    ratios = sum(float((moment / (curvature[name] + EPSILON)).sum()) for name, moment in moments.items())
    noise, curvatures = (sum(float(each.sum()) for each in arrays.values()) for arrays in (moments, curvature))
    return {
        f"{quantity}.diagonal": scalar(ratios, passed),
        f"{quantity}.trace": scalar(noise / (curvatures + EPSILON), passed),
    }


def by_ggn(passed: Pass) -> dict[str, Array]:
    """Takeuchi's criterion over G: the noise beside the curvature, element by element and whole."""
    return criterion("tic_ggn", passed, diag_ggn(passed, split=passed.options.ggn_split, quantity="tic_ggn"))


def by_hessian(passed: Pass) -> dict[str, Array]:
    """Takeuchi's criterion over H, whose curvatures may be negative."""
    return criterion("tic_hessian", passed, diag_hessian(passed, quantity="tic_hessian"))


SOURCE = (
    "Thomas, Pedregosa, van Merriënboer, Manzagol, Bengio & Le Roux 2020, On the interplay between noise and "
    "curvature, with the ε of Cockpit"
)

TIC = {
    "tic_ggn": Quantity(
        equation="diagonal: Σ_j M_j/(diag G_j + 1e-7); trace: ΣM/(tr G + 1e-7), M = (1/m)Σg_i²",
        shape="two numbers",
        cost="diag_ggn and second_moment",
        backward_passes=by_output,
        source=SOURCE,
        of=by_ggn,
        options=("ggn_split",),
    ),
    "tic_hessian": Quantity(
        equation="diagonal: Σ_j M_j/(diag H_j + 1e-7); trace: ΣM/(tr H + 1e-7), M = (1/m)Σg_i²",
        shape="two numbers",
        cost="diag_hessian and second_moment",
        backward_passes=15.5,
        source=SOURCE,
        of=by_hessian,
    ),
}
