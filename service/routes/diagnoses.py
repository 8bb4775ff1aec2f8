"""The doctor: what is wrong with a run, since when, why, and what would mend it."""

from fastapi import APIRouter

from service.dependencies import LATER, DatabaseDep, Deferrable, InspectTurn, RunId, SettingsDep
from service.domain import diagnoses
from service.problems import errors_of
from service.schemas.diagnoses import Consultation, DiagnosisBody, RulesBody

router = APIRouter(
    prefix="/v1/runs/{run_id}/doctor", tags=["doctor"], dependencies=[Deferrable, InspectTurn], responses=LATER
)
catalogue = APIRouter(prefix="/v1/doctor", tags=["doctor"])


@router.get("", responses=errors_of(404, 409, 413, 422))
def get_diagnosis(run_id: RunId, database: DatabaseDep, settings: SettingsDep) -> DiagnosisBody:
    """What the doctor found when the run ended, or finds now in one under way; consequences stand under causes."""
    return DiagnosisBody.model_validate(diagnoses.diagnosis(database, settings, run_id))


@router.post("", responses=errors_of(400, 404, 409, 413, 422))
def consult_doctor(run_id: RunId, body: Consultation, database: DatabaseDep, settings: SettingsDep) -> DiagnosisBody:
    """The same with other thresholds, or with remedies that are tried in short trainings from before the trouble."""
    found = diagnoses.diagnose(database, settings, run_id, thresholds=body.thresholds, tests=body.test)
    return DiagnosisBody.model_validate(found)


@catalogue.get("/rules", responses=errors_of())
def list_rules() -> RulesBody:
    """Every rule with its condition, its thresholds, and where it comes from."""
    return RulesBody.model_validate({"rules": diagnoses.rules()})
