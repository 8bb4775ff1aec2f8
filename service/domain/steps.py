"""Steps: everything a step of a training saw and did, computed again when someone looks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from engine.data import Preprocessing
from engine.inspection import Convention, ObservedStep, Orientation, check_orientation
from engine.inspection.names import derivative_of
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.domain import courses, estimates, replays, runs
from service.domain.courses import Course
from service.domain.estimates import Estimate
from service.domain.inspections import units_of
from service.domain.journeys import Journey
from service.errors import Fault, Parameter, TooLarge, Unprocessable
from service.settings import Limits, Settings
from service.store.database import Database
from service.store.tables import Json, RunRow


@dataclass(frozen=True)
class ParameterChange:
    """What a step did to a parameter, in norms."""

    name: str
    norm: float
    """Before the update."""
    gradient_norm: float
    """Of the batch's mean loss, without penalty or clipping."""
    update_norm: float
    update_ratio: float | None
    """‖update‖/‖parameter‖; None where that is 0."""


@dataclass(frozen=True)
class BoundaryState:
    """What stood at a boundary between two layers, in norms."""

    name: str
    norm: float
    derivative_norm: float
    """Of the derivative of the batch's mean loss."""
    zero_share: float
    """Of its numbers, those that are exactly 0."""


@dataclass(frozen=True)
class Seen:
    """What a process gives back of a step it observed."""

    step: ObservedStep
    """With the tensors asked for alone."""
    row_numbers: Array
    """Of the dataset."""
    parameters: tuple[ParameterChange, ...]
    boundaries: tuple[BoundaryState, ...]
    names: tuple[str, ...]
    """Of every tensor there is."""


@dataclass(frozen=True)
class StepView:
    """A step of a run, and how it came about."""

    course: Course
    seen: Seen
    replay: Json
    units: str

    def tensors(self, convention: Convention, orientation: Orientation) -> dict[str, Array]:
        """The tensors asked for: with columns as matrices whose columns are examples.

        The step itself worked with the derivatives of the mean loss; `per_example` ones are m times as large.
        """
        step = self.seen.step
        found = step.tensors
        if convention == "per_example":
            own = {derivative_of(boundary.name) for boundary in self.seen.boundaries}
            found = {name: array * len(step.rows) if name in own else array for name, array in found.items()}
        return {name: array.T for name, array in found.items()} if orientation == "columns" else found


def view(
    database: Database,
    settings: Settings,
    run_id: str,
    at: str,
    *,
    tensors: Sequence[str] = (),
    orientation: Orientation = "rows",
) -> StepView:
    """A step of a run with the tensors asked for: by name, or every one of a quantity."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        course = courses.course(session, run)
        number = courses.step_at(session, run, at)
        units = _check(run, course, settings.limits, orientation)
        estimates.check(estimates.of_replay(session, run, course, [number - 1]), settings.limits)
    travelled = replays.go(settings, run, partial(_observed, number=number, asked=tuple(tensors)))
    seen = travelled.found
    for name in tensors:
        if not named(seen.names, (name,)):
            detail = f"there is no {name[:60]!r} in a step of this run"
            fault = Fault(Parameter("query", "tensors"), "unknown_tensor", detail, seen.names[:200])
            raise Unprocessable(f"tensors: {detail}.", code="unknown_tensor", errors=[fault])
    return StepView(course, seen, replays.trust(database, settings, run, travelled), units)


def estimate(database: Database, run_id: str, at: str) -> Estimate:
    """What `view` of a step would cost."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        number = courses.step_at(session, run, at)
        return estimates.of_replay(session, run, courses.course(session, run), [number - 1])


def named(names: Collection[str], asked: Sequence[str]) -> list[str]:
    """Those of the names that are asked for: dW.1 alone, or dW, after, opt.m for all that begin so."""
    return [name for name in names if any(name == each or name.startswith(f"{each}.") for each in asked)]


def _check(run: RunRow, course: Course, limits: Limits, orientation: Orientation) -> str:
    """Refuse a step that is too large to keep every boundary of, and columns where there are none; gives its units."""
    spec, preprocessing = RunSpec.model_validate(run.resolved), Preprocessing.from_json(run.preprocessing)
    network = Network.of(spec, n_in=preprocessing.n_in)
    check_orientation(network, orientation)
    needed = course.batch_rows * (2 * sum(network.widths) + network.scratch_width) + 8 * network.parameter_count
    if needed > limits.inspect_workspace_numbers:
        raise TooLarge(
            f"A step of this run fills {needed} numbers, at most {limits.inspect_workspace_numbers} are allowed.",
            limit="inspect_workspace_numbers",
            maximum=limits.inspect_workspace_numbers,
        )
    return units_of(network, preprocessing)


# In the process ----------------------------------------------------------------------------------------------------


def _observed(journey: Journey, *, number: int, asked: tuple[str, ...]) -> Seen:
    """Go to the step, take it, and keep what is asked for."""
    journey.to(number - 1)
    step, network = journey.observe(), journey.network
    return Seen(
        step=replace(step, tensors={name: step.tensors[name] for name in named(step.tensors, asked)}),
        row_numbers=journey.rows[step.rows],
        parameters=tuple(_change(step, name) for name in network.shapes),
        boundaries=tuple(_state(step, name) for name in network.boundary_names),
        names=tuple(step.tensors),
    )


def _change(step: ObservedStep, name: str) -> ParameterChange:
    tensors = step.tensors
    norm, gradient, update = (_norm(tensors[each]) for each in (name, derivative_of(name), f"update.{name}"))
    return ParameterChange(name, norm, gradient, update, update / norm if norm else None)


def _state(step: ObservedStep, name: str) -> BoundaryState:
    array, derivative = step.tensors[name], step.tensors[derivative_of(name)]
    return BoundaryState(name, _norm(array), _norm(derivative), float((array == 0).mean()))


def _norm(array: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(array.astype(np.float64)))
