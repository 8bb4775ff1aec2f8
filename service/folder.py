"""The data folder: one server at a time, marked with the format it was written in."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.ids import new_id

FORMAT = 1
MARKER = "chainrule.json"
LOCK = "chainrule.lock"


class FolderUnusable(Exception):  # noqa: N818 - said to the user in one sentence
    """A data folder that can't be used now, and why."""


@contextmanager
def locked(folder: Path) -> Iterator[str]:
    """Hold the folder for this process, and give its id. Made if missing; other files in it are left alone.

    The lock is the operating system's, so it ends with the process, however that ends. Raises FolderUnusable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
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
        yield _identify(folder)


def _identify(folder: Path) -> str:
    marker = folder / MARKER
    if not marker.exists():
        content = {"format": FORMAT, "id": new_id("folder")}
        draft = marker.with_suffix(".new")
        draft.write_text(json.dumps(content))
        draft.replace(marker)
        return content["id"]  # type: ignore[return-value]
    try:
        found = json.loads(marker.read_text())
        written, identity = int(found["format"]), str(found["id"])
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
