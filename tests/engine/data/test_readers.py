import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.data import Column, Schema
from engine.errors import DataError
from tests.engine.data.factories import read_csv, read_json, rows_of, sent_rows

TYPES = {
    "integers": ("1\n-2\n30\n", "integer"),
    "numbers": ("1\n2.5\n-3e2\n", "number"),
    "integers too long for a float": ("1\n12345678901234567890\n3\n", "number"),
    "booleans": ("true\nfalse\ntrue\n", "boolean"),
    "booleans spelt in capitals": ("TRUE\nFALSE\nTRUE\n", "boolean"),
    "booleans spelt in several ways": ("true\nFalse\nTRUE\ntRue\n", "boolean"),
    "booleans with padding": (" true\nfalse\t\n true \n", "boolean"),
    "integers with padding": (" 1\n-2 \n\t30\n", "integer"),
    "numbers and padding alone": (" 1.5\n \n 2\n", "number"),
    "words": ("a\nb\na\n", "text"),
    "numbers and one word": ("1\n2\nthree\n", "text"),
    "identifiers that begin with zero": ("02138\n10001\n00501\n", "text"),
    "nothing": ('""\n""\n""\n', "text"),
    "numbers with blanks": ("1\nNA\n3\n", "integer"),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_columns_type_is_decided_by_all_its_cells(name: str) -> None:
    cells, kind = TYPES[name]

    found, _ = read_csv(f"x\n{cells}")

    assert found.schema.column("x").type == kind


def test_rows_come_back_in_order_with_blanks_as_none() -> None:
    _, table = read_csv("x,y,ok\n1,a,true\n,b,false\n2.5,NA,\n")

    assert rows_of(table) == [
        {"x": 1.0, "y": "a", "ok": True},
        {"x": None, "y": "b", "ok": False},
        {"x": 2.5, "y": None, "ok": None},
    ]


@pytest.mark.parametrize("blank", ["", "NA", "N/A", "null", "NULL", "NaN", "nan", "None", "<NA>"])
def test_usual_spellings_of_nothing_are_blanks(blank: str) -> None:
    found, table = read_csv(f"x,y\n1,a\n{blank},{blank}\n3,c\n")

    assert [column.missing for column in found.schema.columns] == [1, 1]
    assert rows_of(table)[1] == {"x": None, "y": None}


def test_quotes_commas_and_lines_within_cells_are_kept() -> None:
    _, table = read_csv('a,b\n"x,1","say ""hi"""\n"two\nlines",y\n')

    assert rows_of(table) == [{"a": "x,1", "b": 'say "hi"'}, {"a": "two\nlines", "b": "y"}]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    found, _ = read_csv(b"\xef\xbb\xbfx,y\n1,2\n3,4\n")

    assert found.schema.names == ("x", "y")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_either_kind_of_line_end_is_read(newline: str) -> None:
    _, table = read_csv(newline.join(["x,y", "1,a", "2,b", ""]))

    assert rows_of(table) == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]


def test_a_column_without_a_name_gets_one_and_a_warning() -> None:
    found, _ = read_csv(",y\n1,2\n3,4\n")

    assert found.schema.names == ("column_1", "y")
    assert "column_1" in found.warnings[0]


def test_how_the_file_spells_a_number_is_kept() -> None:
    found, _ = read_csv("x\n1.50\n2.0\n1e3\n")

    column = found.schema.column("x")
    assert [column.spell(value) for value in (1.5, 2.0, 1000.0)] == ["1.50", "2.0", "1e3"]


def test_a_space_after_the_comma_is_no_part_of_a_number_but_of_a_text() -> None:
    found, table = read_csv("x, y, z, ok\n1, 2.5, a, True\n3, NA, , false\n")

    assert [column.type for column in found.schema.columns] == ["integer", "number", "text", "boolean"]
    assert rows_of(table) == [
        {"x": 1, "y": 2.5, "z": " a", "ok": True},
        {"x": 3, "y": None, "z": None, "ok": False},
    ]
    assert found.schema.column("y").spell(2.5) == "2.5"


@pytest.mark.parametrize(
    ("cells", "labels"),
    [("true\nFalse\nTRUE\n", ["False", "true"]), ("1.5\n1.50\n2.0\n2\n", ["1.5", "2.0"])],
    ids=["booleans", "numbers"],
)
def test_a_value_that_is_spelt_in_several_ways_keeps_the_first(cells: str, labels: list[str]) -> None:
    _, table = read_csv(f"x\n{cells}")

    assert list(table.text("x").levels) == labels


def test_a_late_word_among_numbers_is_warned_of() -> None:
    found, _ = read_csv("x\n" + "1\n" * 150 + "oops\n")

    assert found.schema.column("x").type == "text"
    assert found.warnings == ("x: the first 150 rows hold numbers, row 151 holds 'oops'; all of it is text",)


REFUSED_CSV: dict[str, tuple[str | bytes, str, str]] = {
    "empty": ("", "file: expected a header line and rows, got an empty file", "empty"),
    "only a header": ("x,y\n", "file: expected at least 2 rows of data, got none", "too_few_rows"),
    "one row": ("x,y\n1,2\n", "file: expected at least 2 rows of data, got one", "too_few_rows"),
    "a name twice": (
        "x,y,x\n1,2,3\n4,5,6\n",
        "columns.x: expected every name once, got it for columns 1 and 3",
        "duplicate_column",
    ),
    "a short row": (
        "x,y\n1,2\n3\n5,6\n",
        "rows[1]: expected 2 cells as in the header, got 1 in data row 2",
        "ragged",
    ),
    "a long row": (
        "x,y\n1,2\n3,4\n5,6,7\n",
        "rows[2]: expected 2 cells as in the header, got 3 in data row 3",
        "ragged",
    ),
    "a short row after blank lines and a cell of two lines": (
        'x,y\n\n"1\n1",2\n\n3\n5,6\n',
        "rows[1]: expected 2 cells as in the header, got 1 in data row 2",
        "ragged",
    ),
    "an infinity": (
        "x\n1\n-inf\n",
        "rows[1].x: expected a finite number, got -inf in data row 2",
        "infinite",
    ),
    "a number beyond float64": (
        "x\n1\n2\n1e400\n",
        "rows[2].x: expected a finite number, got 1e400 in data row 3",
        "infinite",
    ),
}


@pytest.mark.parametrize("name", REFUSED_CSV)
def test_a_file_nobody_can_learn_from_is_refused_with_place_expected_and_found(name: str) -> None:
    content, message, code = REFUSED_CSV[name]

    with pytest.raises(DataError) as caught:
        read_csv(content)

    assert str(caught.value) == message
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"columns": 2}, "expected at most 2 columns, got 3"),
        ({"rows": 3}, "expected at most 3 rows, got 4 or more"),
        ({"cells": 11}, "expected at most 11 cells, got 12 or more"),
    ],
)
def test_more_than_the_bounds_allow_is_refused(bounds: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv("a,b,c\n" + "1,2,3\n" * 4, **bounds)


@pytest.mark.parametrize(
    "content",
    [
        {"columns": {"x": [1, None, 3], "y": ["a", "b", None], "ok": [True, False, None]}},
        {"rows": [{"x": 1, "y": "a", "ok": True}, {"y": "b", "ok": False}, {"x": 3, "y": None, "ok": None}]},
    ],
)
def test_json_means_what_the_same_csv_means(content: object) -> None:
    found, table = read_json(content)
    _, same = read_csv("x,y,ok\n1,a,true\n,b,false\n3,,\n")

    assert rows_of(table) == rows_of(same)
    assert [column.type for column in found.schema.columns] == ["integer", "text", "boolean"]


def test_a_number_written_as_text_in_json_is_text() -> None:
    found, _ = read_json({"columns": {"zip": ["10001", "20002"], "mixed": [1, "2"]}})

    assert [column.type for column in found.schema.columns] == ["text", "text"]
    assert found.warnings == ("mixed: holds values of several kinds, so all of it is text",)


REFUSED_JSON: dict[str, tuple[str | bytes, str, str]] = {
    "broken": ('{"columns": {"x": [1,}}', "file: expected JSON, got at line 1, column 22", "not_json"),
    "empty": ("", "file: expected a JSON object, got an empty file", "empty"),
    "a list": ("[1, 2]", "file: expected {.columns.: {name: .cells.}}", "wrong_shape"),
    "another key": ('{"data": []}', "got the keys 'data'", "wrong_shape"),
    "a key twice": (
        '{"columns": {"x": [1, 2], "x": [1, 2]}}',
        "columns.x: expected every key once",
        "duplicate_column",
    ),
    "NaN": ('{"columns": {"x": [1, NaN]}}', "file: expected JSON, which has no NaN; write null", "infinite"),
    "a huge number": ('{"columns": {"x": [1, 1e999]}}', r"rows\[1\].x: expected a finite number", "infinite"),
    "unequal columns": (
        '{"columns": {"x": [1, 2, 3], "y": [1]}}',
        "columns.y: expected 3 cells as in x, got 1",
        "ragged",
    ),
    "a nested cell": ('{"columns": {"x": [1, {"a": 2}]}}', r"rows\[1\].x: expected a number, a text", "invalid_data"),
    "a row that is a list": (
        '{"rows": [{"x": 1}, [2]]}',
        r"rows\[1\]: expected an object",
        "wrong_shape",
    ),
    "rows that are no list": ('{"rows": {"x": 1}}', "rows: expected {.columns.: {name: .cells.}}", "wrong_shape"),
    "columns that are no lists": ('{"columns": {"x": 1}}', "columns: expected {.columns.: {name", "wrong_shape"),
    "no columns": ('{"columns": {}}', "file: expected at least 2 rows of data, got none", "too_few_rows"),
    "one row": ('{"rows": [{"x": 1}]}', "file: expected at least 2 rows of data, got one", "too_few_rows"),
    "a column without a name": (
        '{"columns": {"": [1, 2]}}',
        "file: expected a name for column 1, got an empty",
        "unnamed_column",
    ),
    "a key twice in a row": ('{"rows": [{"x": 1, "x": 2}]}', "columns.x: expected every key once", "duplicate_column"),
    "a key of half a character twice": (
        '{"columns": {"\\udc00": [1], "\\udc00": [1]}}',
        r"columns\.\?: expected every key once",
        "duplicate_column",
    ),
    "minus infinity": ('{"columns": {"x": [1, -Infinity]}}', "file: expected JSON, which has no -Inf", "infinite"),
    "an integer beyond float64": (
        '{"columns": {"x": [1, 1%s]}}' % ("0" * 400),
        r"rows\[1\].x: expected a finite number, got 1000",
        "infinite",
    ),
    "an integer of thousands of digits": (
        '{"columns": {"x": [1, 1%s]}}' % ("0" * 5000),
        "file: expected finite numbers, got one of thousands of digits",
        "infinite",
    ),
    "half a character": (
        '{"columns": {"x": ["a", null, "b\\ud800"]}}',
        r"rows\[2\].x: expected text of whole characters, got half of one",
        "not_utf8",
    ),
    "half a character in a name": (
        '{"columns": {"x": [1, 2], "\\ud800": [1, 2]}}',
        "file: expected whole characters in the name of column 2, got half of one",
        "not_utf8",
    ),
    "another encoding": (
        '{"columns": {"x": ["café", "b"]}}'.encode("latin-1"),
        "file: expected text in UTF-8, got the byte 0xe9 at byte 23, line 1",
        "not_utf8",
    ),
    "nesting without end": ('{"rows": ' + "[" * 100_000, "nested too deep", "not_json"),
}


@pytest.mark.parametrize("name", REFUSED_JSON)
def test_json_that_is_no_table_is_refused(name: str) -> None:
    content, message, code = REFUSED_JSON[name]

    with pytest.raises(DataError, match=message) as caught:
        read_json(content)

    assert caught.value.code == code


def test_a_schema_survives_json() -> None:
    found, table = read_csv("x,y\n1.50,a\nNA,b\n")

    assert found.schema.columns == (Column("x", "number", 1, {"1.5": "1.50"}), Column("y", "text", 0))
    assert Schema.from_json(json.loads(json.dumps(found.schema.to_json()))) == found.schema
    assert table.schema == found.schema


MANY = "1234567,1\n" * 1_000_000
"""More rows than are read at once."""


def test_a_column_is_decided_over_many_blocks() -> None:
    found, table = read_csv(f"x,y\n{MANY}abc,2\n")

    assert found.row_count == 1_000_001
    assert [column.type for column in found.schema.columns] == ["text", "integer"]
    assert table.rows([0, 999_999, 1_000_000]) == [
        {"x": "1234567", "y": 1},
        {"x": "1234567", "y": 1},
        {"x": "abc", "y": 2},
    ]


LATE: dict[str, tuple[str | bytes, str]] = {
    "a short row": ("3\n", r"rows\[1000000\]: expected 2 cells as in the header, got 1"),
    "an infinity": ("1e999,1\n", r"rows\[1000000\].x: expected a finite number, got 1e999"),
    "a byte of no text": (
        b"caf\x81,1\n",
        "file: expected text in utf-8, utf-16 or windows-1252, got the byte 0x81 at byte 10000007",
    ),
    "a row longer than what is read at once": ("a" * 17_000_000 + ",1\n", "file: expected rows shorter than 2097152"),
}


@pytest.mark.parametrize("name", LATE)
def test_a_fault_far_into_a_file_is_named_by_its_place_in_the_whole(name: str) -> None:
    fault, message = LATE[name]
    last = fault if isinstance(fault, bytes) else fault.encode()

    with pytest.raises(DataError, match=message):
        read_csv(f"x,y\n{MANY}".encode() + last)


# Rows to be sent ---------------------------------------------------------------------------------------------------


def csv_rows_of(path: Path, text: str) -> list[dict[str, Any]]:
    path.write_text(text)
    return sent_rows(path, "text/csv", {"x"})


def test_rows_to_be_sent_follow_the_readers_rules(tmp_path: Path) -> None:
    found = csv_rows_of(tmp_path / "rows.csv", "x, y\n1, 1\n 2.5 ,NA\nnan,b\n1_000,007\n007,\nTrue,x\n")

    assert found == [
        {"x": 1.0, "y": " 1"},
        {"x": 2.5, "y": None},
        {"x": None, "y": "b"},
        {"x": "1_000", "y": "007"},
        {"x": "007", "y": None},
        {"x": "True", "y": "x"},
    ]


def test_a_single_row_is_enough_to_be_sent(tmp_path: Path) -> None:
    assert csv_rows_of(tmp_path / "rows.csv", "x\n1\n") == [{"x": 1.0}]
    assert csv_rows_of(tmp_path / "rows.csv", "x\n") == []


def test_rows_to_be_sent_are_refused_at_their_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\[1\].x: expected a finite number, got 1e999"):
        csv_rows_of(tmp_path / "rows.csv", "x,y\n1,a\n1e999,b\n")


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ([{"x": 1}, {"y": "NA"}], [{"x": 1}, {"y": "NA"}]),
        ({"rows": [[1, "a"], {"x": 2}]}, [[1, "a"], {"x": 2}]),
        ({"columns": {"x": [1, None], "y": ["a", "b"]}}, [{"x": 1, "y": "a"}, {"x": None, "y": "b"}]),
    ],
    ids=["a list", "rows", "columns"],
)
def test_json_rows_are_sent_as_they_stand(tmp_path: Path, content: Any, rows: list[Any]) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(content))

    assert sent_rows(tmp_path / "rows.json", "application/json") == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"columns": {"x": [1], "y": [1, 2]}}', "columns.x: expected 2 cells as in y, got 1"),
        ('{"data": []}', "got the keys 'data'"),
        ("[{]", "file: expected JSON, got at line 1, column 3"),
        ("[NaN]", "which has no NaN"),
        ("7", "got something else"),
    ],
)
def test_json_that_holds_no_rows_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "rows.json").write_text(text)

    with pytest.raises(DataError, match=message):
        sent_rows(tmp_path / "rows.json", "application/json")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('0,w\n1,"x\n2,y\n3,z\n', 2),
        ('a,b\n1,"one ""two"""\n2,y\n3,"open\n4,z\n', 4),
        ('a,b\n"1,x\n2,y\n', 2),
        ('a,b\n1,x\n2,y\n3,"z', 4),
        ('a,b\n1,x\n2,"say ""y""', 3),
        ('a,b\n1,x\n2,y\n3,"', 4),
        ('a\nx\ny\n"z', 4),
    ],
)
def test_a_quote_that_never_ends_is_named_by_its_line(content: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"expected the quote in line {line} to end, got the end of the file"):
        read_csv(content)


def test_quotes_within_a_cell_and_lines_within_quotes_are_kept() -> None:
    _, table = read_csv('a,b\n1,"two\nlines"\n2,5" pipe\n3,"last\ncell"\n')

    assert [row["b"] for row in rows_of(table)] == ["two\nlines", '5" pipe', "last\ncell"]


@pytest.mark.parametrize("last", ["", '""', '"z"', '"say ""z"""', '5"', '"two\nlines"'])
def test_a_last_line_without_its_end_is_whole(last: str) -> None:
    found, _ = read_csv(f"a,b\n1,x\n2,y\n3,{last}")

    assert found.row_count == 3


def test_bytes_that_are_no_text_at_all_are_refused_without_a_word_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="expected text in utf-8, utf-16 or windows-1252, got the byte"):
        read_csv(np.random.default_rng(1).bytes(30_000))

    assert capfd.readouterr().err == ""
