"""Amendments: a paused run's training changed before it goes on. What was trained before stays as it was."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from engine.data import Preprocessing
from engine.network import Network
from engine.spec import resolve
from engine.training import check_updates
from service.domain import runs
from service.domain.overrides import check_loss, check_position, overridden
from service.errors import Conflict, Fault, Unprocessable
from service.store import events
from service.store.tables import RunRow

FIXED = ("batch_size", "accumulate", "shards")
"""What cuts the steps: a run whose steps were others could not be counted on."""


def amend(session: Session, run_id: str, training: Mapping[str, Any]) -> None:
    """Change parts of a paused run's training. Conflict for one that is not paused."""
    row = runs.row_of(session, run_id)
    _refuse_unless_paused(row)
    asked = overridden(row.resolved, {"training": training})
    faults = [
        Fault(f"/training/{name}", "not_allowed", f"expected {row.resolved['training'][name]} as before; fork instead")
        for name in FIXED
        if getattr(asked.training, name) != row.resolved["training"][name]
    ]
    if faults:
        raise Unprocessable("A run goes on with the steps it has.", errors=faults)
    preprocessing = Preprocessing.from_json(row.preprocessing)
    has_validation = "validation.loss" in row.last["values"] if row.last else row.resolved["split"]["validation"] > 0
    resolved = resolve(asked, preprocessing.facts, features=asked.features or (), has_validation=bool(has_validation))
    check_loss(row.resolved, resolved)
    check_position(row.resolved, resolved, epoch=row.epoch, step=row.step)
    check_updates(Network.of(resolved, n_in=preprocessing.n_in), resolved.training)
    moment = row.epoch * row.steps_per_epoch + row.step
    known = row.amendments
    if not (known and known[-1]["moment"] == moment):
        known = [*known, {"moment": moment, "training": row.resolved["training"]}]
    change = update(RunRow).where(RunRow.id == run_id, RunRow.status == "paused")
    session.execute(
        change.values(resolved=resolved.model_dump(mode="json"), amendments=known).execution_options(
            synchronize_session=False
        )
    )
    events.append(session, run_id, "amended", {"moment": moment, "training": dict(training)})


def _refuse_unless_paused(row: RunRow) -> None:
    if row.status != "paused":
        allowed = list(runs.ACTIONS[row.status])
        raise Conflict(
            f"Only a paused run can be changed; this one is {row.status} and allows {', '.join(allowed)}.",
            code="not_allowed_now",
            allowed_actions=allowed,
        )
