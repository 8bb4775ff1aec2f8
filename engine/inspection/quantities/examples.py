"""Quantities of each example on its own, and of two beside each other."""

import numpy as np

from engine.errors import SpecError
from engine.inspection.quantities.base import Pass, Quantity, by_parameter
from engine.inspection.quantities.gradients import MAXIMUM_NUMBERS
from engine.parameters import Array


def example_losses(passed: Pass) -> dict[str, Array]:
    """Each example's own loss, times its weight."""
    return {"example_loss": passed.losses}


def example_gradients(passed: Pass) -> dict[str, Array]:
    """g_i over each parameter. Refused where they are too many numbers to hold at once."""
    quantity, gradients = "example_gradient", passed.gradients
    names = [name for name in passed.network.shapes if passed.wants(f"{quantity}.{name}")]
    size = gradients.size(names)
    if size > MAXIMUM_NUMBERS:
        raise SpecError(
            "quantities",
            f"expected {quantity} of at most {MAXIMUM_NUMBERS} numbers, got {size}; ask for fewer rows, for one "
            f"parameter's, such as {quantity}.{names[0]}, or for what is known without forming them",
            code="too_many_numbers",
            allowed=("example_norm", "example_share", "gram", "cosine", "second_moment", "variance"),
        )
    return by_parameter(quantity, gradients.each(names))


def example_norms(passed: Pass) -> dict[str, Array]:
    """‖g_i‖ over each parameter, and over all: (m,) each, without ever forming a g_i."""
    gradients = passed.gradients
    norms = {name: np.sqrt(squares) for name, squares in gradients.squares.items()}
    return {"example_norm": np.sqrt(gradients.total_squares), **by_parameter("example_norm", norms)}


def example_shares(passed: Pass) -> dict[str, Array]:
    """What each example has of all the squared norms together; undefined where no example has a gradient."""
    squares = passed.gradients.total_squares
    return {"example_share": squares / squares.sum()}


def gram(passed: Pass) -> dict[str, Array]:
    """The inner products of the examples' gradients."""
    return {"gram": passed.gradients.products}


def cosines(passed: Pass) -> dict[str, Array]:
    """The cosines of the angles between the examples' gradients; undefined where one has none."""
    norms = np.sqrt(np.diagonal(passed.gradients.products))
    return {"cosine": passed.gradients.products / norms / norms[:, None]}


GOODFELLOW = "Goodfellow 2015, Efficient per-example gradient computations"

EXAMPLES = {
    "example_loss": Quantity(
        equation="ℓ_i, L = (1/m)Σℓ_i",
        shape="(m,)",
        cost="0",
        backward_passes=0.0,
        source="Goodfellow, Bengio & Courville 2016, Deep Learning, §8.1",
        of=example_losses,
    ),
    "example_gradient": Quantity(
        equation="g_i = ∂ℓ_i/∂θ: a_iᵀ·dz_i and dz_i of a dense layer's W and b",
        shape="(m, n_in, n_out) of W.l, (m, n_out) of b.l",
        cost="15",
        backward_passes=15.0,
        source=GOODFELLOW,
        of=example_gradients,
    ),
    "example_norm": Quantity(
        equation="‖g_i‖² = Σ_l ‖dz_i‖²(‖a_i‖² + 1)",
        shape="(m,), and for each parameter",
        cost="0.05",
        backward_passes=0.1,
        source=GOODFELLOW,
        of=example_norms,
    ),
    "example_share": Quantity(
        equation="‖g_i‖²/Σ_j‖g_j‖²",
        shape="(m,)",
        cost="0.05",
        backward_passes=0.1,
        source=GOODFELLOW,
        of=example_shares,
    ),
    "gram": Quantity(
        equation="K = Σ_l (dZ·dZᵀ)∘(A·Aᵀ + 1), K_ij = g_i·g_j",
        shape="(m, m)",
        cost="0.4",
        backward_passes=0.4,
        source="Dangel, Kunstner & Hennig 2020, BackPACK: packing more into backprop",
        of=gram,
    ),
    "cosine": Quantity(
        equation="K_ij/√(K_ii·K_jj)",
        shape="(m, m)",
        cost="0.4",
        backward_passes=0.4,
        source="Fort, Nowak, Jastrzębski & Narayanan 2019, Stiffness: a new perspective on generalization",
        of=cosines,
    ),
}
