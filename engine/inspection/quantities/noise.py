"""Quantities of how far a batch's gradient can be trusted: each a number, made of ‖g_i‖², g_i·ḡ and ‖ḡ‖².

The formulas are those of Cockpit (Schneider, Dangel & Hennig 2021), which tell the tests by the largest threshold that
would pass.
"""

import numpy as np

from engine.inspection.quantities.base import Pass, Quantity, missing, scalar, several
from engine.parameters import Array


def norm_test(passed: Pass) -> dict[str, Array]:
    """The standard error of the gradient beside its norm: above 1, noise exceeds the signal."""
    m, gradients = several(passed, "norm_test"), passed.gradients
    signal = gradients.mean_square
    spread = gradients.total_squares.sum() - m * signal
    return {"norm_test": _root(spread, m * (m - 1) * signal, passed)}


def inner_product_test(passed: Pass) -> dict[str, Array]:
    """The standard error of the examples' projections onto the gradient, beside its square: is a step sure to fall?"""
    m, gradients = several(passed, "inner_product_test"), passed.gradients
    signal = gradients.mean_square
    spread = np.square(gradients.onto_mean - signal).sum()
    return {"inner_product_test": _root(spread, m * (m - 1) * np.square(signal), passed)}


def orthogonality_test(passed: Pass) -> dict[str, Array]:
    """The standard error of what lies across the gradient, beside its norm: how far examples stray from its line."""
    m, gradients = several(passed, "orthogonality_test"), passed.gradients
    signal = np.float64(gradients.mean_square)
    spread = (gradients.total_squares - np.square(gradients.onto_mean) / signal).sum()
    return {"orthogonality_test": _root(spread, m * (m - 1) * signal, passed)}


def batch_size(passed: Pass) -> dict[str, Array]:
    """The batch size that suits the learning rate, of SGD without momentum."""
    rate = passed.options.learning_rate
    if rate is None:
        raise missing("cabs", "learning_rate", "a learning rate above 0")
    gradients = passed.gradients
    trace = gradients.total_squares.mean() - gradients.mean_square
    return {"cabs": scalar(rate * trace / passed.losses.mean(), passed)}


def stopping_evidence(passed: Pass) -> dict[str, Array]:
    """Above 0 the gradient is as small as its noise alone would make it, so that SGD may as well stop."""
    m, gradients = several(passed, "stopping_evidence"), passed.gradients
    ratios = gradients.signals(factor=m / (m - 1))
    mean = sum(float(each.sum()) for each in ratios.values()) / passed.network.parameter_count
    return {"stopping_evidence": scalar(1 - m * mean, passed)}


def cancellation(passed: Pass) -> dict[str, Array]:
    """How much of the examples' gradients their sum has kept, over all and each parameter: 1 where none cancels."""
    gradients = passed.gradients
    ratios = {
        f"cancellation.{name}": np.linalg.norm(gradients.sum[name]) / np.sqrt(squares).sum()
        for name, squares in gradients.squares.items()
    }
    ratios["cancellation"] = np.sqrt(gradients.mean_square) / np.sqrt(gradients.total_squares).mean()
    return {name: scalar(ratio, passed) for name, ratio in ratios.items()}


def _root(spread: float, divisor: float, passed: Pass) -> Array:
    """√(spread/divisor), where rounding may have put the spread below 0."""
    return scalar(np.sqrt(np.maximum(spread, 0) / np.float64(divisor)), passed)


BOLLAPRAGADA = "Bollapragada, Byrd & Nocedal 2018, Adaptive sampling strategies for stochastic optimization"

NOISE = {
    "norm_test": Quantity(
        equation="√((Σ‖g_i‖² − m‖ḡ‖²)/(m(m − 1)‖ḡ‖²))",
        shape="a number",
        cost="0.4",
        backward_passes=0.4,
        source="Byrd, Chin, Nocedal & Wu 2012, Sample size selection in optimization methods for machine learning",
        of=norm_test,
    ),
    "inner_product_test": Quantity(
        equation="√(Σ(g_i·ḡ − ‖ḡ‖²)²/(m(m − 1)‖ḡ‖⁴))",
        shape="a number",
        cost="0.4",
        backward_passes=0.4,
        source=f"{BOLLAPRAGADA}, eq. 2.6",
        of=inner_product_test,
    ),
    "orthogonality_test": Quantity(
        equation="√(Σ(‖g_i‖² − (g_i·ḡ)²/‖ḡ‖²)/(m(m − 1)‖ḡ‖²))",
        shape="a number",
        cost="0.4",
        backward_passes=0.4,
        source=f"{BOLLAPRAGADA}, eq. 3.3",
        of=orthogonality_test,
    ),
    "cabs": Quantity(
        equation="η·tr Σ/L, tr Σ = (1/m)Σ‖g_i‖² − ‖ḡ‖²",
        shape="a number",
        cost="0.4",
        backward_passes=0.4,
        source="Balles, Romero & Hennig 2017, Coupling adaptive batch sizes with learning rates, eq. 22",
        of=batch_size,
        options=("learning_rate",),
    ),
    "stopping_evidence": Quantity(
        equation="1 − (m/P)Σ_j ḡ_j²/(S_j + 1e-5), S_j = (1/(m − 1))Σ(g_ij − ḡ_j)²",
        shape="a number",
        cost="0.5",
        backward_passes=0.5,
        source="Mahsereci, Balles, Lassner & Hennig 2017, Early stopping without a validation set, eq. 7, with the ε "
        "of Cockpit",
        of=stopping_evidence,
    ),
    "cancellation": Quantity(
        equation="‖Σg_i‖/Σ‖g_i‖",
        shape="a number, and for each parameter",
        cost="0.1",
        backward_passes=0.1,
        source="the triangle inequality, ‖Σg_i‖ ≤ Σ‖g_i‖",
        of=cancellation,
    ),
}
