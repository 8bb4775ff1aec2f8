"""The nudge check: derivatives measured by moving one number, or one tensor, beside those of backpropagation."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log10
from typing import Literal

import numpy as np

from engine.errors import SpecError
from engine.inspection.forward import Forward, has_complex_form
from engine.inspection.names import Orientation, check_orientation
from engine.inspection.passes import Convention, check_batch
from engine.inspection.quantities import run_pass
from engine.inspection.targets import Method, Place, places_of, targets_of
from engine.inspection.witnesses import Central, ComplexStep, Witness
from engine.network import Network
from engine.parameters import Array
from engine.workspace import Batch

Verdict = Literal["ok", "kink", "below_noise", "mismatch"]

MOST_DIGITS = -log10(float(np.finfo(np.float64).eps) / 2)
"""As many as a float64 has."""
LARGEST = 1e140
"""A larger derivative, such as −Y/A next to A = 0, is beyond what any step can measure."""


@dataclass(frozen=True)
class Nudge:
    """One number's derivative, found both ways."""

    address: str
    """Such as W.1[0,3], Z.2[5,1] or A.0[5,2]; W.1 alone for a derivative along a direction."""
    method: Literal["central", "complex"]
    analytic: float
    numeric: float
    error_bar: float
    """How far the numeric one may be off by its own nature: infinitely where it can't be measured."""
    relative_error: float | None
    """|analytic − numeric| / max(|analytic|, |numeric|); None if both are 0."""
    digits: float
    """How many decimal digits agree: −log₁₀ of the relative error, at most the 15.95 of a float64."""
    verdict: Verdict
    """`kink`: a unit crossed, or stands on, a point where its derivative jumps or bends, so that the numeric one means
    nothing.
    `below_noise`: both are smaller than the error bar. `mismatch`: they differ by more than the error bar explains."""
    flipped: tuple[str, ...]
    """Units that crossed a kink, as Z.1[row,unit]."""


@dataclass(frozen=True)
class Check:
    """A nudge check of some numbers."""

    nudges: tuple[Nudge, ...]
    loss: float
    backpropagation_seconds: float
    """For the gradient of everything."""
    nudging_seconds: float
    """For the numbers listed."""
    forward_passes: int
    """Each from the first layer that the nudge reaches."""
    is_complete: bool
    """Whether every target was reached before the time ran out."""

    @property
    def verdicts(self) -> dict[str, int]:
        """How many there are of each verdict."""
        return dict(Counter(nudge.verdict for nudge in self.nudges))

    @property
    def worst_relative_error(self) -> float | None:
        """Among those that are `ok` or a `mismatch`."""
        errors = [n.relative_error for n in self.nudges if n.verdict in ("ok", "mismatch")]
        return max((error for error in errors if error is not None), default=None)


def check(
    network: Network,
    parameters: Array,
    X: Array,
    Y: Array,
    *,
    targets: Sequence[str] | str | None = None,
    samples: int = 4,
    seed: int = 0,
    method: Method = "auto",
    weights: Array | None = None,
    convention: Convention = "per_example",
    orientation: Orientation = "rows",
    deadline: Callable[[], bool] = lambda: False,
) -> Check:
    """Measure derivatives with dropout off, in float64, beside those of backpropagation.

    The targets are those of `targets_of`. `auto` is the complex step wherever every layer has a complex form, else
    central differences; `direction` measures each tensor along one direction drawn with the seed, in the same way.
    Derivatives by parameters are those of the mean loss, with weights (m,) of Σwl/Σw; by X, Z and A those of the
    convention. `deadline` is asked before each target and ends the check early when true.

    Raises SpecError for an address that is not there, for a complex step through a layer without a complex form, and
    for columns in a network with tensors of more than two axes, DataError as `inspect` does.
    """
    check_orientation(network, orientation)
    check_batch(network, X, Y, weights)
    wanted = targets_of(network, len(X), targets, samples=samples, orientation=orientation, method=method)
    parameters, X, Y = (array.astype(np.float64) for array in (parameters, X, Y))
    begun = time.perf_counter()
    batch = run_pass(network, parameters, X, Y, weights, scale=1.0, shortcut=True)
    backpropagation = time.perf_counter() - begun
    scale = len(X) if convention == "per_example" else 1
    derivatives = _derivatives(batch)
    places = places_of(network, wanted, derivatives, seed=seed, orientation=orientation)
    nudges: list[Nudge] = []
    begun = time.perf_counter()
    with np.errstate(all="ignore"):
        witness = _witness(network, parameters, X, Y, weights, batch, method)
        for place in places:
            if deadline():
                break
            nudges.append(_nudge(witness, place, derivatives[place.name], 1 if place.name in network.shapes else scale))
    return Check(
        nudges=tuple(nudges),
        loss=float(batch.head.examples.mean(dtype=np.float64)),
        backpropagation_seconds=backpropagation,
        nudging_seconds=time.perf_counter() - begun,
        forward_passes=witness.passes,
        is_complete=len(nudges) == len(places),
    )


def _derivatives(batch: Batch) -> dict[str, Array]:
    """The derivative of the mean loss by every tensor, by the tensor's name."""
    workspace, network = batch.workspace, batch.workspace.network
    boundaries = zip(network.boundary_names, workspace.derivatives, strict=True)
    found = {name: array / batch.m for name, array in boundaries}
    return found | network.views(workspace.gradient / batch.m)


def _witness(
    network: Network, parameters: Array, X: Array, Y: Array, weights: Array | None, batch: Batch, method: Method
) -> Witness:
    is_possible = has_complex_form(network)
    if method == "complex" and not is_possible:
        raise SpecError("method", "a layer has no complex form; expected central", code="no_complex_form")
    real = Forward(network, parameters, X, Y, weights)
    if method == "central" or not is_possible:
        return Central(real)
    return ComplexStep(Forward(network, parameters, X, Y, weights, dtype=np.complex128), real, batch)


def _nudge(witness: Witness, place: Place, derivative: Array, scale: int) -> Nudge:
    measured = witness.measure(place)
    analytic = scale * float(np.sum(derivative[place.index] * place.direction))
    numeric, bar = scale * measured.value, scale * measured.error_bar
    if not isfinite(numeric) or not isfinite(bar) or abs(analytic) >= LARGEST:
        bar = inf
    largest = max(abs(analytic), abs(numeric))
    error = abs(analytic - numeric) / largest if largest else None
    return Nudge(
        address=place.address,
        method=witness.method,
        analytic=analytic,
        numeric=numeric,
        error_bar=bar,
        relative_error=error,
        digits=_digits(error),
        verdict=_verdict(analytic, numeric, bar, witness.slack, has_flipped=bool(measured.flipped)),
        flipped=measured.flipped,
    )


def _digits(error: float | None) -> float:
    """How many decimal digits agree."""
    return min(MOST_DIGITS, max(0.0, -log10(error))) if error else MOST_DIGITS


def _verdict(analytic: float, numeric: float, bar: float, slack: float, *, has_flipped: bool) -> Verdict:
    if has_flipped:
        return "kink"
    if bar < inf and not abs(analytic - numeric) <= 2 * bar + slack * abs(analytic):
        return "mismatch"
    if bar == inf or 0 < max(abs(analytic), abs(numeric)) <= bar:
        return "below_noise"
    return "ok"
