"""Files as they come: compressed or not, and of a format that only their first bytes tell."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Protocol

from engine.data.readers.contents import BLOCK_BYTES, Bounds
from engine.errors import DataError

GZIP = b"\x1f\x8b"
"""With these bytes a gzip file begins."""

_MAGIC = {
    b"PAR1": "application/vnd.apache.parquet",
    b"ARROW1": "application/vnd.apache.arrow.file",
    b"\xff\xff\xff\xff": "application/vnd.apache.arrow.stream",
    b"\x93NUMPY": "application/x-npy",
    b"PK": "application/x-npz",
}
"""Media types by the bytes that their files begin with."""


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """At most so many more of them."""


def is_gzip(source: Path) -> bool:
    """Whether a file begins as one compressed by gzip does."""
    with source.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def decompress(source: Path, target: Path, bounds: Bounds) -> Path:
    """Write what a gzip file holds to `target`, counting. Raises DataError where it is too much, damaged or cut off."""
    try:
        with gzip.open(source) as file:
            copy_bounded(file, target, bounds)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError("file", f"expected a whole gzip file, got one with a fault: {error}", code="damaged") from error
    if is_gzip(target):
        raise DataError("file", "expected a file compressed once, got gzip within gzip", code="damaged")
    return target


def copy_bounded(file: Readable, target: Path, bounds: Bounds) -> Path:
    """Write a stream of decompressed bytes to `target`. Raises DataError once they exceed their bound."""
    size = 0
    with target.open("wb") as plain:
        while block := file.read(1024 * 1024):
            size += len(block)
            if size > bounds.decompressed_bytes:
                raise DataError(
                    "file",
                    f"expected at most {bounds.decompressed_bytes} bytes once decompressed, got more",
                    code="decompressed_too_large",
                )
            plain.write(block)
    return target


def media_type_of(source: Path) -> str:
    """What a file seems to be: by its first bytes if they are those of a format, else JSON lines, JSON or CSV."""
    with source.open("rb") as file:
        start = file.read(16)
        for magic, media_type in _MAGIC.items():
            if start.startswith(magic):
                return media_type
        file.seek(0)
        first = file.readline(BLOCK_BYTES).removeprefix(b"\xef\xbb\xbf").strip()
        if not first.startswith((b"{", b"[")):
            return "text/csv"
        has_more = bool(file.read(1))
    return "application/x-ndjson" if has_more and _is_object(first) else "application/json"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
