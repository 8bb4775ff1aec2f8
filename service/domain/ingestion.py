"""Ingestion: an uploaded file is parsed in a process of its own, with bounds on its memory and time.

What an upload can do to a parser then ends that process and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.data import Bounds, ingest_csv, ingest_json, open_table, profile
from engine.errors import DataError
from service.errors import TooLarge, Unavailable, Unprocessable
from service.processes import context, let_signals_in, limit_memory
from service.settings import Limits

INGESTERS: dict[str, Callable[[Path, Path, Bounds], Any]] = {
    "text/csv": ingest_csv,
    "application/json": ingest_json,
}
"""The readers, by media type."""


@dataclass(frozen=True)
class Parsed:
    """What an upload turned out to hold; its columns lie in the Arrow file at `path`."""

    path: Path
    sha256: str
    received_bytes: int
    rows: int
    columns: list[dict[str, Any]]
    profile: dict[str, Any]
    warnings: tuple[str, ...]


def parse(source: Path, target: Path, *, media_type: str, limits: Limits) -> dict[str, Any]:
    """Parse `source` into an Arrow file at `target`; gives rows, columns, profile and warnings.

    Raises DataError for a file that can't be used, TooLarge or Unprocessable where it bursts its bounds, Unavailable
    where no process could be started.
    """
    started = context()
    receiver, sender = started.Pipe(duplex=False)
    bounds = Bounds(limits.dataset_rows, limits.dataset_columns, limits.dataset_cells)
    process = started.Process(
        target=_work, args=(sender, source, target, media_type, bounds, limits.ingest_memory_bytes), daemon=True
    )
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
        raise answer
    if answer is MemoryError:
        raise TooLarge(
            f"Reading the file needs more than {limits.ingest_memory_bytes} bytes of memory.",
            limit="ingest_memory_bytes",
            maximum=limits.ingest_memory_bytes,
        )
    return dict(answer)


def _work(sender: Connection, source: Path, target: Path, media_type: str, bounds: Bounds, memory: int) -> None:
    let_signals_in()
    limit_memory(memory)
    try:
        ingested = INGESTERS[media_type](source, target, bounds)
        table = open_table(target)
        sender.send(
            {
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
