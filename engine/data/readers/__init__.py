"""Readers: an uploaded file becomes one Arrow file of typed columns, which is mapped into memory when it is used.

Each format has its page and its line in `READERS`; what they have in common is in `contents`, `columns` and `tables`.
pyarrow is used in this folder and nowhere else.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.data.readers.arrow import open_arrow_file, open_arrow_stream
from engine.data.readers.contents import Bounds, Contents, Ingested, Options
from engine.data.readers.csv import open_csv, open_tsv
from engine.data.readers.dialects import ENCODINGS, encoding_by_charset
from engine.data.readers.files import decompress, is_gzip, media_type_of
from engine.data.readers.json import json_rows, open_json
from engine.data.readers.json_lines import json_lines_rows, open_json_lines
from engine.data.readers.npy import open_npy, open_npz
from engine.data.readers.parquet import open_parquet
from engine.data.readers.stretches import Stretch, column_stretches, json_stretches, named_by_place
from engine.data.readers.tables import open_table, write_table
from engine.data.schema import ColumnType
from engine.errors import DataError

READERS: dict[str, Callable[[Path, Path, Options, Bounds], Contents]] = {
    "text/csv": open_csv,
    "text/tab-separated-values": open_tsv,
    "application/json": open_json,
    "application/x-ndjson": open_json_lines,
    "application/jsonl": open_json_lines,
    "application/vnd.apache.parquet": open_parquet,
    "application/vnd.apache.arrow.file": open_arrow_file,
    "application/vnd.apache.arrow.stream": open_arrow_stream,
    "application/x-npy": open_npy,
    "application/x-npz": open_npz,
}
"""The formats by media type: each opens a file, with a folder for what it must unpack."""
ANY = "application/octet-stream"
"""The media type of a file whose first bytes say what it is."""
JSON_ROWS: dict[str, Callable[[Path, Bounds], Iterator[Any] | list[Any]]] = {
    "application/json": json_rows,
    "application/x-ndjson": json_lines_rows,
    "application/jsonl": json_lines_rows,
}
"""The formats whose rows can be sent as they stand."""
TEXT = ("text/csv", "text/tab-separated-values")
"""The formats that have a dialect."""
UNNAMED = ("application/x-npy", "application/x-npz")
"""The formats whose columns have no names."""

__all__ = [
    "ANY",
    "ENCODINGS",
    "READERS",
    "Bounds",
    "Ingested",
    "Options",
    "Stretch",
    "encoding_by_charset",
    "ingest",
    "open_table",
    "stretches_of",
]


def ingest(source: Path, target: Path, media_type: str, *, options: Options | None = None, bounds: Bounds) -> Ingested:
    """Read a file, which gzip may have compressed, into an Arrow file at `target`.

    Raises DataError, naming the place, for a file that is not what its media type says, that is larger than its
    bounds, or has too few rows, a column twice or an infinite number; and for options it can't follow
    (`options.<name>`).
    """
    options = options or Options()
    with TemporaryDirectory(prefix=f"{source.name}.", dir=target.parent, ignore_cleanup_errors=True) as folder:
        plain, kind, compression = _plain(source, Path(folder), media_type, options, bounds)
        contents = READERS[kind](plain, Path(folder), options, bounds)
        found = write_table(target, contents, options, bounds)
        return replace(found, media_type=kind, format=found.format | compression)


def stretches_of(
    source: Path,
    media_type: str,
    features: Mapping[str, ColumnType],
    *,
    rows: int = 4096,
    options: Options | None = None,
    bounds: Bounds | None = None,
    warnings: list[str] | None = None,
) -> Generator[Stretch]:
    """The rows of a file of any format, so many at once, as a run with these features by name is to read them.

    In text, a cell that spells a number in a feature of numbers is that number and all others come as they stand; cells
    of JSON do so altogether. NumPy's arrays have no names: unless the features are called x_0, x_1, … themselves, the
    columns of X are the features in their order. What should be said of the file goes to `warnings`. Raises DataError
    as `ingest` does, but one row will do.
    """
    options, bounds = options or Options(), bounds or Bounds()
    with TemporaryDirectory(prefix=f"{source.name}.", dir=source.parent, ignore_cleanup_errors=True) as folder:
        plain, kind, _ = _plain(source, Path(folder), media_type, options, bounds)
        if kind in JSON_ROWS:
            _check_json_options(options, kind)
            yield from json_stretches(JSON_ROWS[kind](plain, bounds), rows, bounds)
            return
        contents = READERS[kind](plain, Path(folder), options, bounds)
        if kind in UNNAMED:
            contents = named_by_place(contents, features)
        if warnings is not None:
            warnings += contents.warnings
        yield from column_stretches(contents, features, rows, options, bounds, is_text=kind in TEXT)


def _check_json_options(options: Options, kind: str) -> None:
    said = [name for name in ("na", "na_only") if getattr(options, name)]
    if said:
        raise DataError(f"options.{said[0]}", f"expected none for rows of {kind}, whose blanks are null")


def _plain(
    source: Path, scratch: Path, media_type: str, options: Options, bounds: Bounds
) -> tuple[Path, str, dict[str, str]]:
    """The file without its compression, its media type, and what to say of how it was compressed."""
    compression = {"compression": "gzip"} if options.is_compressed or is_gzip(source) else {}
    plain = decompress(source, scratch / "plain", bounds) if compression else source
    kind = media_type_of(plain) if media_type == ANY else media_type
    if kind not in TEXT and (said := options.said_of_text()):
        raise DataError(f"options.{said[0]}", f"expected it for {' or '.join(TEXT)} alone, got {kind}")
    return plain, kind, compression
