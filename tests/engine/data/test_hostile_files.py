"""Files that nobody means well with: each is a clear DataError or a right table, within a bound on memory."""

import csv
import io
import json
import multiprocessing
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.data import ANY, READERS, Bounds, ingest, stretches_of
from engine.errors import DataError
from tests.engine.data.factories import read
from tests.engine.data.factories import rows_of as rows_in
from tests.engine.data.test_formats import FORMATS

QUIET = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
MEDIA_TYPES = [*READERS, ANY]


def outcome(content: bytes, media_type: str) -> None:
    """Read a file as a table and as rows; nothing but a DataError may be raised."""
    try:
        found, table = read(content, media_type, rows=10_000, columns=500, cells=100_000, decompressed_bytes=1_000_000)
    except DataError:
        pass
    else:
        assert len(table.rows(range(found.row_count))) == found.row_count
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows")
        path.write_bytes(content)
        with suppress(DataError):
            list(stretches_of(path, media_type, {"x": "number"}))


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
@QUIET
@given(st.binary(max_size=300))
def test_any_bytes_are_a_table_or_an_error(media_type: str, content: bytes) -> None:
    outcome(content, media_type)


@pytest.mark.parametrize("name", FORMATS)
@QUIET
@given(st.data())
def test_bytes_changed_cut_off_or_put_in_are_a_table_or_an_error(name: str, data: st.DataObject) -> None:
    content, media_type = bytearray(FORMATS[name][0]), FORMATS[name][1]
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(content) - 1)))
        kind = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change" and content:
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[place:]
        else:
            content[place:place] = data.draw(st.binary(max_size=8))

    outcome(bytes(content), media_type)


@QUIET
@given(st.text(st.sampled_from('a1,;\t|"\n\r .-eé\ufeffTrue'), max_size=80))
def test_any_text_is_a_table_or_an_error(text: str) -> None:
    for encoding in ("utf-8", "utf-16", "cp1252"):
        outcome(text.encode(encoding, "replace"), "text/csv")


INFINITE = re.compile(r"\s*[+-]?inf(inity)?\s*", re.IGNORECASE)
"""Refused among numbers."""
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).filter(
    lambda text: not INFINITE.fullmatch(text)
)


@QUIET
@given(
    st.integers(2, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=3)),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_csv_writer_writes_is_what_is_read(
    rows: list[list[str]], delimiter: str, newline: str, encoding: str
) -> None:
    sink = io.StringIO()
    header = [f"name {place}" for place in range(len(rows[0]))]
    csv.writer(sink, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows([header, *rows])

    found, table = read(sink.getvalue().encode(encoding), "text/csv")

    assert found.format["delimiter"] == delimiter
    for name, cells in zip(header, zip(*rows, strict=True), strict=True):
        if found.schema.column(name).type == "text":
            texts = [row[name] for row in rows_in(table)]
            assert [text for text in texts if text is not None] == [
                cell for cell, text in zip(cells, texts, strict=True) if text is not None
            ]


# Size --------------------------------------------------------------------------------------------------------------

MEMORY = 400 * 1024**2
"""What reading any of these may take beside the libraries themselves."""


def _bounded(sender: Connection, source: str, media_type: str) -> None:
    import resource

    with open("/proc/self/statm") as file:
        in_use = int(file.read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (in_use + MEMORY, in_use + MEMORY))
    try:
        found = ingest(Path(source), Path(source).with_suffix(".arrow"), media_type, bounds=Bounds())
        sender.send([found.row_count, len(found.schema.columns), found.format, list(found.warnings)])
    except DataError as error:
        sender.send(str(error))
    except MemoryError:
        sender.send("MemoryError")


def within_memory(content: bytes, media_type: str) -> Any:
    """What comes of a file in a process whose memory is bounded."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        source.write_bytes(content)
        receiver, sender = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_bounded, args=(sender, str(source), media_type))
        process.start()
        sender.close()
        try:
            return receiver.recv()
        finally:
            process.join()


LONG = "expected rows shorter than 2097152 bytes, got a longer one"
LARGE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "a line of 50 MB": (lambda: b"x,y\n" + b"a" * 50_000_000, "text/csv", LONG),
    "a header of 50 MB": (lambda: b"a" * 50_000_000 + b"\n1\n2\n", "text/csv", LONG),
    "a line of 50 MB in quotes": (lambda: b'x\n"' + b"a\n" * 25_000_000 + b'"\n', "text/csv", LONG),
    "a header of 25 million cells": (lambda: b"1," * 25_000_000, "text/csv", "expected at most 10000 columns, got"),
    "100,000 columns": (
        lambda: b"\n".join(b",".join(b"%d" % (row * place) for place in range(100_000)) for row in range(3)),
        "text/csv",
        "expected at most 10000 columns, got 100000",
    ),
    "a line of JSON of 50 MB": (
        lambda: b'{"x": "' + b"a" * 50_000_000,
        "application/x-ndjson",
        "expected lines shorter than 8388608 bytes",
    ),
    "a hundred thousand JSON columns": (
        lambda: json.dumps({"columns": {f"x{place}": [1, 2] for place in range(100_000)}}).encode(),
        "application/json",
        "expected at most 10000 columns, got 100000",
    ),
    "50 MB of noise": (
        lambda: np.random.default_rng(0).bytes(50_000_000),
        "text/csv",
        "expected text in utf-8, utf-16 or windows-1252, got the byte",
    ),
    "50 MB of nothing": (lambda: bytes(50_000_000), "text/csv", "expected rows shorter than 2097152 bytes"),
    "50 MB of new lines": (lambda: b"\n" * 50_000_000, "text/csv", "expected a header line and rows"),
    "50 MB of quotes": (lambda: b'"' * 50_000_000, "text/csv", LONG),
    "50 MB of brackets": (lambda: b"[" * 50_000_000, "application/json", "expected cells, got values nested too deep"),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_a_large_file_that_is_no_table_is_refused_within_its_memory(name: str) -> None:
    content, media_type, message = LARGE[name]

    assert message in within_memory(content(), media_type)


def test_a_word_among_numbers_far_down_makes_text_within_its_memory() -> None:
    content = b"x;y\r\n" + b"1,5;a\r\n" * 90_000 + b"word;b\r\n" + b"2,5;c\r\n" * 1000

    rows, columns, written, warnings = within_memory(content, "text/csv")

    assert (rows, columns, written["delimiter"]) == (91_001, 2, ";")
    assert warnings == ["x: the first 90000 rows hold numbers, row 90001 holds 'word'; all of it is text"]


def test_a_table_of_many_columns_is_read_within_its_memory() -> None:
    lines = [b";".join(b"%d,5" % place for place in range(10_000)) for _ in range(50)]

    rows, columns, written, _ = within_memory(b"\n".join(lines), "text/csv")

    assert (rows, columns) == (50, 10_000)
    assert written == {"delimiter": ";", "encoding": "utf-8", "header": False, "decimal": ","}
