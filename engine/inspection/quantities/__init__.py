"""The catalogue: everything that can be computed of one pass beside its own tensors."""

from engine.inspection.quantities.alpha import ALPHA
from engine.inspection.quantities.attribution import ATTRIBUTION
from engine.inspection.quantities.base import Options, Pass, Quantity, run_pass
from engine.inspection.quantities.curvature import CURVATURE
from engine.inspection.quantities.examples import EXAMPLES
from engine.inspection.quantities.moments import MOMENTS
from engine.inspection.quantities.noise import NOISE
from engine.inspection.quantities.penalty import PENALTY
from engine.inspection.quantities.tic import TIC
from engine.inspection.quantities.units import UNITS

QUANTITIES: dict[str, Quantity] = {
    **EXAMPLES,
    **MOMENTS,
    **NOISE,
    **ALPHA,
    **UNITS,
    **PENALTY,
    **CURVATURE,
    **TIC,
    **ATTRIBUTION,
}

__all__ = ["QUANTITIES", "Options", "Pass", "Quantity", "run_pass"]
