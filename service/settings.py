"""Every setting of the service. Each is read from the environment as CHAINRULE_<NAME>, limits included."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, Secret, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

KIB, MIB, GIB = 1024, 1024**2, 1024**3
Positive = Annotated[int, Field(ge=1)]


class Limits(BaseSettings):
    """What one request or run may ask for, checked before work starts and published at /v1/limits."""

    model_config = SettingsConfigDict(env_prefix="CHAINRULE_LIMIT_", env_ignore_empty=True, extra="forbid", frozen=True)

    header_bytes: Positive = 64 * KIB
    upload_bytes: Positive = 2 * GIB
    json_upload_bytes: Positive = 256 * MIB
    decompressed_bytes: Positive = 4 * GIB
    request_bytes: Positive = 8 * MIB
    predict_bytes: Positive = 32 * MIB
    inspect_bytes: Positive = 32 * MIB
    dataset_rows: Positive = 20_000_000
    dataset_columns: Positive = 10_000
    dataset_cells: Positive = 500_000_000
    parallel_ingests: Positive = 4
    ingest_seconds: Positive = 300
    ingest_memory_bytes: Positive = 8 * GIB
    layers: Positive = 100
    parameters: Positive = 50_000_000
    epochs: Positive = 100_000
    run_memory_bytes: Positive = 4 * GIB
    encoded_bytes_in_memory: Positive = 512 * MIB
    queued_runs: Positive = 10_000
    checkpoint_bytes: Annotated[int, Field(ge=1, le=10**9)] = 10**9
    checkpoint_bytes_per_run: Positive = 512 * MIB
    waypoint_bytes_per_run: Annotated[int, Field(ge=0)] = 128 * MIB
    predict_rows: Positive = 100_000
    evaluate_numbers: Positive = 200_000_000
    inspect_rows: Positive = 4_096
    inspect_numbers: Positive = 2_000_000
    inspect_answer_bytes: Positive = 256 * MIB
    inspect_workspace_numbers: Positive = 50_000_000
    inspect_seconds: Positive = 60
    check_nudges: Positive = 2_000
    check_seconds: Positive = 20
    influence_rows: Positive = 1_000_000
    replay_seconds: Positive = 60
    deferred_requests: Positive = 1_000
    deferred_seconds: Positive = 3_600


class Settings(BaseSettings):
    """How this process runs."""

    model_config = SettingsConfigDict(env_prefix="CHAINRULE_", env_ignore_empty=True, extra="ignore", frozen=True)

    data: Path = Path("chainrule-data")
    database_url: str | None = Field(None, description="Default: the SQLite file chainrule.sqlite3 in the data folder.")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    root_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = Field(
        "", description="Under which a proxy shows it, such as /chainrule."
    )
    token: Secret[Annotated[str, Field(min_length=16)]] | None = Field(
        None, description="When set, every request needs `Authorization: Bearer <token>`."
    )
    allow_any_host: bool = Field(False, description="Bind beyond loopback without a token, and answer any Host name.")
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    workers: Annotated[int, Field(ge=0, le=256)] = Field(default_factory=lambda: os.cpu_count() or 1)
    worker_threads: Positive = Field(1, description="BLAS threads of each worker; part of a run's fingerprint.")
    lease_seconds: Annotated[float, Field(gt=0)] = 15.0
    checkpoint_seconds: Annotated[float, Field(gt=0)] = 10.0
    replay_seconds: Annotated[
        float, Field(gt=0, description="How far apart, in seconds of training, the states are that steps replay from.")
    ] = 1.0
    doctor: bool = Field(True, description="Whether workers look at a run when it has ended, for what was wrong.")
    shutdown_seconds: Annotated[float, Field(gt=0)] = 8.0
    read_seconds: Annotated[float, Field(gt=0, description="How long a body may stand still.")] = 30.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False

    limits: Limits = Field(default_factory=Limits)

    @property
    def database(self) -> "URL | str":
        """The URL of the database, made of its parts: in a URL as text some characters of a path would mean more."""
        from sqlalchemy.engine import URL  # heavy, and most commands only talk to a server

        file = (self.data / "chainrule.sqlite3").resolve()
        return self.database_url or URL.create("sqlite", database=str(file))


class BadSettings(Exception):  # noqa: N818 - said to the user in one sentence
    """Settings that can't be, each by the name of its variable, never with its value: it may be a secret."""


def _refuse_unknown() -> None:
    """Raise BadSettings for a variable that would be taken for a setting by whoever set it, and by nobody else."""
    known = {"CHAINRULE_URL", *_variables(Settings), *_variables(Limits)} - {"CHAINRULE_LIMITS"}
    for name in sorted(os.environ):
        if name.upper().startswith("CHAINRULE_") and name.upper() not in known and os.environ[name]:
            [nearest] = get_close_matches(name.upper(), known, n=1, cutoff=0)
            raise BadSettings(f"{name}: there is no such setting; the nearest is {nearest}")


def _variables(kind: type[BaseSettings]) -> set[str]:
    return {f"{kind.model_config['env_prefix']}{field}".upper() for field in kind.model_fields}


def settings_of(**options: Any) -> Settings:
    """The settings of the environment, with these options before them. Raises BadSettings."""
    _refuse_unknown()
    try:
        return Settings(**options)
    except ValidationError as error:
        prefix = str((Limits if error.title == "Limits" else Settings).model_config["env_prefix"])
        named = [(prefix + "_".join(map(str, each["loc"])).upper(), each["msg"]) for each in error.errors()]
        raise BadSettings("; ".join(f"{name}: {message}" for name, message in named)) from error
