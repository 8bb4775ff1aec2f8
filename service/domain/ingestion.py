"""Ingestion: an uploaded file is parsed in a process of its own, with bounds on its memory and time.

What an upload can do to a parser then ends that process and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.data import Bounds, Options, ingest, open_table, profile
from engine.errors import DataError
from service.errors import Fault, Parameter, Problem, TooLarge, Unavailable, Unprocessable
from service.processes import Lost, NotStarted, apart
from service.settings import Limits

LIMITS = {"decompressed_too_large": "decompressed_bytes", "json_too_large": "json_upload_bytes"}
"""The limit that an engine's error is about, by its code."""


@dataclass(frozen=True)
class Parsed:
    """What an upload turned out to hold; its columns lie in the Arrow file at `path`."""

    path: Path
    media_type: str
    format: dict[str, Any]
    sha256: str
    received_bytes: int
    rows: int
    columns: list[dict[str, Any]]
    profile: dict[str, Any]
    warnings: tuple[str, ...]


def parse(source: Path, target: Path, *, media_type: str, options: Options, limits: Limits) -> dict[str, Any]:
    """Parse `source` into an Arrow file at `target`; gives what `Parsed` has of it, and its first rows.

    Raises DataError for a file that can't be used, TooLarge or Unprocessable where it bursts its bounds, Unavailable
    where no process could be started.
    """
    bounds = bounds_of(limits, json_bytes=limits.json_upload_bytes)
    bound = {"memory_bytes": limits.ingest_memory_bytes, "seconds": limits.ingest_seconds}
    try:
        return dict(apart(_work, source, target, media_type, options, bounds, **bound, expected=DataError))
    except NotStarted as error:
        raise Unavailable("The process that reads uploads could not be started; send it again.") from error
    except TimeoutError as error:
        detail = f"Reading the file took longer than {limits.ingest_seconds} seconds."
        raise Unprocessable(detail, code="ingest_timeout") from error
    except Lost as error:
        raise Unprocessable("Reading the file ended the process that read it.", code="ingest_failed") from error
    except MemoryError as error:
        raise TooLarge(
            f"Reading the file needs more than {limits.ingest_memory_bytes} bytes of memory.",
            limit="ingest_memory_bytes",
            maximum=limits.ingest_memory_bytes,
        ) from error
    except DataError as error:
        raise file_problem(error, limits, LIMITS) from None


def bounds_of(limits: Limits, *, json_bytes: int) -> Bounds:
    """How much a file may hold."""
    return Bounds(
        limits.dataset_rows, limits.dataset_columns, limits.dataset_cells, limits.decompressed_bytes, json_bytes
    )


def file_problem(error: DataError, limits: Limits, by_code: Mapping[str, str]) -> Problem | DataError:
    """What is said of a limit, by the error's code, or of a query parameter; else the error, of the file."""
    if error.code in by_code:
        limit = by_code[error.code]
        return TooLarge(error.message, limit=limit, maximum=getattr(limits, limit))
    where, _, name = error.place.partition(".")
    if where == "options":
        faults = [Fault(Parameter("query", name), error.code, error.message)]
        return Unprocessable(f"{name}: {error.message}", code=error.code, errors=faults)
    return error


def _work(source: Path, target: Path, media_type: str, options: Options, bounds: Bounds) -> dict[str, Any]:
    ingested = ingest(source, target, media_type, options=options, bounds=bounds)
    table = open_table(target)
    return {
        "media_type": ingested.media_type,
        "format": ingested.format,
        "rows": ingested.row_count,
        "columns": ingested.schema.to_json(),
        "profile": profile(table),
        "warnings": ingested.warnings,
        "first_rows": table.rows(range(min(20, ingested.row_count))),
    }
