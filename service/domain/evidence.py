"""Evidence: a step of a run as a file that anyone can recompute with NumPy alone."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.data import Preprocessing
from engine.inspection.evidence import check_evidence, evidence
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec
from service.domain import courses, replays, runs
from service.domain.journeys import Journey
from service.settings import Settings
from service.store.database import Database
from service.store.tables import Json


@dataclass(frozen=True)
class Packed:
    """What a process gives back."""

    content: bytes
    name: str


def pack(database: Database, settings: Settings, run_id: str, at: str) -> tuple[Packed, Json]:
    """The zip of a step, and how far the replay it comes of can be trusted.

    Raises SpecError for a network or a training that the script does not recompute, and as `replays.go` does.
    """
    with database.read() as session:
        run = runs.row_of(session, run_id)
        number = courses.step_at(session, run, at)
    spec, preprocessing = RunSpec.model_validate(run.resolved), Preprocessing.from_json(run.preprocessing)
    check_evidence(Network.of(spec, n_in=preprocessing.n_in), spec)
    travelled = replays.go(settings, run, partial(_packed, number=number))
    return travelled.found, replays.trust(database, settings, run, travelled)


def _packed(journey: Journey, *, number: int) -> Packed:
    journey.to(number - 1)
    step = journey.observe()
    weights: Array | None = None if journey.data.weights is None else journey.data.weights[step.rows]
    about: dict[str, Any] = {
        "run": journey.run_id,
        "row_numbers": journey.rows[step.rows].tolist(),
        "fingerprint": journey.run.fingerprint,
    }
    updates = journey.state.updates
    content = evidence(step, journey.network, journey.spec, updates=updates, weights=weights, about=about)
    return Packed(content, f"{journey.run_id}-step-{number}.zip")
