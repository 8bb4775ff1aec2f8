"""Quantities of each example on its own."""

import numpy as np

from engine.inspection.quantities.base import Pass, Quantity
from engine.parameters import Array


def example_norms(passed: Pass) -> dict[str, Array]:
    """‖g_i‖ over each parameter, and over all: (m,) each, without ever forming a g_i."""
    found: dict[str, Array] = {}
    total = np.zeros(passed.m)
    for linear in passed.linears("example_norm"):
        dZ = np.square(linear.dZ).sum(axis=1)
        squares = {"W": dZ * np.square(linear.X).sum(axis=1), "b": dZ}
        for name in linear.names:
            found[f"example_norm.{name}"] = np.sqrt(squares[name[0]])
            total += squares[name[0]]
    return {"example_norm": np.sqrt(total), **found}


EXAMPLES = {
    "example_norm": Quantity(
        equation="‖g_i‖² = Σ_l ‖dz_i‖²(‖a_i‖² + 1)",
        shape="(m,), and for each parameter",
        cost="0.05",
        source="Goodfellow 2015, Efficient per-example gradient computations",
        of=example_norms,
    )
}
