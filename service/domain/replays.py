"""Replays: what a journey through a run's steps found, how far it can be trusted, and the network at any moment."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from engine import checkpoints as formats
from engine.data import Preprocessing
from engine.errors import EngineError
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.domain import checkpoints, courses, datasets, estimates, runs
from service.domain.checkpoints import Moment
from service.domain.courses import moment_at, moment_of
from service.domain.estimates import Estimate
from service.domain.journeys import Journey, Travelled, travel
from service.errors import Conflict, TooLarge, Unavailable
from service.processes import Lost, NotStarted, apart
from service.settings import Settings
from service.store import checkpoints as stored
from service.store.database import Database
from service.store.tables import Json, RunRow

Found = TypeVar("Found")

SPARE_BYTES = 512 * 1024 * 1024


def go(settings: Settings, run: RunRow, look: Callable[[Journey], Found]) -> Travelled[Found]:
    """What `look` finds on a journey through the run, in a process of its own.

    Raises what `look` raises of EngineError, Conflict where the data is gone, TooLarge where it takes longer or more
    memory than it may, Unavailable where no process could be started.
    """
    if not datasets.path_of(settings.data, run.dataset_id).is_file():
        raise Conflict(
            f"The file of dataset {run.dataset_id} is gone, and steps are computed from it.", code="dataset_missing"
        )
    seconds, memory = settings.limits.replay_seconds, 2 * run.memory_bytes + SPARE_BYTES
    try:
        found: Travelled[Found] = apart(
            travel, settings, run.id, look, memory_bytes=memory, seconds=seconds, expected=EngineError
        )
    except (NotStarted, Lost) as error:
        raise Unavailable("The process that computes steps again is gone; try again.") from error
    except TimeoutError as error:
        raise TooLarge(
            f"Computing the steps again takes more than {seconds} seconds.", limit="replay_seconds", maximum=seconds
        ) from error
    except MemoryError as error:
        raise TooLarge(
            f"Computing the steps again takes more than {memory} bytes of memory.",
            limit="run_memory_bytes",
            maximum=settings.limits.run_memory_bytes,
        ) from error
    return found


# How far it can be trusted -----------------------------------------------------------------------------------------


def trust(database: Database, settings: Settings, run: RunRow, travelled: Travelled[Any]) -> Json:
    """How a journey went, and whether it is the run bit for bit; where it isn't, how far it is off, and why."""
    stretches = travelled.stretches
    first, last = stretches[0], stretches[-1]
    told: Json = {
        "status": "exact" if all(stretch.is_exact for stretch in stretches) else "approximate",
        "start": {"checkpoint": first.start, "moment": first.start_moment},
        "steps": sum(stretch.steps for stretch in stretches),
        "proved_at": last.proved_at,
        "seconds": travelled.seconds,
        "changed": {},
        "largest_difference": None,
    }
    off = next((stretch for stretch in stretches if not stretch.is_exact), None)
    if off is None:
        return told
    then, now = off.then or {}, travelled.fingerprint
    told["changed"] = {name: [then.get(name), now[name]] for name in now if then.get(name) != now[name]}
    if off.proved_at is not None:
        told["largest_difference"] = _difference(database, settings, run, off.proved_at)
    return told


def _difference(database: Database, settings: Settings, run: RunRow, moment: int) -> Json | None:
    """How far a journey is from the next stored state; None where none is stored behind the moment."""
    epoch, step = divmod(moment, run.steps_per_epoch)
    with database.read() as session:
        row = stored.first_waypoint(session, run.id, epoch=epoch, step=step)
        content = None if row is None else stored.content(session, row)
    if row is None or content is None:
        return None
    at = moment_of(row, run.steps_per_epoch)
    absolute, ulps = go(settings, run, partial(_compared, content=content, moment=at)).found
    return {"moment": at, "absolute": absolute, "ulps": ulps}


def _compared(journey: Journey, *, content: bytes, moment: int) -> tuple[float, float]:
    """The largest difference of a parameter from the stored one, and in units of its last place."""
    journey.to(max(moment - 1, 0))  # not by the stored state itself
    journey.replay.to(moment)
    expected = formats.load(content, journey.network).parameters
    apart_by = np.abs(journey.state.parameters.astype(np.float64) - expected)
    return float(apart_by.max()), float((apart_by / np.spacing(np.abs(expected))).max())


# A moment of it ----------------------------------------------------------------------------------------------------


def moment(database: Database, settings: Settings, run_id: str, at: str) -> Moment:
    """The network at any moment of a run: as it was stored, else computed again."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        found = checkpoints.stored_moment(session, run, at)
        if found is not None:
            return found
        number = moment_at(session, run, at)
        estimates.check(estimates.of_replay(session, run, courses.course(session, run), [number]), settings.limits)
    travelled = go(settings, run, partial(_served, moment=number))
    return replace(
        _unplayed(run, number),
        parameters=travelled.found,
        fingerprint=travelled.fingerprint,
        replay=trust(database, settings, run, travelled),
    )


def moments(database: Database, settings: Settings, run_id: str, numbers: Sequence[int]) -> list[Moment]:
    """The network after so many steps each, ascending, all computed again on one journey."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        estimates.check(estimates.of_replay(session, run, courses.course(session, run), numbers), settings.limits)
    travelled = go(settings, run, partial(_served_each, moments=tuple(numbers)))
    replay = trust(database, settings, run, travelled)
    return [
        replace(_unplayed(run, number), parameters=parameters, fingerprint=travelled.fingerprint, replay=replay)
        for number, parameters in zip(numbers, travelled.found, strict=True)
    ]


def moment_estimate(database: Database, run_id: str, at: str) -> tuple[Estimate, Moment]:
    """What `moment` would cost, and the moment as it was stored, else with the first parameters in place of its own."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        found = checkpoints.stored_moment(session, run, at)
        if found is not None:
            return Estimate(), found
        number = moment_at(session, run, at)
        return estimates.of_replay(session, run, courses.course(session, run), [number]), _unplayed(run, number)


def _unplayed(run: RunRow, number: int) -> Moment:
    spec, preprocessing = RunSpec.model_validate(run.resolved), Preprocessing.from_json(run.preprocessing)
    network = Network.of(spec, n_in=preprocessing.n_in)
    epoch, step = divmod(number, run.steps_per_epoch)
    return Moment(
        run_id=run.id,
        checkpoint_id="",
        epoch=epoch,
        step=step,
        spec=spec,
        preprocessing=preprocessing,
        network=network,
        parameters=network.initial_parameters(seed=spec.seed, dtype=spec.training.dtype),
        fingerprint={},
    )


def state(settings: Settings, run: RunRow, moment: int) -> bytes:
    """The checkpoint of a moment that was not stored. Conflict where it can't be proved to be the run's."""
    travelled = go(settings, run, partial(_dumped, moment=moment))
    if not travelled.stretches[0].is_exact:
        raise Conflict(
            f"The steps to {moment} can't be computed again bit for bit here; fork from a moment that is stored.",
            code="not_exact",
        )
    return travelled.found


def _dumped(journey: Journey, *, moment: int) -> bytes:
    return formats.dump(journey.state_at(moment), journey.network)


def _served(journey: Journey, *, moment: int) -> Array:
    """The parameters that are served at a moment: their average where the run keeps one."""
    journey.to(moment)
    state = journey.state
    return (state.parameters if state.average is None else state.average).copy()  # as the journey goes on behind it


def _served_each(journey: Journey, *, moments: tuple[int, ...]) -> list[Array]:
    return [_served(journey, moment=moment) for moment in moments]
