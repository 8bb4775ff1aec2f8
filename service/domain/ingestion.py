"""Ingestion: an uploaded file is parsed in a process of its own, with bounds on its memory and time.

What an upload can do to a parser then ends that process and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.data import Bounds, Options, ingest, open_table, profile
from engine.errors import DataError
from service.errors import Fault, Parameter, Problem, TooLarge, Unavailable, Unprocessable
from service.processes import context, let_signals_in, limit_memory
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
    started = context()
    receiver, sender = started.Pipe(duplex=False)
    bounds = bounds_of(limits, json_bytes=limits.json_upload_bytes)
    work = (source, target, media_type, options, bounds)
    process = started.Process(target=_work, args=(sender, limits.ingest_memory_bytes, *work), daemon=True)
    try:
        process.start()
    except (EOFError, ConnectionError) as error:
        receiver.close()  # the process that starts others is gone; the next start brings it back
        raise Unavailable("The process that reads uploads could not be started; send it again.") from error
    finally:
        sender.close()
    try:
        if not receiver.poll(limits.ingest_seconds):
            raise Unprocessable(
                f"Reading the file took longer than {limits.ingest_seconds} seconds.", code="ingest_timeout"
            )
        answer = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode is not None and process.exitcode > 0:
            raise RuntimeError(
                "the process that reads uploads ended with an error; its traceback stands above"
            ) from None
        raise Unprocessable("Reading the file ended the process that read it.", code="ingest_failed") from None
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if isinstance(answer, DataError):
        raise file_problem(answer, limits, LIMITS)
    if answer is MemoryError:
        raise TooLarge(
            f"Reading the file needs more than {limits.ingest_memory_bytes} bytes of memory.",
            limit="ingest_memory_bytes",
            maximum=limits.ingest_memory_bytes,
        )
    return dict(answer)


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


def _work(
    sender: Connection,
    memory: int,
    source: Path,
    target: Path,
    media_type: str,
    options: Options,
    bounds: Bounds,
) -> None:
    let_signals_in()
    limit_memory(memory)
    try:
        ingested = ingest(source, target, media_type, options=options, bounds=bounds)
        table = open_table(target)
        sender.send(
            {
                "media_type": ingested.media_type,
                "format": ingested.format,
                "rows": ingested.row_count,
                "columns": ingested.schema.to_json(),
                "profile": profile(table),
                "warnings": ingested.warnings,
                "first_rows": table.rows(range(min(20, ingested.row_count))),
            }
        )
    except DataError as error:
        sender.send(error)
    except MemoryError:
        sender.send(MemoryError)
