"""What an inspection will cost, before it is made: a pass is measured, and the rest told in units of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.inspection.names import is_catalogued, quantity_names
from engine.inspection.quantities import QUANTITIES, Options, run_pass
from engine.network import Network
from engine.parameters import Array

BACKWARD_SHARE = 0.6
"""Of a forward and a backward pass, the second."""


@dataclass(frozen=True)
class Cost:
    """Of one inspection, about."""

    backward_passes: float
    """Beside the pass itself, as the catalogue says."""
    seconds: float
    """Of the pass and all quantities."""


def cost(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    quantities: Sequence[str],
    weights: Array | None = None,
    options: Options | None = None,
) -> Cost:
    """What `inspect` of the same would cost: a pass is run and timed, and no quantity is computed.

    What two quantities share is counted for both, so that it is rather too much than too little. Raises SpecError for
    unknown quantities, and as a pass does.
    """
    quantity_names(network, quantities, QUANTITIES)
    begun = time.perf_counter()
    run_pass(network, parameters, X, Y, weights)
    seconds = time.perf_counter() - begun
    asked = dict.fromkeys(name.partition(".")[0] for name in quantities if is_catalogued(name, QUANTITIES))
    passes = sum(_passes(name, network, options or Options()) for name in asked)
    return Cost(passes, seconds * (1 + BACKWARD_SHARE * passes))


def _passes(name: str, network: Network, options: Options) -> float:
    known = QUANTITIES[name].backward_passes
    return known(network, options) if callable(known) else known
