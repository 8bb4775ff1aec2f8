"""Takeuchi's information criterion: how large the examples' noise is beside the curvature."""

from collections.abc import Mapping

from engine.inspection.quantities.base import Pass, scalar
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
