"""Looks: what the doctor notes of one step, from the step itself and from a pass over some training rows before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.errors import EngineError
from engine.inspection.gains import Ledger, gains
from engine.inspection.names import derivative_of
from engine.inspection.observation import ObservedStep
from engine.inspection.quantities import QUANTITIES, Options, Pass, run_pass
from engine.inspection.quantities.units import FLATTEST, STEEPEST, activations_of, slopes_of
from engine.layers import Activation
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from engine.training import TrainingData, TrainingState

PROBED = 256
"""Training rows that are passed at each look."""
LISTED = 20


class Course(Protocol):
    """A training that can be taken up at any of its moments: moment s is after s steps."""

    network: Network
    spec: RunSpec

    @property
    def data(self) -> TrainingData:
        """What it trains on."""

    @property
    def state(self) -> TrainingState:
        """As it is at the moment reached."""

    def to(self, moment: int) -> None:
        """Go to a moment."""

    def observe(self) -> ObservedStep:
        """Take the next step, and keep all of it."""


@dataclass(frozen=True)
class Sizes:
    """Of one parameter, in norms."""

    norm: float
    gradient: float
    mean_gradient: float
    """The mean of |g| over its elements."""
    update: float

    @property
    def ratio(self) -> float:
        """‖update‖/‖parameter‖; NaN of a parameter that is 0."""
        return self.update / self.norm if self.norm else np.nan


@dataclass(frozen=True)
class Units:
    """Of one activation, over the rows passed."""

    name: str
    """A.1."""
    kind: str
    count: int
    dead: tuple[int, ...]
    """Units whose slope is 0 for every row."""
    saturated: float
    """The share of units whose mean slope is below a twentieth of the steepest."""
    z_std: float
    a_std: float
    is_output: bool

    @property
    def layer(self) -> int | None:
        """The number of the layer it belongs to."""
        number = self.name.rpartition(".")[2]
        return int(number) if self.name.startswith("A.") else None

    @property
    def dead_share(self) -> float:
        """Of its units."""
        return len(self.dead) / self.count


@dataclass(frozen=True)
class Bad:
    """The first number of a step that is not finite, in the order of evaluation."""

    tensor: str
    example: int
    unit: str
    value: float
    before: str
    """The tensor it was computed from."""
    largest: float
    """The largest size in that one."""


@dataclass(frozen=True)
class Look:
    """One step as the doctor sees it."""

    step: int
    epoch: int
    m: int
    loss: float
    learning_rate: float
    gradient_norm: float
    parameters: dict[str, Sizes]
    units: tuple[Units, ...]
    ledger: Ledger | None
    """None where the pass is not finite."""
    twins: tuple[int, ...]
    """Layers of which two units have the same weights and the same gradients."""
    alpha: float
    norm_test: float
    """For the batch's number of rows."""
    penalty_ratio: float
    """‖the penalty's gradient‖ beside the data's."""
    top_share: float
    """Of Σ‖g_i‖², what the hundredth of the rows with the largest has."""
    largest_class: float
    """The share of rows for which the same output is largest; of one output, on the same side of a half."""
    output_std: float
    """Of the outputs over rows, the largest of them."""
    bad: Bad | None

    @property
    def weights(self) -> dict[int, Sizes]:
        """Of each W, by its layer's number."""
        return {int(name[2:]): sizes for name, sizes in self.parameters.items() if name.startswith("W.")}

    @property
    def ratios(self) -> list[float]:
        """‖update‖/‖W‖ of each W."""
        return [sizes.ratio for sizes in self.weights.values() if np.isfinite(sizes.ratio)]


def look_at(course: Course, step: int, rows: Array) -> Look:
    """Go to a step, take it, and note what it tells; `rows` are the training rows to pass before it."""
    course.to(step - 1)
    network, before = course.network, course.state.parameters.astype(np.float64)
    with np.errstate(all="ignore"):
        seen = course.observe()
        after = course.state.parameters.astype(np.float64)
        parameters = {name: _sizes(seen, name) for name in network.shapes}
        X, Y = (array[rows].astype(np.float64) for array in (course.data.X, course.data.Y))
        batch = run_pass(network, before, X, Y, None)
        passed = Pass(batch, Options(after=after, learning_rate=seen.learning_rate))
        outputs = batch.slots[-1].y
        is_whole = bool(np.isfinite(outputs).all() and np.isfinite(batch.workspace.gradient).all())
        squares = passed.gradients.total_squares if is_whole else np.zeros(len(rows))
        return Look(
            step=seen.number,
            epoch=seen.epoch,
            m=len(seen.rows),
            loss=seen.loss,
            learning_rate=seen.learning_rate,
            gradient_norm=seen.gradient_norm,
            parameters=parameters,
            units=tuple(_units(name, layer, slot, network) for name, layer, slot in activations_of(passed)),
            ledger=gains(network, before, X, Y) if is_whole else None,
            twins=_twins(network, batch.workspace.gradient, before),
            alpha=_quantity(passed, "alpha") if is_whole else np.nan,
            norm_test=_quantity(passed, "norm_test") * np.sqrt(len(rows) / max(1, len(seen.rows))),
            penalty_ratio=_penalty_ratio(course.spec, network, before, batch.workspace.gradient / len(rows)),
            top_share=_top_share(squares),
            largest_class=_largest_class(outputs),
            output_std=float(outputs.std(axis=0).max()),
            bad=_first_bad(seen, network),
        )


def probe_rows(data: TrainingData) -> Array:
    """Up to PROBED training rows, evenly apart."""
    n = len(data.X)
    return np.unique(np.linspace(0, n - 1, min(n, PROBED)).round().astype(np.int64))


def _sizes(seen: ObservedStep, name: str) -> Sizes:
    value, gradient, update = (
        seen.tensors[each].astype(np.float64) for each in (name, derivative_of(name), f"update.{name}")
    )
    norms = [float(np.linalg.norm(each)) for each in (value, gradient, update)]
    return Sizes(norms[0], norms[1], float(np.abs(gradient).mean()), norms[2])


def _units(name: str, layer: Activation, slot: object, network: Network) -> Units:
    kind = layer.spec.model_fields["type"].default
    slopes = slopes_of(layer, slot)  # type: ignore[arg-type]
    slopes = slopes.reshape(-1, slopes.shape[-1])
    steepest = min(1.0, STEEPEST.get(kind, 1.0))
    z, a = slot.x, slot.y  # type: ignore[attr-defined]
    return Units(
        name=name,
        kind=kind,
        count=slopes.shape[1],
        dead=tuple(np.flatnonzero(slopes.max(axis=0) == 0).tolist()),
        saturated=float((slopes.mean(axis=0) < FLATTEST * steepest).mean()),
        z_std=float(z.std()),
        a_std=float(a.std()),
        is_output=layer is network.layers[-1],
    )


def _twins(network: Network, gradient: Array, before: Array) -> tuple[int, ...]:
    """A layer whose units are alike in W and in dW stays so: its columns point the same way, bit for bit or nearly."""
    found = []
    gradients, values = network.views(gradient), network.views(before)
    hidden = [name for name in network.shapes if name.startswith("W.") and values[name].ndim == 2][:-1]
    for name in hidden:
        W, dW = values[name], gradients[name]
        if W.shape[1] > 1 and _are_alike(W) and (_are_alike(dW) or not dW.any()):
            found.append(int(name[2:]))
    return tuple(found)


def _are_alike(matrix: Array) -> bool:
    first = matrix[:, :1]
    return bool(np.allclose(matrix, first, rtol=1e-9, atol=1e-12 * max(1e-300, float(np.abs(first).max(initial=0)))))


def _quantity(passed: Pass, name: str) -> float:
    """A quantity's number; NaN where it is not known for the network or the rows."""
    try:
        [found] = QUANTITIES[name].of(passed).values()
    except EngineError:
        return np.nan
    return float(found)


def _penalty_ratio(spec: RunSpec, network: Network, before: Array, gradient: Array) -> float:
    training, total = spec.training, 0.0
    for name, W in network.views(before).items():
        if name.startswith("W."):
            total += float(np.linalg.norm(training.l2 * W + training.l1 * np.sign(W))) ** 2
    data = float(np.linalg.norm(gradient))
    return total**0.5 / data if data else (np.inf if total else 0.0)


def _top_share(squares: Array) -> float:
    total, count = float(squares.sum()), max(1, len(squares) // 100)
    return float(np.sort(squares)[-count:].sum()) / total if total else 0.0


def _largest_class(outputs: Array) -> float:
    flat = outputs.reshape(len(outputs), -1)
    chosen = flat.argmax(axis=1) if flat.shape[1] > 1 else (flat[:, 0] > 0.5).astype(np.int64)
    return float(np.bincount(chosen).max() / len(chosen))


def _first_bad(seen: ObservedStep, network: Network) -> Bad | None:
    names: Sequence[str] = [*network.boundary_names, *map(derivative_of, reversed(network.boundary_names))]
    names = [*names, *map(derivative_of, network.shapes), *(f"after.{name}" for name in network.shapes)]
    before = "the parameters"
    for name in (each for each in names if each in seen.tensors):
        array = seen.tensors[name]
        if not np.isfinite(array).all():
            place = np.argwhere(~np.isfinite(array.reshape(len(array), -1)))[0]
            source = seen.tensors.get(before)
            return Bad(
                tensor=name,
                example=int(place[0]),
                unit=f"{name}[{place[0]},{place[1]}]" if array.ndim > 1 else f"{name}[{place[0]}]",
                value=float(array.reshape(len(array), -1)[tuple(place)]),
                before=before,
                largest=float(np.abs(source).max()) if source is not None else np.nan,
            )
        before = name
    return None
