"""Checkpoints: naming a moment of a run, and giving out its weights."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
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
from service.store.tables import CheckpointRow, RunRow

_MOMENT = re.compile(r"best|last|epoch:(?P<epoch>\d{1,9})|checkpoint:(?P<checkpoint>\w{1,60})")


@dataclass(frozen=True)
class Moment:
    """A run's network at one stored moment."""

    run_id: str
    checkpoint_id: str
    epoch: int
    step: int
    spec: RunSpec
    preprocessing: Preprocessing
    network: Network
    parameters: Array
    fingerprint: dict[str, Any]


def find(session: Session, run: RunRow, at: str) -> CheckpointRow:
    """The checkpoint that `best`, `last`, `epoch:3` or `checkpoint:ckpt_…` names; NotFound lists what is stored."""
    match = _MOMENT.fullmatch(at)
    if match is None:
        raise Unprocessable(
            f"at: expected best, last, epoch:<number> or checkpoint:<id>, got {at[:60]!r}.", code="bad_moment"
        )
    rows = store.of_run(session, run.id)
    found = [row for row in rows if _is_meant(row, at, match)]
    if found:
        return found[0]
    if not rows:
        raise NotFound(f"Run {run.id} has no checkpoint yet; it is {run.status}.", code="no_checkpoint")
    stored = ", ".join(f"epoch:{row.epoch}" for row in rows[:20] if row.step == 0) or "none at an epoch's end"
    raise NotFound(f"Run {run.id} has no checkpoint {at}; stored are best, last, {stored}.", code="no_checkpoint")


def _is_meant(row: CheckpointRow, at: str, match: re.Match[str]) -> bool:
    if at == "best":
        return row.is_best
    if match["epoch"] is not None:
        return row.epoch == int(match["epoch"]) and row.step == 0
    return at == "last" or row.id == match["checkpoint"]


def moment(session: Session, run: RunRow, at: str) -> Moment:
    """The network with the parameters of a checkpoint. A run without a best one yet gives its last."""
    row = find(session, run, at)
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
