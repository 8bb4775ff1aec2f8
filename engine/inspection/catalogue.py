"""Everything an inspection can be asked for: the tensors of the pass itself, then what is computed of it."""

from dataclasses import dataclass
from inspect import getdoc
from typing import Literal

from engine.inspection.quantities import QUANTITIES


@dataclass(frozen=True)
class Entry:
    """One name that can be asked for."""

    name: str
    kind: Literal["tensor", "quantity"]
    """Whether it is of the pass itself, or computed of it."""
    summary: str
    equation: str
    shape: str
    cost: str
    """In units of one backward pass, beside the pass itself."""
    source: str
    options: tuple[str, ...] = ()
    """Those it wants."""


def _tensor(name: str, summary: str, equation: str, shape: str) -> Entry:
    return Entry(name, "tensor", summary, equation, shape, "0", "Rumelhart, Hinton & Williams 1986")


TENSORS = (
    _tensor("loss", "The mean of the examples' losses, weighted if they are.", "L = Σw_i·ℓ_i/Σw_i", "a number"),
    _tensor("Z", "What a layer makes of its input, before its activation.", "Z[l] = A[l−1]·W[l] + b[l]", "(m, n_out)"),
    _tensor("A", "What a layer gives; A[0] is X.", "A[l] = g(Z[l])", "(m, n_out)"),
    _tensor("dZ", "The derivative by Z; dZ[L] = A[L] − Y behind the loss's own activation.", "dA[l]∘g′(Z[l])", "as Z"),
    _tensor("dA", "The derivative by A; dA[0] is that by the input.", "dA[l−1] = dZ[l]·W[l]ᵀ", "as A"),
    _tensor("W", "The weights.", "θ", "(n_in, n_out)"),
    _tensor("b", "The biases.", "θ", "(n_out,)"),
    _tensor("dW", "The derivative of the mean loss by W.", "(1/m)A[l−1]ᵀ·dZ[l]", "as W"),
    _tensor("db", "The derivative of the mean loss by b.", "(1/m)Σ_i dz_i", "as b"),
)


def inspection_catalogue() -> tuple[Entry, ...]:
    """Every entry, read from the tables themselves so that it can't fall behind them."""
    quantities = (
        Entry(
            name,
            "quantity",
            (getdoc(quantity.of) or "").split("\n\n")[0].replace("\n", " "),
            quantity.equation,
            quantity.shape,
            quantity.cost,
            quantity.source,
            quantity.options,
        )
        for name, quantity in QUANTITIES.items()
    )
    return (*TENSORS, *quantities)
