"""How a CSV file is written is found out, and can be said instead."""

from typing import Any

import numpy as np
import pytest

from engine.data import Options, Preprocessing
from engine.errors import DataError
from tests.engine.data.factories import read, read_csv, rows_of, spec

PLAIN = {"delimiter": ",", "encoding": "utf-8", "header": True, "decimal": "."}

DELIMITERS = {
    "commas": ("a,b\n1,2\n3,4\n", ","),
    "semicolons": ("a;b\n1;2\n3;4\n", ";"),
    "tabs": ("a\tb\n1\t2\n3\t4\n", "\t"),
    "pipes": ("a|b\n1|2\n3|4\n", "|"),
    "semicolons with decimal commas": ("a;b\n1,5;2,5\n3,5;4\n", ";"),
    "semicolons with a comma in every cell, but in more rows than the header": ("a;b\nx,y;2\nz,u;4\n", ";"),
    "decimal commas in every cell": ("1,5;2,5\n3,5;4,5\n", ";"),
    "decimal commas, and one in the header": ("price, EUR;n\n1,5;3\n2,5;4\n", ";"),
    "commas, and a semicolon in every line": ("a,b;c,d\n1,x;y,3\n2,u;v,4\n", ","),
    "commas with a semicolon in the header": ("a;b,c\n1,2\n3,4\n", ","),
    "commas within quotes among semicolons": ('"a,b";c\n"1,2";x\n"3,4";y\n', ";"),
    "semicolons within quotes among commas": ('"a;b;c",d\n"1;2;3",x\n"3;4;5",y\n', ","),
    "lines within quotes": ('a;b\n"1\n,,,,";2\n3;4\n', ";"),
    "one column": ("a\n1\n2\n", ","),
    "one column of texts with commas in no order": ("a\nx\ny\n", ","),
    "blank lines first": ("\n\na;b\n1;2\n3;4\n", ";"),
}


@pytest.mark.parametrize("name", DELIMITERS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_the_delimiter_is_what_divides_the_first_lines_alike(name: str, newline: str) -> None:
    text, delimiter = DELIMITERS[name]

    found, table = read_csv(text.replace("\n", newline))

    assert found.format["delimiter"] == delimiter
    assert table.row_count == 2


def test_most_lines_decide_where_a_few_are_ragged() -> None:
    with pytest.raises(DataError, match=r"rows\[1\]: expected 2 cells as in the header, got 3 in data row 2"):
        read_csv("a,b\n1,2\n3,4,5\n6,7\n8,9\n")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("né,y\nà,1\nß,2\n".encode(), "utf-8"),
        ("né,y\nà,1\nß,2\n".encode("utf-8-sig"), "utf-8"),
        ("né,y\nà,1\nß,2\n".encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + "né,y\nà,1\nß,2\n".encode("utf-16-be"), "utf-16"),
        ("né,y\nà,1\nß,2\n".encode("windows-1252"), "windows-1252"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16", "UTF-16 of the other order", "Windows-1252"],
)
def test_the_encoding_is_found(content: bytes, encoding: str) -> None:
    found, table = read_csv(content)

    assert rows_of(table) == [{"né": "à", "y": 1}, {"né": "ß", "y": 2}]
    assert found.format["encoding"] == encoding


def test_a_file_that_is_read_as_windows_1252_is_said_to_be() -> None:
    found, table = read_csv(b"x,y\n1,\x80uro\n2,caf\xe9\n")

    assert table.rows([0])[0]["y"] == "€uro"
    assert found.warnings == (
        "the file is not UTF-8, with the byte 0x80 at byte 6, line 2, and was read as Windows-1252; "
        "encoding says another",
    )


def test_a_character_may_lie_across_what_is_read_at_once() -> None:
    lines = "a" * 1_000_000 + ",1\n"
    text = "x,y\n" + 8 * lines + "a" * (8 * 1024 * 1024 - 100 - 8 * len(lines)) + ",1\n" + "é" * 200 + ",2\n"

    found, _ = read_csv(text.encode())
    shifted, _ = read_csv(b"x,z\n" + text.encode()[4:] + b"b,3\n")

    assert (found.format, shifted.format) == (PLAIN, PLAIN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y\n1,a\x00b\n2,caf\xe9\n", "expected text in utf-8, utf-16 or windows-1252, got the byte 0x00 at byte 7"),
        ("x,y\n1,2\n3,4\n".encode("utf-32"), "expected text in utf-8, utf-16 or windows-1252, got UTF-32"),
        (b"\xff\xfex\x00,\x00y", "expected text in utf-16, got bytes that are none, from byte"),
    ],
    ids=["binary", "UTF-32", "half of UTF-16"],
)
def test_bytes_that_are_no_text_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(content)


def test_a_first_row_of_numbers_alone_is_data() -> None:
    found, table = read_csv("1,2.5,\n3,4,5\n")

    assert found.format["header"] is False
    assert rows_of(table) == [
        {"column_1": 1, "column_2": 2.5, "column_3": None},
        {"column_1": 3, "column_2": 4.0, "column_3": 5},
    ]
    assert found.warnings == (
        "the first row holds numbers alone, so it is data and the columns are called column_1 to column_3; "
        "header=true says that it names them",
    )


def test_names_may_be_spread_over_lines_and_look_like_numbers() -> None:
    found, _ = read_csv('"two\nlines";"01";""\n1;2;3\n4;5;6\n')

    assert found.schema.names == ("two\nlines", "01", "column_3")


def test_a_ragged_row_without_a_header_is_numbered_from_the_first() -> None:
    with pytest.raises(DataError, match=r"rows\[1\]: expected 2 cells as in the first row, got 1 in data row 2"):
        read_csv("1,2\n3\n5,6\n")


def test_an_infinity_without_a_header_is_named_by_its_row() -> None:
    with pytest.raises(DataError, match=r"rows\[1\].column_2: expected a finite number, got 1e999 in data row 2"):
        read_csv("1,2\n3,1e999\n5,6\n")


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1,5", "-2,25", "3"], "number", [1.5, -2.25, 3.0]),
        (["1.5", "-2.25", "3"], "number", [1.5, -2.25, 3.0]),
        (["1", "2", "3"], "integer", [1, 2, 3]),
        (["1,5", "2.5", "3"], "text", ["1,5", "2.5", "3"]),
        (["1.234,5", "2", "3"], "text", ["1.234,5", "2", "3"]),
        ([",5", "1,e3", "NA"], "number", [0.5, 1000.0, None]),
    ],
)
def test_a_column_has_decimal_commas_where_every_cell_fits(cells: list[str], kind: str, values: list[Any]) -> None:
    found, table = read_csv("x;y\n" + "".join(f"{cell};a\n" for cell in cells))

    assert found.schema.column("x").type == kind
    assert [row["x"] for row in rows_of(table)] == values
    assert found.format["decimal"] == ("," if kind == "number" and "," in cells[0] else ".")


def test_a_decimal_comma_is_kept_as_the_file_spells_it() -> None:
    found, _ = read_csv("x;y\n1,50;a\n2,0;b\n")

    assert [found.schema.column("x").spell(value) for value in (1.5, 2.0)] == ["1,50", "2,0"]


def test_commas_that_separate_cells_are_no_decimals() -> None:
    found, _ = read_csv('x,y\n"1,5",a\n"2,5",b\n')

    assert found.schema.column("x").type == "text"


OVERRIDES: dict[str, tuple[bytes, Options, dict[str, Any], list[dict[str, Any]]]] = {
    "delimiter": (b"a:b;c\n1:2;3\n4:5;6\n", Options(delimiter=":"), {"delimiter": ":"}, [{"a": 1, "b;c": "2;3"}]),
    "encoding": (
        "имя,y\nа,1\nб,2\n".encode("koi8-r"),
        Options(encoding="koi8-r"),
        {"encoding": "koi8-r"},
        [{"имя": "а", "y": 1}],
    ),
    "a header of numbers": (b"2019,2020\n1,2\n3,4\n", Options(header=True), {}, [{"2019": 1, "2020": 2}]),
    "no header": (b"a,b\n1,2\n", Options(header=False), {"header": False}, [{"column_1": "a", "column_2": "b"}]),
    "decimal commas": (b'x,y\n"1,5",a\n2,b\n', Options(decimal=","), {"decimal": ","}, [{"x": 1.5, "y": "a"}]),
    "decimal points": (b"x;y\n1,5;a\n2,5;b\n", Options(decimal="."), {"delimiter": ";"}, [{"x": "1,5", "y": "a"}]),
    "a UTF-8 mark": (b"\xef\xbb\xbfx,y\n1,a\n2,b\n", Options(encoding="utf-8"), {}, [{"x": 1, "y": "a"}]),
}


@pytest.mark.parametrize("name", OVERRIDES)
def test_what_is_said_of_a_file_is_not_looked_for(name: str) -> None:
    content, options, changed, first = OVERRIDES[name]

    found, table = read_csv(content, options)

    assert found.format == {**PLAIN, **changed}
    assert table.rows([0]) == first
    assert found.warnings == ()


def test_an_encoding_that_is_said_must_hold() -> None:
    with pytest.raises(DataError, match="expected text in UTF-8, got the byte 0xe9 at byte 9, line 2"):
        read_csv(b"x,y\n1,caf\xe9\n2,b\n", Options(encoding="utf-8"))
    with pytest.raises(DataError, match="expected text in shift_jis, got bytes that are none"):
        read_csv(b"x,y\n1,\xff\xff\n2,b\n", Options(encoding="shift_jis"))


def test_tab_separated_values_are_separated_by_tabs() -> None:
    found, table = read(b"a,b\tc\nx,y\t3\nz,u\t6\n", "text/tab-separated-values")

    assert table.rows([0]) == [{"a,b": "x,y", "c": 3}]
    assert found.format == {**PLAIN, "delimiter": "\t"}


@pytest.mark.parametrize("name", ["delimiter", "encoding", "header", "decimal"])
def test_what_only_text_has_is_refused_of_others(name: str) -> None:
    with pytest.raises(DataError, match=f"options.{name}: expected it for text/csv .* alone, got application/json"):
        read(b'{"columns": {"x": [1, 2]}}', "application/json", Options(**{name: {"header": True}.get(name, ",")}))


# Blanks and types --------------------------------------------------------------------------------------------------


def test_more_spellings_of_a_blank_can_be_named() -> None:
    found, table = read_csv("x,y\n1,a\n?,-\nNA,b\n", Options(na=("?", "-")))

    assert rows_of(table) == [{"x": 1, "y": "a"}, {"x": None, "y": None}, {"x": None, "y": "b"}]
    assert found.schema.column("x").type == "integer"
    assert found.format == {**PLAIN, "na": ["-", "?"], "na_only": False}


def test_only_the_spellings_named_can_be_blanks_beside_the_empty_cell() -> None:
    _, table = read_csv("x,y\n1,NA\n?,None\n,null\n", Options(na=("?",), na_only=True))

    assert rows_of(table) == [{"x": 1, "y": "NA"}, {"x": None, "y": "None"}, {"x": None, "y": "null"}]


TYPES: dict[str, tuple[str, str, list[Any]]] = {
    "integers as text": ("1,007,NA", "text", ["1", "007", None]),
    "integers as numbers": ("1,2,3", "number", [1.0, 2.0, 3.0]),
    "zeros as booleans": ("1,0,true", "boolean", [True, False, True]),
    "leading zeros as integers": ("007,+1,3", "integer", [7, 1, 3]),
    "leading zeros as numbers": ("007,1.5,3", "number", [7.0, 1.5, 3.0]),
    "dates as text": ("2024-05-01,2024-05-02,", "text", ["2024-05-01", "2024-05-02", None]),
    "dates": ("2024-05-01,,2024-05-02", "datetime", ["2024-05-01T00:00:00Z", None, "2024-05-02T00:00:00Z"]),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_type_that_is_said_is_the_columns(name: str) -> None:
    cells, kind, values = TYPES[name]

    found, table = read_csv("x;y\n" + "".join(f"{cell};a\n" for cell in cells.split(",")), Options(types={"x": kind}))  # type: ignore[dict-item]

    assert found.schema.column("x").type == kind
    assert [row["x"] for row in rows_of(table)] == values


@pytest.mark.parametrize(
    ("cell", "kind", "expected"),
    [
        ("x", "number", "a number"),
        ("1.5", "integer", "a whole number of at most 15 digits"),
        ("1234567890123456", "integer", "a whole number"),
        ("yes", "boolean", "true or false"),
        ("2024-02-30", "datetime", "an ISO 8601 date or date-time"),
        ("1", "datetime", "an ISO 8601 date or date-time"),
    ],
)
def test_the_first_cell_that_is_not_of_the_type_said_is_named(cell: str, kind: str, expected: str) -> None:
    fitting = {"number": "1", "integer": "1", "boolean": "true", "datetime": "2024-05-01"}[kind]

    with pytest.raises(DataError) as caught:
        read_csv(f"x\n{fitting}\nNA\n{cell}\n{cell}\n", Options(types={"x": kind}))  # type: ignore[dict-item]

    assert str(caught.value).startswith(f"rows[2].x: expected {expected}")
    assert str(caught.value).endswith(f"as types demands, got '{cell}' in data row 3")


def test_a_type_of_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(DataError, match=r"options.types: there is no column 'z'; the file has x, y"):
        read_csv("x,y\n1,2\n3,4\n", Options(types={"z": "text"}))


def test_a_demanded_number_that_is_infinite_is_refused() -> None:
    with pytest.raises(DataError, match=r"rows\[1\].x: expected a finite number, got 1e999"):
        read_csv("x\n1\n1e999\n", Options(types={"x": "number"}))


def test_a_text_seen_in_training_is_itself_in_a_request_though_it_spells_a_blank() -> None:
    text = "country,x,y\n" + "".join(f"{('NA', 'DE', 'FR')[i % 3]},{i},{('None', 'b')[i % 2]}\n" for i in range(60))
    _, table = read_csv(text, Options(na=("?",), na_only=True))
    fitted = Preprocessing.fit(table, spec("y"))

    sent = fitted.encode_rows([{"country": "NA", "x": 0, "y": "None"}], dtype="float64", with_targets=True)

    assert sent.Y is not None
    np.testing.assert_array_equal(sent.X[0], fitted.encode_features(table, np.array([0]), dtype="float64")[0])
    np.testing.assert_array_equal(sent.Y[0], fitted.encode_targets(table, np.array([0]), dtype="float64")[0])
