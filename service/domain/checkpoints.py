"""Checkpoints: naming a moment of a run, and giving out its weights."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.data import Preprocessing
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.errors import NotFound, Unprocessable
from service.store import checkpoints as store
from service.store import runs
from service.store.tables import CheckpointRow, RunRow

_MOMENT = re.compile(r"best|last|epoch:(?P<epoch>\d{1,9})|checkpoint:(?P<checkpoint>\w{1,60})")


@dataclass(frozen=True)
class Moment:
    """A run's network at one moment."""

    run_id: str
    checkpoint_id: str
    """Empty where it was not stored, but computed again."""
    epoch: int
    step: int
    spec: RunSpec
    preprocessing: Preprocessing
    network: Network
    parameters: Array
    fingerprint: dict[str, Any]
    replay: dict[str, Any] = field(default_factory=lambda: {"status": "stored"})
    """How it was computed again."""


def id_of(session: Session, run_id: str, at: str) -> str:
    """The id of the checkpoint that `best`, `last`, `epoch:3` or `checkpoint:ckpt_…` names.

    A run without a best one yet gives its last. NotFound lists what is stored.
    """
    match = _MOMENT.fullmatch(at)
    if match is None:
        raise Unprocessable(
            f"at: expected best, last, epoch:<number> or checkpoint:<id>, got {at[:60]!r}.", code="bad_moment"
        )
    epoch = None if match["epoch"] is None else int(match["epoch"])
    found = store.id_of(session, run_id, best=at == "best", epoch=epoch, checkpoint_id=match["checkpoint"])
    if found is None:
        raise _not_found(session, run_id, at)
    return found


def _not_found(session: Session, run_id: str, at: str) -> NotFound:
    status = runs.status_of(session, run_id)
    if status is None:
        return NotFound(f"There is no run {run_id[:60]}.")
    if store.id_of(session, run_id) is None:
        return NotFound(f"Run {run_id} has no checkpoint yet; it is {status}.", code="no_checkpoint")
    epochs = [f"epoch:{epoch}" for epoch in store.stored_epochs(session, run_id, limit=20)]
    stored = ", ".join(["best", "last", *epochs])
    return NotFound(f"Run {run_id} has no checkpoint {at}; stored are {stored}.", code="no_checkpoint")


def find(session: Session, run_id: str, at: str) -> CheckpointRow:
    """The checkpoint that `at` names, as `id_of` finds it."""
    return session.get_one(CheckpointRow, id_of(session, run_id, at))


def moment(session: Session, run: RunRow, at: str) -> Moment:
    """The network with the parameters of a checkpoint, as `id_of` finds it."""
    return _moment(session, run, find(session, run.id, at))


def stored_row(session: Session, run: RunRow, at: str) -> CheckpointRow | None:
    """The checkpoint that `at` names; None where it names none that is stored, or a moment that never is one."""
    match = _MOMENT.fullmatch(at)
    if match is None:
        return None
    if match["epoch"] is None:
        return find(session, run.id, at)
    found = store.id_of(session, run.id, epoch=int(match["epoch"]))
    return None if found is None else session.get_one(CheckpointRow, found)


def stored_moment(session: Session, run: RunRow, at: str) -> Moment | None:
    """The network with the parameters of a checkpoint; None where `stored_row` finds none."""
    row = stored_row(session, run, at)
    return None if row is None else _moment(session, run, row)


def _moment(session: Session, run: RunRow, row: CheckpointRow) -> Moment:
    spec = RunSpec.model_validate(run.resolved)
    preprocessing = Preprocessing.from_json(run.preprocessing)
    network = Network.of(spec, n_in=preprocessing.n_in)
    parameters = formats.parameters_in(store.content(session, row), network)
    return Moment(run.id, row.id, row.epoch, row.step, spec, preprocessing, network, parameters, row.fingerprint)


# Weights -----------------------------------------------------------------------------------------------------------


def as_npz(moment: Moment) -> bytes:
    """W.1, b.1, … as a NumPy archive."""
    buffer = io.BytesIO()
    np.savez(buffer, **moment.network.views(moment.parameters))  # type: ignore[arg-type]
    return buffer.getvalue()


def as_safetensors(moment: Moment) -> bytes:
    """W.1, b.1, … as a safetensors file."""
    about = {"run": moment.run_id, "checkpoint": moment.checkpoint_id, "epoch": moment.epoch, "step": moment.step}
    return formats.export(moment.network.views(moment.parameters), about)


FORMATS: dict[str, tuple[str, Callable[[Moment], bytes]]] = {
    "npz": ("application/x-npz", as_npz),
    "safetensors": ("application/vnd.safetensors", as_safetensors),
}
"""The binary forms of weights, by name: media type and writer."""
