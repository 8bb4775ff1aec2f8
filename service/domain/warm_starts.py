"""Warm starts: a new run that begins with what another one has learned, where layers have the same name and shape."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.parameters import digest
from engine.training import TrainingState
from service.domain import checkpoints
from service.domain.training import Plan
from service.errors import Fault, NotFound, Unprocessable
from service.ids import new_id
from service.store import checkpoints as stored
from service.store import runs as store
from service.store.database import Database
from service.store.tables import CheckpointRow, RunRow


@dataclass(frozen=True)
class WarmStart:
    """The state a run begins with, and whose it was."""

    run_id: str
    checkpoint_id: str
    content: bytes
    digest: str
    fingerprint: dict[str, object]
    warnings: tuple[str, ...]


def warm_start(database: Database, plan: Plan) -> WarmStart | None:
    """The start a planned run asks for; None if it asks for none.

    NotFound for a run or moment that is not there, Unprocessable where no parameter has a twin of its name and shape.
    """
    asked, network = plan.resolved.warm_start, plan.network
    if asked is None:
        return None
    with database.read() as session:
        run = store.get(session, asked.run)
        if run is None:
            raise NotFound(f"There is no run {asked.run[:60]}.")
        source = checkpoints.moment(session, run, asked.at)
    state = TrainingState.start(network, plan.resolved.training, seed=plan.resolved.seed)
    learned = source.network.views(source.parameters)
    fresh = []
    for name, view in network.views(state.parameters).items():
        if name in learned and learned[name].shape == view.shape:
            view[...] = learned[name]
        else:
            fresh.append(name)
    if len(fresh) == len(network.layout.shapes):
        raise Unprocessable(
            "The runs have no layer in common.",
            code="nothing_in_common",
            errors=[
                Fault(
                    "/warm_start/run",
                    "nothing_in_common",
                    f"expected a network with at least one of {_shown(network.layout.shapes)}, "
                    f"got {_shown(source.network.layout.shapes)}",
                )
            ],
        )
    warnings = (f"{', '.join(fresh)}: no twin of this name and shape in {asked.run}, so drawn anew",) if fresh else ()
    return WarmStart(
        source.run_id,
        source.checkpoint_id,
        formats.dump(state, network),
        digest(state.parameters),
        source.fingerprint,
        warnings,
    )


def _shown(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in list(shapes.items())[:10])


def begin(session: Session, row: RunRow, start: WarmStart) -> None:
    """Give an accepted run its first checkpoint, before any step. It is copied, so its source may go."""
    row.parent_id, row.parent_checkpoint_id = start.run_id, start.checkpoint_id
    first = CheckpointRow(
        id=new_id("ckpt"),
        run_id=row.id,
        epoch=0,
        step=0,
        is_best=False,
        is_periodic=False,
        is_waypoint=True,
        values=None,
        parameters_digest=start.digest,
        fingerprint=start.fingerprint,
        created_at=datetime.now(UTC),
    )
    stored.add(session, first, start.content)
