"""Backup and restore of a data folder: the database by SQLite's online backup, the dataset files, and their hashes."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from service import folder
from service.store.database import Database

MANIFEST = "backup.json"
DATABASE = "chainrule.sqlite3"
"""The database's name in a backup, whatever it is called where it works."""


class BackupFailed(Exception):  # noqa: N818 - said to the user in one sentence
    """A backup or restore that can't be done, and why."""


@dataclass(frozen=True)
class Made:
    """What a backup holds: its bytes, and the datasets whose files were gone when they were to be copied."""

    size: int
    left_out: Sequence[str]


def back_up(data: Path, database_url: URL | str, target: Path) -> Made:
    """Copy a data folder and its database to a new folder, also while a server works on them.

    The database is copied first, so every dataset that it names was there; one may be deleted before its file's turn.
    """
    database = Database(database_url)
    if not database.is_sqlite:
        raise BackupFailed("the database is not SQLite: back it up with its own tools, and copy the data folder")
    source = Path(database.url.database or "")
    for path in (data / folder.MARKER, source):
        if not path.is_file():
            raise BackupFailed(f"{path} is not there: nothing to back up")
    if target.exists() and any(target.iterdir()):
        raise BackupFailed(f"{target} is not empty; name a new folder")
    (target / "datasets").mkdir(parents=True, exist_ok=True)
    copy = target / DATABASE
    _copy_database(database, source, copy)
    shutil.copy2(data / folder.MARKER, target / folder.MARKER)
    files, left_out = [DATABASE, folder.MARKER], []
    for dataset_id in _dataset_ids(database, copy):
        name = f"datasets/{dataset_id}.arrow"
        try:
            shutil.copy2(data / name, target / name)
        except FileNotFoundError:
            left_out.append(dataset_id)
        else:
            files.append(name)
    manifest: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(),
        "files": {name: {"bytes": (target / name).stat().st_size, "sha256": _sha256(target / name)} for name in files},
    }
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1))
    return Made(sum(entry["bytes"] for entry in manifest["files"].values()), left_out)


def restore(source: Path, data: Path) -> int:
    """Copy a backup into an empty or new data folder, every hash checked before anything is kept. Gives the bytes."""
    manifest = _manifest(source)
    if data.exists() and any(data.iterdir()):
        raise BackupFailed(f"{data} is not empty; restore into a new folder")
    for name, entry in manifest["files"].items():
        path = source / name
        if not path.exists() or _sha256(path) != entry["sha256"]:
            raise BackupFailed(f"{path} is not what was backed up: expected SHA-256 {entry['sha256']}")
    for name in manifest["files"]:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, data / name)
    return sum(int(entry["bytes"]) for entry in manifest["files"].values())


def _copy_database(database: Database, source: Path, target: Path) -> None:
    reading, writing = database.sqlite.connect(str(source)), database.sqlite.connect(str(target))
    try:
        reading.backup(writing)
    finally:
        writing.close()
        reading.close()


def _dataset_ids(database: Database, copy: Path) -> list[str]:
    connection = database.sqlite.connect(str(copy))
    try:
        return [row[0] for row in connection.execute("SELECT id FROM datasets")]
    finally:
        connection.close()


def _manifest(source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((source / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise BackupFailed(f"{source} is not a backup: there is no readable {MANIFEST} in it") from error
    for name in manifest["files"]:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise BackupFailed(f"{source} names a file outside itself: {name}")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
