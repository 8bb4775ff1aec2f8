"""The catalogue: everything that can be computed of one pass beside its own tensors."""

from engine.inspection.quantities.base import Options, Pass, Quantity
from engine.inspection.quantities.examples import EXAMPLES

QUANTITIES: dict[str, Quantity] = {**EXAMPLES}

__all__ = ["QUANTITIES", "Options", "Pass", "Quantity"]
