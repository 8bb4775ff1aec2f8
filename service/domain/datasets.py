"""Datasets: from an upload's bytes to a typed table, and what lists, shows and deletes it."""

import logging
import os
import re
import shutil
import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engine.data import Table, open_table, target_profile
from engine.errors import DataError
from service.domain.ingestion import Parsed
from service.errors import Conflict, Fault, NotFound, Parameter, Unprocessable
from service.ids import new_id
from service.store import datasets, runs
from service.store.database import Database
from service.store.pages import Page
from service.store.tables import DatasetRow

log = logging.getLogger(__name__)

UPLOADS = "uploads"
MOST_HELD, HELD_SECONDS, HELD_BYTES = 20, 3_600, 2 * 1024**3
"""Of files that are looked at and not yet kept: how many, for how long, and how large together."""
_HELD = re.compile(r"held_[0-9a-f]{28}")
FOLDER = "datasets"
TABLE = ".arrow"
"""How the name of a parsed table's file ends."""
LOST = "lost"
PLAIN = {"delimiter": ",", "encoding": "utf-8", "header": True, "decimal": "."}
"""The way a CSV file is read unless it, or a user, says otherwise."""


def path_of(data: Path, dataset_id: str) -> Path:
    """Where a dataset's columns lie."""
    return data / FOLDER / f"{dataset_id}{TABLE}"


def table_of(data: Path, dataset_id: str) -> Table:
    """The dataset's table, mapped into memory."""
    return open_table(path_of(data, dataset_id))


def table_at_hand(data: Path, dataset_id: str) -> Table:
    """The same for an answer: Conflict where the file is not in the data folder."""
    try:
        return table_of(data, dataset_id)
    except FileNotFoundError as error:
        detail = f"The file of dataset {dataset_id} is not in the data folder."
        raise Conflict(detail, code="dataset_missing") from error


def get(session: Session, dataset_id: str) -> DatasetRow:
    """The dataset, or NotFound."""
    row = datasets.get(session, dataset_id)
    if row is None:
        raise NotFound(f"There is no dataset {dataset_id[:60]}.")
    return row


def listed(session: Session, *, limit: int, cursor: str | None) -> Page[DatasetRow]:
    """Datasets, newest first."""
    return datasets.newest(session, limit=limit, cursor=cursor)


def add(database: Database, data: Path, parsed: Parsed, *, name: str) -> tuple[DatasetRow, bool]:
    """Keep a parsed upload, or find the one made of the same bytes in the same way. Gives it and whether it is new.

    The file is on the disk for good before the row that names it is committed, and gone where none is.
    """
    digest = _digest(parsed)
    try:
        with database.read() as session:
            known = datasets.find_by_content(session, parsed.sha256, digest)
        if known is not None:
            return known, False
        return _added(database, data, parsed, digest, name=name)
    finally:
        parsed.path.unlink(missing_ok=True)


def _digest(parsed: Parsed) -> str:
    """Of the columns and of how they were read, which the release that knew one way only left out."""
    way = {name: value for name, value in parsed.format.items() if PLAIN.get(name) != value and name != "compression"}
    return sha256(orjson.dumps([*parsed.columns, *([way] if way else [])], option=orjson.OPT_SORT_KEYS)).hexdigest()


def _added(database: Database, data: Path, parsed: Parsed, digest: str, *, name: str) -> tuple[DatasetRow, bool]:
    row = DatasetRow(
        id=new_id("ds"),
        name=name,
        media_type=parsed.media_type,
        format=parsed.format,
        sha256=parsed.sha256,
        schema_sha256=digest,
        received_bytes=parsed.received_bytes,
        stored_bytes=parsed.path.stat().st_size,
        rows=parsed.rows,
        columns=parsed.columns,
        profile=parsed.profile,
        warnings=list(parsed.warnings),
        created_at=datetime.now(UTC),
    )
    target, dataset_id = path_of(data, row.id), row.id
    try:
        _move_durably(parsed.path, target)
        with database.write() as session:
            datasets.add(session, row)
    except Exception as error:
        with database.read() as session:  # a commit that failed may have been one all the same
            found = datasets.get(session, dataset_id) or datasets.find_by_content(session, parsed.sha256, digest)
        if found is None or found.id != dataset_id:
            target.unlink(missing_ok=True)
        if found is None or not isinstance(error, IntegrityError):
            raise
        return found, False
    return row, True


def rows_of(data: Path, row: DatasetRow, *, offset: int, limit: int) -> list[dict[str, Any]]:
    """Rows of the table, from `offset` on."""
    return table_of(data, row.id).rows(range(offset, min(offset + limit, row.rows)))


def profile_of(row: DatasetRow) -> dict[str, Any]:
    """The profile, with what a dataset of an earlier release does not have left empty."""
    kept = row.profile
    columns = {
        name: {"missing_share": column["missing"] / max(row.rows, 1), "warnings": [], **column}
        for name, column in kept.get("columns", {}).items()
    }
    empty: dict[str, Any] = {"duplicate_rows": None, "groups": [], "warnings": []}
    return {**empty, **kept, "dataset": row.id, "rows": row.rows, "columns": columns}


def target_of(data: Path, row: DatasetRow, name: str) -> dict[str, Any]:
    """The profile of a target, read off the table. Unprocessable for one that no run could learn."""
    try:
        return target_profile(table_of(data, row.id), name)
    except DataError as error:
        fault = Fault(Parameter("query", "target"), error.code, error.message)
        raise Unprocessable(str(error), code=error.code, errors=[fault]) from error


def delete(session: Session, dataset_id: str, *, force: bool) -> None:
    """Delete a dataset; with `force` also the finished runs that use it. Conflict names the runs in the way."""
    row = get(session, dataset_id)
    using = datasets.runs_of(session, dataset_id)
    active = [run.id for run in using if run.status not in runs.FINISHED]
    in_the_way = active if force else [run.id for run in using]
    if in_the_way:
        advice = "cancel what uses it first" if force else "delete what uses it first, or ask with ?force=true"
        kind, count = "unfinished " if force else "", len(in_the_way)
        users = f"1 {kind}run uses" if count == 1 else f"{count} {kind}runs use"
        raise Conflict(f"{users} this dataset; {advice}.", code="dataset_in_use", runs=in_the_way[:100])
    for run in using:
        runs.delete_finished(session, run.id)
    session.expire_all()
    try:
        datasets.delete(session, row)
    except IntegrityError as error:
        raise Conflict("A run began to use this dataset just now.", code="dataset_in_use", runs=[]) from error


def remove_file(data: Path, dataset_id: str) -> None:
    """Remove a deleted dataset's file; a process that still reads it keeps its mapping."""
    path_of(data, dataset_id).unlink(missing_ok=True)


def held(data: Path, held_id: str) -> Path:
    """A file that was received to be looked at before it is kept. NotFound where it is no longer there."""
    source = data / UPLOADS / held_id
    if not _HELD.fullmatch(held_id) or not source.is_file():
        raise NotFound(f"There is no file {held_id[:60]} to look at any more; choose it again.")
    return source


def drop_old_held(data: Path) -> None:
    """Make room for another file to look at: the oldest go, and those that nobody kept within an hour."""
    total = 0
    for place, path in enumerate(sorted((data / UPLOADS).glob("held_*"), reverse=True)):
        if not path.is_file():
            continue
        about = path.stat()
        total += about.st_size
        if place >= MOST_HELD - 1 or total > HELD_BYTES or time.time() - about.st_mtime > HELD_SECONDS:
            remove_upload(path)


def remove_upload(source: Path) -> None:
    """Remove what was received, and what the process that parsed it may have left beside it; its table stays."""
    for path in source.parent.glob(f"{source.name}*"):
        if path.suffix != TABLE:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def clean_up(database: Database, data: Path) -> None:
    """Make the folders, and clear what a crash left: half-received uploads, and dataset files that no row names.

    Those are moved aside and never deleted: should the database be an older copy, they are someone's data.
    """
    for folder in (data / UPLOADS, data / FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    for leftover in (data / UPLOADS).iterdir():
        _remove(leftover)
    with database.read() as session:
        known = datasets.ids(session)
    for path in (data / FOLDER).glob("ds_*.arrow"):
        if path.stem not in known:
            (data / LOST).mkdir(exist_ok=True)
            path.replace(data / LOST / path.name)
            log.warning("the database has no dataset %s: its file was moved to %s", path.stem, data / LOST)


def _move_durably(source: Path, target: Path) -> None:
    """Rename a file so that neither it nor its name is lost in a power cut."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    source.replace(target)
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
