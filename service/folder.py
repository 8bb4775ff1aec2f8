"""The data folder: one server at a time, marked with its format, and with an id that its database knows too.

The database names the datasets, the folder holds them. So a server or worker that is given one with the other's
twin, by a slip in its settings, refuses: to it every file would be a stray, or every dataset missing.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.ids import new_id
from service.store import datasets
from service.store import folder as store
from service.store.database import Database

FORMAT = 1
MARKER = "chainrule.json"
LOCK = "chainrule.lock"


class FolderUnusable(Exception):  # noqa: N818 - said to the user in one sentence
    """A data folder that can't be used now, and why."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process. Made if missing; other files in it are left alone.

    The lock is the operating system's, so it ends with the process, however that ends. Raises FolderUnusable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except FileExistsError as error:
        raise FolderUnusable(f"{folder} is a file: name a folder for the data, which may be a new one") from error
    except OSError as error:
        raise FolderUnusable(f"the data folder {folder} can't be written: {error.strerror}") from error
    with file:
        if not _lock(file):
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise FolderUnusable(f"the data folder {folder} is in use by a server with process id {holder}")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        _mark_of(folder)
        yield


def bind(folder: Path, database: Database) -> str:
    """The folder's id, once it is certain that folder and database belong together. Raises FolderUnusable.

    A folder without a mark and a database without datasets are new, and belong together from now on. The database is
    told first, so that a crash between the two leaves both as new as they were.
    """
    found = _mark_of(folder)
    with database.write() as session:
        is_new = found is None and not datasets.ids(session)
        if is_new:
            store.put(session, new_id("folder"))
        known = store.get(session)
    if is_new and known is not None:
        _mark(folder, known)
        return known
    if found is None or found != known:
        raise _strangers(folder, database)
    return found


def check(folder: Path, database: Database) -> None:
    """Raise FolderUnusable unless folder and database belong together."""
    with database.read() as session:
        known = store.get(session)
    if id_of(folder) != known:
        raise _strangers(folder, database)


def id_of(folder: Path) -> str:
    """The folder's id. Raises FolderUnusable where no server has ever used it."""
    found = _mark_of(folder)
    if found is None:
        raise FolderUnusable(f"{folder} is not the data folder of a server: name the one that it uses with --data")
    return found


def _strangers(folder: Path, database: Database) -> FolderUnusable:
    return FolderUnusable(
        f"the data folder {folder} and the database {database.url.render_as_string()} do not belong together: "
        "give --data and CHAINRULE_DATABASE_URL of the same server, or a new folder with a new database"
    )


def _mark(folder: Path, folder_id: str) -> None:
    draft = (folder / MARKER).with_suffix(".new")
    with draft.open("w") as file:
        json.dump({"format": FORMAT, "id": folder_id}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / MARKER)


def _mark_of(folder: Path) -> str | None:
    """The id in the folder's mark, None if it has none. Raises FolderUnusable for a mark that is not ours."""
    marker = folder / MARKER
    try:
        found = json.loads(marker.read_text())
        written, identity = int(found["format"]), str(found["id"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FolderUnusable(f"{marker} can't be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FolderUnusable(f"{marker} is not readable as the mark of a Chainrule data folder") from error
    if written != FORMAT:
        age = "a newer" if written > FORMAT else "an older"
        raise FolderUnusable(
            f"the data folder {folder} has format {written}, which {age} release of Chainrule wrote; "
            f"this one reads format {FORMAT}"
        )
    return identity


if os.name == "nt":
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        try:
            file.seek(0x7FFFFFFF)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
