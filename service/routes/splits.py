"""The split of a run's rows."""

from fastapi import APIRouter

from engine.data import Preprocessing
from service.dependencies import DatabaseDep, InspectTurn, RunId, SettingsDep
from service.domain import runs, splits
from service.problems import errors_of
from service.schemas.splits import SplitBody

router = APIRouter(prefix="/v1/runs/{run_id}/split", tags=["runs"], dependencies=[InspectTurn])


@router.get("", responses=errors_of(404, 409, 422))
def get_split(run_id: RunId, database: DatabaseDep, settings: SettingsDep) -> SplitBody:
    """Which rows train, validate and test: the same on any machine."""
    with database.read() as session:
        run = runs.row_of(session, run_id)
        preprocessing, dataset_id = Preprocessing.from_json(run.preprocessing), run.dataset_id
    split, total = splits.split_of(settings.data, dataset_id, preprocessing)
    parts = {name: split.part(name).tolist() for name in ("train", "validation", "test")}
    return SplitBody(**parts, left_out=total - sum(map(len, parts.values())), total=total)
