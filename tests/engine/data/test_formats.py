"""Typed formats: Parquet, Arrow, NPY and NPZ, and JSON lines; what their columns are, and what is refused."""

import datetime as dt
import io
import struct
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.data import ANY, READERS, Options
from engine.errors import DataError
from tests.engine.data.factories import read, sent_rows
from tests.engine.data.factories import rows_of as rows_in
from tests.files import arrow, npy, npz, parquet

PARQUET = "application/vnd.apache.parquet"
FILE, STREAM = "application/vnd.apache.arrow.file", "application/vnd.apache.arrow.stream"
NPY, NPZ, LINES = "application/x-npy", "application/x-npz", "application/x-ndjson"


WRITERS: dict[str, Callable[[pa.Table], bytes]] = {
    PARQUET: parquet,
    FILE: lambda table: arrow(table, pa.ipc.new_file, 2),
    STREAM: lambda table: arrow(table, pa.ipc.new_stream, 2),
}

NAN = float("nan")
MOMENT = dt.datetime(2024, 5, 1, 12, 30, 0, 250_000)
ISO = "2024-05-01T12:30:00.250000Z"
COLUMNS: dict[str, tuple[Any, str, list[Any]]] = {
    "int8": (pa.array([1, None, -3], pa.int8()), "integer", [1, None, -3]),
    "uint64": (pa.array([1, None, 3], pa.uint64()), "integer", [1, None, 3]),
    "int64 beyond what float64 counts": (pa.array([2**62, None, 3]), "number", [2.0**62, None, 3.0]),
    "float16": (pa.array(np.array([1.5, np.nan, 3], np.float16)), "number", [1.5, None, 3.0]),
    "float64": (pa.array([1.5, None, NAN]), "number", [1.5, None, None]),
    "decimal": (pa.array([Decimal("1.50"), None, Decimal(3)]), "number", [1.5, None, 3.0]),
    "bool": (pa.array([True, None, False]), "boolean", [True, None, False]),
    "string": (pa.array(["1", None, "NA"]), "text", ["1", None, None]),
    "large string": (pa.array(["a", None, " "], pa.large_string()), "text", ["a", None, None]),
    "dictionary of texts": (pa.array(["a", None, "b"]).dictionary_encode(), "text", ["a", None, "b"]),
    "dictionary of integers": (pa.array([7, None, 9]).dictionary_encode(), "integer", [7, None, 9]),
    "null": (pa.nulls(3), "text", [None, None, None]),
    "date": (pa.array([dt.date(2024, 5, 1), None, dt.date(1969, 12, 31)]), "datetime",
             ["2024-05-01T00:00:00Z", None, "1969-12-31T00:00:00Z"]),
    "timestamp": (pa.array([MOMENT, None, MOMENT], pa.timestamp("us")), "datetime", [ISO, None, ISO]),
    "timestamp in nanoseconds": (pa.array([MOMENT, None, MOMENT], pa.timestamp("ns")), "datetime", [ISO, None, ISO]),
    "timestamp with a zone": (
        pa.array([MOMENT, None, MOMENT], pa.timestamp("ms", "Europe/Berlin")), "datetime", [ISO, None, ISO],
    ),
}  # fmt: skip


@pytest.mark.parametrize("media_type", WRITERS)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_of_the_files_own_type(name: str, media_type: str, tmp_path: Path) -> None:
    array, kind, cells = COLUMNS[name]
    content = WRITERS[media_type](pa.table({"x": array, "n": [1, 2, 3]}))

    found, table = read(content, media_type)

    assert found.schema.column("x").type == kind
    assert found.schema.column("x").missing == cells.count(None)
    assert [row["x"] for row in rows_in(table)] == cells
    (tmp_path / "rows").write_bytes(content)
    assert [row["x"] for row in sent_rows(tmp_path / "rows", ANY)] == cells


@pytest.mark.parametrize("media_type", WRITERS)
@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([b"a", b"b"]),
        pa.array([1, 2], pa.duration("s")),
        pa.array([1, 2], pa.time32("s")),
        pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
    ],
    ids=lambda array: str(array.type),
)
def test_columns_without_cells_are_refused_by_name(array: Any, media_type: str) -> None:
    with pytest.raises(DataError, match=r"columns.odd: expected numbers, texts, booleans, dates or timestamps, got"):
        read(WRITERS[media_type](pa.table({"x": [1, 2], "odd": array})), media_type)


@pytest.mark.parametrize("media_type", WRITERS)
def test_an_infinity_is_refused_at_its_place(media_type: str) -> None:
    with pytest.raises(DataError, match=r"rows\[3\].x: expected a finite number, got inf in data row 4"):
        read(WRITERS[media_type](pa.table({"x": [1.0, 2.0, 3.0, float("inf")]})), media_type)


def test_a_moment_that_can_not_be_written_is_refused_at_its_place() -> None:
    far = pa.array([0, 2**60], pa.timestamp("s"))

    with pytest.raises(DataError, match=r"rows\[1\].x: expected a date of the years 1 to 9999, got another"):
        read(arrow(pa.table({"x": far}), pa.ipc.new_file), FILE)


@pytest.mark.parametrize("media_type", WRITERS)
@pytest.mark.parametrize(
    ("bounds", "word"), [({"rows": 9}, "9 rows"), ({"columns": 1}, "1 columns"), ({"cells": 19}, "19 cells")]
)
def test_more_than_the_bounds_is_refused(media_type: str, bounds: dict[str, int], word: str) -> None:
    table = pa.table({"x": range(10), "y": range(10)})

    with pytest.raises(DataError, match=f"expected at most {word}, got") as caught:
        read(WRITERS[media_type](table), media_type, **bounds)

    assert caught.value.code == "too_large"


def test_the_rows_a_parquet_file_declares_are_checked_before_any_is_read() -> None:
    with pytest.raises(DataError, match="expected at most 9 rows, got 200000 or more"):
        read(parquet(pa.table({"x": np.zeros(200_000)})), PARQUET, rows=9)


@pytest.mark.parametrize("media_type", WRITERS)
def test_a_column_twice_is_refused(media_type: str) -> None:
    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([1, 2])], ["x", "x"])

    with pytest.raises(DataError, match=r"columns.x: expected every name once|got one that can't be read"):
        read(WRITERS[media_type](table), media_type)


OVERRIDES: dict[str, tuple[Any, str, list[Any]]] = {
    "a long integer as text": (pa.array([2**62, None, 7]), "text", [str(2**62), None, "7"]),
    "an integer as a number": (pa.array([1, None, 7]), "number", [1.0, None, 7.0]),
    "whole floats as integers": (pa.array([1.0, NAN, 7.0]), "integer", [1, None, 7]),
    "zeros as booleans": (pa.array([1, None, 0]), "boolean", [True, None, False]),
    "texts as datetimes": (pa.array(["2024-05-01", None, ""]), "datetime", ["2024-05-01T00:00:00Z", None, None]),
    "texts as numbers": (pa.array(["1.5", None, "7"]), "number", [1.5, None, 7.0]),
    "dates as text": (pa.array([dt.date(2024, 5, 1), None, None]), "text", ["2024-05-01T00:00:00Z", None, None]),
    "decimals as text": (pa.array([Decimal("1.50"), None, None]), "text", ["1.50", None, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDES)
def test_another_type_can_be_said(name: str) -> None:
    array, kind, cells = OVERRIDES[name]

    found, table = read(parquet(pa.table({"x": array})), PARQUET, Options(types={"x": kind}))  # type: ignore[dict-item]

    assert found.schema.column("x").type == kind
    assert [row["x"] for row in rows_in(table)] == cells


def test_another_type_that_a_cell_is_not_of_is_refused() -> None:
    with pytest.raises(DataError, match=r"rows\[1\].x: expected a whole number .* got '1.5' in data row 2"):
        read(parquet(pa.table({"x": [1.0, 1.5]})), PARQUET, Options(types={"x": "integer"}))


# Damage ------------------------------------------------------------------------------------------------------------

WIDE = pa.table({"x": np.arange(1000), "y": [f"text {i}" for i in range(1000)], "z": np.linspace(0, 1, 1000)})


@pytest.mark.parametrize("media_type", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_damaged(media_type: str, share: float) -> None:
    content = WRITERS[media_type](WIDE)

    with pytest.raises(DataError) as caught:
        read(content[: int(len(content) * share)], media_type)

    assert caught.value.code in ("damaged", "too_few_rows")


@pytest.mark.parametrize("media_type", [FILE, STREAM])
def test_offsets_that_lead_out_of_a_batch_are_found(media_type: str) -> None:
    content = WRITERS[media_type](pa.table({"x": ["aa", "bb"]}))
    offsets, broken = struct.pack("<3i", 0, 2, 4), struct.pack("<3i", 0, 2, 10_000_000)
    assert content.count(offsets) == 1

    with pytest.raises(DataError, match="got one that can't be read"):
        read(content.replace(offsets, broken), media_type)


@pytest.mark.parametrize("media_type", WRITERS)
@pytest.mark.parametrize("text", [b"text of a cell", b"name of a column"])
def test_texts_and_names_that_are_not_utf_8_are_found(media_type: str, text: bytes) -> None:
    table = pa.table({"name of a column": ["text of a cell", "b"]})
    content = parquet(table, compression="none") if media_type == PARQUET else WRITERS[media_type](table)
    assert text in content

    with pytest.raises(DataError, match=r"got one that can't be read|expected whole characters in the name"):
        read(content.replace(text, b"\xff" + text[1:]), media_type)


def test_a_file_that_says_it_has_many_rows_is_refused_before_they_are_read() -> None:
    nothing = pa.RecordBatch.from_arrays([pa.nulls(10**9)], ["x"])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, nothing.schema) as writer:
        writer.write_batch(nothing)

    assert len(sink.getvalue()) < 1000
    with pytest.raises(DataError, match="expected at most 20000000 rows, got 1000000000 or more"):
        read(sink.getvalue(), STREAM)


# NumPy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((2,), ["x_0"]),
        ((2, 3), ["x_0", "x_1", "x_2"]),
        ((2, 2, 2), ["x_0_0", "x_0_1", "x_1_0", "x_1_1"]),
        ((2, 1, 2, 2), ["x_0_0_0", "x_0_0_1", "x_0_1_0", "x_0_1_1"]),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2", ">u4", "?", "<U3"])
def test_an_array_is_a_column_for_each_number_of_a_row(
    shape: tuple[int, ...], names: list[str], order: Any, dtype: str
) -> None:
    array = np.asarray(np.arange(np.prod(shape)).reshape(shape) % 2 + 1, dtype=dtype, order=order)

    found, table = read(npy(array), NPY)

    assert list(found.schema.names) == names
    wanted = array.reshape(2, -1).tolist()
    assert [list(row.values()) for row in rows_in(table)] == wanted
    kinds = {"f": "number", "i": "integer", "u": "integer", "?": "boolean", "U": "text"}
    assert {column.type for column in found.schema.columns} == {kinds[dtype.strip("<>")[0]]}


@pytest.mark.parametrize(("y", "names"), [([0, 1], ["y"]), ([[0], [1]], ["y"]), ([[0, 1], [1, 0]], ["y_0", "y_1"])])
def test_y_is_the_column_beside_x(y: Any, names: list[str]) -> None:
    found, table = read(npz(y=np.array(y), X=np.array([[1.5], [NAN]])), NPZ)

    assert list(found.schema.names) == ["x_0", *names]
    assert rows_in(table)[1]["x_0"] is None
    assert [row[names[0]] for row in rows_in(table)] == np.array(y).reshape(2, -1)[:, 0].tolist()


class Trap:
    """An object whose pickle would run code."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return print, ("the pickle ran",)


def header(shape: str, dtype: str = "<f8") -> bytes:
    """An NPY file that is nothing but what it says of itself."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


REFUSED_ARRAYS: dict[str, tuple[bytes, str]] = {
    "a single number": (npy(np.float64(1)), r"expected an array of rows, got the shape \(\) of x"),
    "complex numbers": (npy(np.zeros((2, 2), complex)), "expected numbers, booleans or texts in x, got complex128"),
    "records": (npy(np.zeros(2, [("a", "f4")])), "expected numbers, booleans or texts in x"),
    "bytes": (npy(np.array([b"a", b"b"])), r"expected numbers, booleans or texts in x, got \|S1"),
    "a shape below zero": (header("(-2, 3)"), "expected an array of rows, got the shape"),
    "more rows than may be": (header("(10000000000, 1)"), "expected at most 20000000 rows"),
    "more columns than may be": (header("(2, 1000, 1000)"), "expected at most 10000 columns, got 1000000"),
    "more cells than may be": (header("(10000000, 1000)"), "expected at most 500000000 cells"),
    "a shape that is no number": (header("('a',)"), "expected an NPY array, got one that can't be read"),
    "less than it says": (header("(1000, 10)") + bytes(80), "expected all of the array x, got a part"),
    "no header": (b"\x93NUMPY", "expected an NPY array, got one that can't be read"),
    "a header without an end": (b"\x93NUMPY\x01\x00\xff\xff{", "expected an NPY array, got one that can't be read"),
    "a version of the future": (b"\x93NUMPY\x09\x00" + bytes(100), "expected an NPY array, got one that can't be read"),
    "no columns": (npy(np.zeros((3, 0))), "expected at least one column"),
    "an infinity": (npy(np.array([1.0, np.inf])), r"rows\[1\].x_0: expected a finite number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_ARRAYS)
def test_an_array_that_is_no_table_is_refused(name: str) -> None:
    content, message = REFUSED_ARRAYS[name]

    with pytest.raises(DataError, match=message):
        read(content, NPY)


def test_no_pickle_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    objects = np.array([Trap(), Trap()])

    for content, media_type in ((npy(objects), NPY), (npz(X=objects), NPZ)):
        with pytest.raises(DataError, match="expected numbers, booleans or texts in x, got object"):
            read(content, media_type)

    assert capsys.readouterr().out == ""


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return sink.getvalue()


REFUSED_ARCHIVES: dict[str, tuple[bytes, str]] = {
    "no X": (npz(y=np.zeros(3)), "expected the arrays X and, if there is one, y, got y"),
    "another array": (
        npz(X=np.zeros((3, 1)), w=np.zeros(3)),
        "expected the arrays X and, if there is one, y, got X, w",
    ),
    "other rows": (npz(X=np.zeros((3, 1)), y=np.zeros(4)), "expected as many rows in y as in X, got 4 and 3"),
    "no zip": (b"PK\x03\x04" + bytes(100), "expected an NPZ file, got one that can't be read"),
    "cut off": (npz(X=np.random.default_rng(0).random((30, 3)))[:-40], "expected an NPZ file"),
    "no array within": (zipped(X=b"x,y"), "expected an NPY array, got one that can't be read"),
    "less than it says": (zipped(X=header("(1000, 10)")), "expected all of the array x, got a part"),
    "more than may be": (zipped(X=header("(1000, 1000000)")), "expected at most 10000 columns"),
}


@pytest.mark.parametrize("name", REFUSED_ARCHIVES)
def test_an_archive_that_is_no_table_is_refused(name: str) -> None:
    content, message = REFUSED_ARCHIVES[name]

    with pytest.raises(DataError, match=message):
        read(content, NPZ)


def test_an_archive_that_grows_beyond_its_bound_is_refused() -> None:
    content = npz(X=np.zeros((10_000, 100)))

    assert len(content) < 20_000
    with pytest.raises(DataError, match="expected at most 1000000 bytes once decompressed, got more"):
        read(content, NPZ, decompressed_bytes=1_000_000)


# JSON lines --------------------------------------------------------------------------------------------------------


def test_lines_are_rows_whose_columns_turn_up_as_they_come() -> None:
    found, table = read(b'{"x": 1}\n\n{"y": "a", "x": null}\r\n{"when": "2024-05-01", "x": 2.5}', LINES)

    assert [column.type for column in found.schema.columns] == ["number", "text", "datetime"]
    assert rows_in(table) == [
        {"x": 1.0, "y": None, "when": None},
        {"x": None, "y": "a", "when": None},
        {"x": 2.5, "y": None, "when": "2024-05-01T00:00:00Z"},
    ]


def test_kinds_that_differ_far_apart_make_text() -> None:
    lines = b'{"x": 1}\n' * 90_000 + b'{"x": "one"}\n' + b'{"x": 2}\n' * 10

    found, table = read(lines, LINES)

    assert found.schema.column("x").type == "text"
    assert table.rows([0, 90_000]) == [{"x": "1"}, {"x": "one"}]
    assert found.warnings == ("x: holds values of several kinds, so all of it is text",)


REFUSED_LINES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "expected a JSON object on each line, got an empty file"),
    "a list": (b'{"x": 1}\n[1]\n', r"rows\[1\]: expected an object by column name in line 2"),
    "broken": (b'{"x": 1}\n\n{"x": \n', "file: expected JSON, got at line 3, column"),
    "a document over several lines": (b'{"rows": [\n{"x": 1}]}', "file: expected JSON, got at line 1, column"),
    "nested": (b'{"x": 1}\n{"x": [2]}\n', r"rows\[1\].x: expected a number, a text, true, false or null, got a list"),
    "an infinity": (b'{"x": 1}\n{"x": 1e999}\n', r"rows\[1\].x: expected a finite number"),
    "NaN": (b'{"x": 1}\n{"x": NaN}\n', "expected JSON, which has no NaN"),
    "another encoding": ('{"x": "é"}\n'.encode("latin-1"), "expected text in UTF-8, got the byte 0xe9 in line 1"),
    "a key twice": (b'{"x": 1, "x": 2}\n', "columns.x: expected every key once"),
    "half a character": (b'{"x": "a"}\n{"x": "\\ud800"}\n', r"rows\[1\].x: expected text of whole characters"),
    "a line without end": (
        b'{"x": "' + b"a" * 9_000_000,
        "expected lines shorter than 8388608 bytes, got a longer one",
    ),
    "one row": (b'{"x": 1}\n', "expected at least 2 rows of data, got one"),
    "empty objects": (b"{}\n{}\n", "expected at least one column"),
}


@pytest.mark.parametrize("name", REFUSED_LINES)
def test_lines_that_are_no_table_are_refused(name: str) -> None:
    content, message = REFUSED_LINES[name]

    with pytest.raises(DataError, match=message):
        read(content, LINES)


# Rows to be sent ---------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[bytes, str]] = {
    "CSV": (b"x;y\n1,5;a\nNA;b\n", "text/csv"),
    "TSV": (b"x\ty\n1.5\ta\n\tb\n", "text/tab-separated-values"),
    "JSON": (b'{"columns": {"x": [1.5, null], "y": ["a", "b"]}}', "application/json"),
    "JSON lines": (b'{"x": 1.5, "y": "a"}\n{"x": null, "y": "b"}\n', LINES),
    **{name: (write(pa.table({"x": [1.5, None], "y": ["a", "b"]})), name) for name, write in WRITERS.items()},
}


@pytest.mark.parametrize("is_said", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_rows_come_alike_from_every_format(name: str, is_said: bool, tmp_path: Path) -> None:
    content, media_type = ROWS[name]
    (tmp_path / "rows").write_bytes(content)

    found = sent_rows(tmp_path / "rows", media_type if is_said else ANY, {"x"})

    assert found == [{"x": 1.5, "y": "a"}, {"x": None, "y": "b"}]


def test_every_format_has_its_rows_tested() -> None:
    assert {media_type for _, media_type in ROWS.values()} == set(READERS) - {NPY, NPZ, "application/jsonl"}


FORMATS: dict[str, tuple[bytes, str]] = {
    **ROWS,
    "NPY": (npy(np.arange(6.0).reshape(3, 2)), NPY),
    "NPZ": (npz(X=np.arange(6.0).reshape(3, 2), y=np.arange(3)), NPZ),
}
"""A file of each format."""
