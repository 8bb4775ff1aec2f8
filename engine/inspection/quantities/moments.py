"""Quantities of how the examples' gradients are spread, element by element.

Derivatives are those of each example's own loss, so nothing here carries the 1/m of a mean loss's parts.
"""

from engine.inspection.quantities.base import Pass, Quantity, by_parameter, scalar
from engine.parameters import Array


def second_moments(passed: Pass) -> dict[str, Array]:
    """The mean of g_i² of each element, and their sum, the mean of ‖g_i‖²."""
    moments = passed.gradients.second_moments()
    return {"second_moment": _summed(moments, passed), **by_parameter("second_moment", moments)}


def variances(passed: Pass) -> dict[str, Array]:
    """The population variance of each element of g_i, and their sum, the trace of the covariance."""
    found = passed.gradients.variances()
    return {"variance": _summed(found, passed), **by_parameter("variance", found)}


def signal_to_noise(passed: Pass) -> dict[str, Array]:
    """How large each element's mean is beside its variance, and the mean of that over all elements."""
    ratios = passed.gradients.signals()
    mean = sum(float(each.sum()) for each in ratios.values()) / passed.network.parameter_count
    return {"gsnr": scalar(mean, passed), **by_parameter("gsnr", ratios)}


def _summed(arrays: dict[str, Array], passed: Pass) -> Array:
    return scalar(sum(float(each.sum()) for each in arrays.values()), passed)


MOMENTS = {
    "second_moment": Quantity(
        equation="(1/m)Σg_i²: (1/m)(A∘A)ᵀ·(dZ∘dZ) of a dense layer's W; its sum is (1/m)Σ‖g_i‖²",
        shape="of each parameter, and a number",
        cost="0.5",
        backward_passes=0.5,
        source="Dangel, Kunstner & Hennig 2020, BackPACK: packing more into backprop",
        of=second_moments,
    ),
    "variance": Quantity(
        equation="(1/m)Σg_i² − ḡ²; its sum is tr Σ",
        shape="of each parameter, and a number",
        cost="0.5",
        backward_passes=0.5,
        source="Dangel, Kunstner & Hennig 2020, BackPACK: packing more into backprop",
        of=variances,
    ),
    "gsnr": Quantity(
        equation="ḡ_j²/(Var_j + 1e-5); the number is its mean over all j",
        shape="of each parameter, and a number",
        cost="0.5",
        backward_passes=0.5,
        source="Liu, Bai, Jiang, Chen & Wang 2020, Understanding why neural networks generalize well through GSNR, "
        "with the ε of Cockpit",
        of=signal_to_noise,
    ),
}
