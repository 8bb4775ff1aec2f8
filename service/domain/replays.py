"""Replays: any step of a run computed again from the nearest state that was stored, and proved by a digest behind it.

It happens in a process of its own, set up as a worker is: with the same BLAS threads it computes the same bits.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.blas import using_threads
from engine.data import Preprocessing, open_table
from engine.errors import EngineError
from engine.fingerprint import fingerprint
from engine.inspection import Replay
from engine.network import Network
from engine.optimizers import OPTIMIZERS
from engine.parameters import Array
from engine.spec import RunSpec
from engine.training import TrainingState
from service.domain import checkpoints, datasets, runs
from service.domain.checkpoints import Moment
from service.domain.training import parts
from service.errors import Conflict, NotFound, TooLarge, Unavailable, Unprocessable
from service.processes import Lost, NotStarted, apart
from service.settings import Settings
from service.store import checkpoints as stored
from service.store import digests, epochs
from service.store.database import Database
from service.store.tables import CheckpointRow, Json, RunRow

Found = TypeVar("Found")

AT = "a step's number, epoch:3, first, last, best or checkpoint:ckpt_…"
_AT = re.compile(r"(?P<number>\d{1,12})|first|last|best|epoch:(?P<epoch>\d{1,9})|checkpoint:(?P<checkpoint>\w{1,60})")
SPARE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Course:
    """The steps of a run: moment s is after s of them, and step s leads there from moment s − 1."""

    run_id: str
    steps_per_epoch: int
    batch_rows: int
    """How many rows a step looks at, at most."""
    begun: int
    """The first moment of its own: a fork begins where its parent stood."""
    reached: int
    """The furthest one."""
    diverged: int | None
    """The step whose numbers were not finite, where the run ended so."""
    parent: str | None
    step_seconds: float | None
    """What a step took while the run trained, its share of measuring the epoch included."""

    @property
    def furthest_step(self) -> int:
        """The last step there is something to see of."""
        return max(self.reached, self.diverged or 0)


@dataclass(frozen=True)
class Route:
    """All that a process needs to compute a stretch of a run again."""

    resolved: Json
    preprocessing: Json
    table: Path
    folder: Path
    bytes_in_memory: int
    start: bytes | None
    """A checkpoint; None where the seed is the start."""
    start_moment: int
    start_id: str | None
    fingerprint: Json | None
    """What it was computed under; None where nothing was stored."""
    until: int
    """The moment that is wanted."""
    recorded: Mapping[int, Mapping[str, float | None]]
    """What was measured at the end of each epoch from there, where the learning rate goes by it."""
    proof: digests.Noted | None
    """The first digest from `until` on."""


# Where a run stands ------------------------------------------------------------------------------------------------


def course(session: Session, run: RunRow) -> Course:
    """The steps of a run as far as it has come."""
    per_epoch = run.steps_per_epoch
    first = stored.first_waypoint(session, run.id) if run.parent_checkpoint_id else None
    seconds = [value for row in epochs.newest(session, run.id, 5) if (value := row.values.get("seconds"))]
    reached = run.epoch * per_epoch + run.step
    reason = run.reason or {}
    failed = (reason["epoch"] - 1) * per_epoch + reason["step"] if reason.get("code") == "diverged" else None
    return Course(
        run_id=run.id,
        steps_per_epoch=per_epoch,
        batch_rows=_batch_rows(session, run),
        begun=moment_of(first, per_epoch) if first is not None else 0,
        reached=reached,
        diverged=failed if failed == reached + 1 else None,
        parent=run.parent_id,
        step_seconds=sum(seconds) / len(seconds) / per_epoch if seconds else None,
    )


def _batch_rows(session: Session, run: RunRow) -> int:
    training = run.resolved["training"]
    if OPTIMIZERS[training["optimizer"]["type"]].full_batch:
        return datasets.get(session, run.dataset_id).rows
    return int(training["batch_size"])


def moment_of(checkpoint: CheckpointRow, steps_per_epoch: int) -> int:
    """How many steps were done at a checkpoint."""
    return checkpoint.epoch * steps_per_epoch + checkpoint.step


def moment_at(session: Session, run: RunRow, at: str) -> int:
    """How many steps were done at the moment a user names. NotFound tells which moments there are."""
    match, there = _AT.fullmatch(at), course(session, run)
    if match is None:
        raise Unprocessable(f"at: expected {AT}, got {at[:60]!r}.", code="bad_moment")
    if at == "first":
        return there.begun
    if at == "last":
        return there.reached
    if at == "best":
        return there.reached if run.best is None else int(run.best["epoch"]) * there.steps_per_epoch
    if match["checkpoint"] is not None:
        row = session.get(CheckpointRow, match["checkpoint"])
        if row is None or row.run_id != run.id:
            raise NotFound(f"Run {run.id} has no {at}; it has moments {there.begun} to {there.reached}.")
        return moment_of(row, there.steps_per_epoch)
    moment = int(match["number"]) if match["number"] else int(match["epoch"]) * there.steps_per_epoch
    if not there.begun <= moment <= there.reached:
        raise NotFound(_outside(there, f"no moment {at}"), code="no_such_moment")
    return moment


def step_at(session: Session, run: RunRow, at: str) -> int:
    """The number of the step a user names: the one that leads to that moment, but for `first`, which is the first."""
    there = course(session, run)
    number = int(at) if at.isdecimal() and len(at) <= 12 else moment_at(session, run, at) + (at == "first")
    if not there.begun < number <= there.furthest_step:
        raise NotFound(_outside(there, f"no step {at}"), code="no_such_step")
    return number


def _outside(there: Course, what: str) -> str:
    if there.reached == there.begun:
        return f"Run {there.run_id} has {what}: no step of it is done yet."
    behind = f"; what lies before is in {there.parent}, whose fork it is" if there.begun and there.parent else ""
    steps = f"steps {there.begun + 1} to {there.furthest_step}, {there.steps_per_epoch} in an epoch"
    return f"Run {there.run_id} has {what}: it has {steps}{behind}."


# Finding the way ---------------------------------------------------------------------------------------------------


def route(session: Session, settings: Settings, run: RunRow, *, start: int, until: int) -> Route:
    """The way from the nearest stored state at or before a moment to a later one. Conflict where the data is gone."""
    row, content = _nearest(session, run, start)
    if row is None and run.parent_checkpoint_id:
        raise Conflict(f"The states of run {run.id} that steps replay from are not stored.", code="not_stored")
    begun = 0 if row is None else moment_of(row, run.steps_per_epoch)
    path = datasets.path_of(settings.data, run.dataset_id)
    if not path.is_file():
        raise Conflict(
            f"The file of dataset {run.dataset_id} is gone, and steps replay from it.", code="dataset_missing"
        )
    return Route(
        resolved=run.resolved,
        preprocessing=run.preprocessing,
        table=path,
        folder=settings.data,
        bytes_in_memory=min(settings.limits.encoded_bytes_in_memory, run.memory_bytes),
        start=content,
        start_moment=begun,
        start_id=None if row is None else row.id,
        fingerprint=None if row is None else row.fingerprint,
        until=until,
        recorded=_recorded(session, run, begun, until),
        proof=_proof(session, run, until),
    )


def _nearest(session: Session, run: RunRow, moment: int) -> tuple[CheckpointRow | None, bytes | None]:
    """The furthest whole state at or before a moment, with its bytes; the seed's where there is none."""
    epoch, step = divmod(moment, run.steps_per_epoch)
    for row in stored.waypoints_until(session, run.id, epoch=epoch, step=step):
        try:
            return row, stored.content(session, row)
        except stored.DamagedCheckpoint:
            continue
    return None, None


def _recorded(session: Session, run: RunRow, begun: int, until: int) -> dict[int, dict[str, Any]]:
    if run.resolved["training"]["schedule"]["type"] != "reduce_on_plateau":
        return {}
    first, last = (moment // run.steps_per_epoch for moment in (begun, until))
    return epochs.between(session, run.id, first=first + 1, last=last + 1)


def _proof(session: Session, run: RunRow, moment: int) -> digests.Noted | None:
    """The first digest at a moment or behind it: of a step, an epoch's end or a checkpoint."""
    per_epoch = run.steps_per_epoch
    found = [digests.first_from(session, run.id, moment)]
    report = epochs.first_from(session, run.id, -(-moment // per_epoch))
    if report is not None:
        found.append((report.epoch * per_epoch, _short(report.parameters_digest)))
    row = stored.first_waypoint(session, run.id, epoch=moment // per_epoch, step=moment % per_epoch)
    if row is not None:
        found.append((moment_of(row, per_epoch), _short(row.parameters_digest)))
    return min((each for each in found if each is not None), default=None)


def _short(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal)[: digests.DIGEST_BYTES]


# Going it ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replayed(Generic[Found]):
    """What was looked at on the way, and how far it can be trusted."""

    found: Found
    steps: int
    """How many were computed again."""
    proved_at: int | None
    """The moment whose digest was compared; None where none is stored."""
    is_exact: bool
    seconds: float
    fingerprint: Json


def go(way: Route, look: Callable[[Replay, Array], Found], settings: Settings, run: RunRow) -> Replayed[Found]:
    """What `look` finds in the replay of a stretch, whose training rows are the dataset's rows it also gets.

    Raises TooLarge where it takes longer or more memory than it may, Unavailable where no process could be started.
    """
    seconds, memory = settings.limits.replay_seconds, 2 * run.memory_bytes + SPARE_BYTES
    try:
        found: Replayed[Found] = apart(_go, way, look, memory_bytes=memory, seconds=seconds, expected=EngineError)
    except (NotStarted, Lost) as error:
        raise Unavailable("The process that replays steps is gone; try again.") from error
    except TimeoutError as error:
        raise TooLarge(
            f"Computing the steps from {way.start_moment} to {way.until} again takes more than {seconds} seconds.",
            limit="replay_seconds",
            maximum=seconds,
        ) from error
    except MemoryError as error:
        raise TooLarge(
            f"Computing the steps again takes more than {memory} bytes of memory.",
            limit="run_memory_bytes",
            maximum=settings.limits.run_memory_bytes,
        ) from error
    return found


def _go(way: Route, look: Callable[[Replay, Array], Found]) -> Replayed[Found]:
    """In the process: open the run's data at the start, look, and go on to the proof."""
    begun = time.perf_counter()
    spec, preprocessing = RunSpec.model_validate(way.resolved), Preprocessing.from_json(way.preprocessing)
    network = Network.of(spec, n_in=preprocessing.n_in)
    with using_threads(spec.training.threads):
        rows = parts(
            spec,
            preprocessing,
            network,
            open_table(way.table),
            bytes_in_memory=way.bytes_in_memory,
            folder=way.folder,
        )
        data = rows.training
        state = TrainingState.of(spec, network, data) if way.start is None else formats.load(way.start, network)
        replay = Replay(
            network,
            data,
            spec.training,
            state,
            seed=spec.seed,
            recorded=lambda epoch: way.recorded.get(epoch, {}),
        )
        found = look(replay, rows.train_rows)
        if way.proof is not None:
            replay.to(way.proof[0])
        return Replayed(
            found=found,
            steps=replay.moment - way.start_moment,
            proved_at=None if way.proof is None else way.proof[0],
            is_exact=way.proof is not None and _short(replay.digest()) == way.proof[1],
            seconds=time.perf_counter() - begun,
            fingerprint=fingerprint(spec.training.dtype),
        )


# Judging it --------------------------------------------------------------------------------------------------------


def trust(database: Database, settings: Settings, run: RunRow, way: Route, replayed: Replayed[Any]) -> Json:
    """How a replay came about, and whether it is the run bit for bit; where it isn't, how far it is off, and why."""
    told: Json = {
        "status": "exact" if replayed.is_exact else "approximate",
        "start": {"checkpoint": way.start_id, "moment": way.start_moment},
        "steps": replayed.steps,
        "proved_at": replayed.proved_at,
        "seconds": replayed.seconds,
        "changed": {},
        "largest_difference": None,
    }
    if replayed.is_exact:
        return told
    then = run.fingerprint if way.fingerprint is None else way.fingerprint
    now = replayed.fingerprint
    told["changed"] = {name: [(then or {}).get(name), now[name]] for name in now if (then or {}).get(name) != now[name]}
    if replayed.proved_at is not None:
        told["largest_difference"] = _difference(database, settings, run, way, replayed.proved_at)
    return told


def _difference(database: Database, settings: Settings, run: RunRow, way: Route, moment: int) -> Json | None:
    """How far the replay is from the next stored state; None where none is stored behind it."""
    epoch, step = divmod(moment, run.steps_per_epoch)
    with database.read() as session:
        row = stored.first_waypoint(session, run.id, epoch=epoch, step=step)
        content = None if row is None else stored.content(session, row)
    if row is None or content is None:
        return None
    at = moment_of(row, run.steps_per_epoch)
    look = partial(_compared, content=content, moment=at)
    absolute, ulps = go(replace(way, until=at, proof=None), look, settings, run).found
    return {"moment": at, "absolute": absolute, "ulps": ulps}


def _compared(replay: Replay, rows: Array, *, content: bytes, moment: int) -> tuple[float, float]:
    """The largest difference of a parameter from the stored one, and in units of its last place."""
    replay.to(moment)
    expected = formats.load(content, replay.network).parameters
    apart_by = np.abs(replay.state.parameters.astype(np.float64) - expected)
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
        way = route(session, settings, run, start=number, until=number)
    replayed = go(way, partial(_served, moment=number), settings, run)
    spec, preprocessing = RunSpec.model_validate(run.resolved), Preprocessing.from_json(run.preprocessing)
    epoch, step = divmod(number, run.steps_per_epoch)
    return Moment(
        run_id=run.id,
        checkpoint_id="",
        epoch=epoch,
        step=step,
        spec=spec,
        preprocessing=preprocessing,
        network=Network.of(spec, n_in=preprocessing.n_in),
        parameters=replayed.found,
        fingerprint=replayed.fingerprint,
        replay=trust(database, settings, run, way, replayed),
    )


def _served(replay: Replay, rows: Array, *, moment: int) -> Array:
    """The parameters that are served at a moment: their average where the run keeps one."""
    replay.to(moment)
    served = replay.state.parameters if replay.state.average is None else replay.state.average
    return served.copy()  # as the replay goes on behind it
