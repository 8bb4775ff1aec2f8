"""Estimates: how long computing steps again and inspecting will take, told before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.data import Preprocessing
from engine.inspection.costs import cost
from service.domain.courses import Course
from service.domain.inspections import Subject, check_size
from service.domain.journeys import Journey
from service.errors import TooLarge
from service.settings import Limits
from service.store import checkpoints as stored
from service.store.tables import RunRow

STEP_SECONDS = 0.001
"""Taken for a step of a run that has reported no epoch yet."""
ENCODING_SECONDS = 2e-8
"""For each number of the rows that a run trains on, which a process encodes before it computes steps."""
PROCESS_SECONDS = 0.1
SURELY = 3.0
"""An estimate that is so many times the limit is no longer tried."""
LONG_SECONDS = 2.0
"""Above this, a request is better answered later."""


@dataclass(frozen=True)
class Estimate:
    """What a request will cost, about."""

    replayed_steps: int = 0
    """Steps that are computed again."""
    replay_seconds: float = 0.0
    backward_passes: float = 0.0
    """Of the quantities, beside the pass itself."""
    pass_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Altogether."""
        return self.replay_seconds + self.pass_seconds

    @property
    def is_long(self) -> bool:
        """Whether the request is better sent with `Prefer: respond-async`."""
        return self.seconds > LONG_SECONDS


def of_replay(session: Session, run: RunRow, course: Course, moments: Sequence[int]) -> Estimate:
    """Of going to some moments of a run, in their order, and looking at each."""
    places = stored.waypoint_places(session, run.id)
    steps = Journey.steps_to(moments, [epoch * course.steps_per_epoch + step for epoch, step in places])
    numbers = course.steps_per_epoch * course.batch_rows * Preprocessing.from_json(run.preprocessing).n_in
    seconds = PROCESS_SECONDS + numbers * ENCODING_SECONDS + steps * (course.step_seconds or STEP_SECONDS)
    return Estimate(replayed_steps=steps, replay_seconds=seconds)


def of_pass(subject: Subject, quantities: Sequence[str], limits: Limits, replay: Estimate | None = None) -> Estimate:
    """Of inspecting a subject, once it is there. Raises what inspecting it would raise before it begins."""
    check_size(subject, limits, quantities)
    found = cost(
        subject.network,
        subject.parameters,
        subject.X,
        subject.Y,
        quantities=quantities,
        weights=subject.weights,
        options=subject.options,
    )
    before = replay or Estimate()
    return Estimate(before.replayed_steps, before.replay_seconds, found.backward_passes, found.seconds)


def check(estimate: Estimate, limits: Limits) -> None:
    """TooLarge for a replay that would surely take longer than it may, before it is begun."""
    if estimate.replay_seconds > SURELY * limits.replay_seconds:
        raise TooLarge(
            f"Computing {estimate.replayed_steps} steps again would take about {estimate.replay_seconds:.0f} seconds, "
            f"at most {limits.replay_seconds} are allowed; ask for fewer, or send it with Prefer: respond-async.",
            limit="replay_seconds",
            maximum=limits.replay_seconds,
            estimated_seconds=estimate.replay_seconds,
        )
