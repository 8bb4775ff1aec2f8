import numpy as np
import pytest

from engine.data import Column, Table
from engine.data.table import Values
from tests.engine.data.factories import read_csv


def small() -> Table:
    return read_csv("size,count,ok,kind,price\n1.5,3,True,b,2.50\n,4,False,NA,3.0\n2.0,,NA,a,2.50\n")[1]


def test_numbers_are_float64_with_nan_for_blanks() -> None:
    table = small()

    found = {name: table.numbers(name) for name in ("size", "count", "ok")}

    assert {values.dtype for values in found.values()} == {np.dtype("float64")}
    np.testing.assert_array_equal(found["size"], [1.5, np.nan, 2.0])
    np.testing.assert_array_equal(found["count"], [3, 4, np.nan])
    np.testing.assert_array_equal(found["ok"], [1, 0, np.nan])


def test_text_is_a_place_among_levels_with_minus_one_for_blanks() -> None:
    found = small().text("kind")

    assert (found.codes.tolist(), found.levels) == ([0, -1, 1], ("b", "a"))


@pytest.mark.parametrize(
    ("name", "codes", "levels"),
    [
        ("count", [0, 1, -1], ("3", "4")),
        ("ok", [1, 0, -1], ("False", "True")),
        ("size", [0, -1, 1], ("1.5", "2.0")),
        ("price", [0, 1, 0], ("2.50", "3.0")),
    ],
)
def test_any_column_reads_as_text_in_the_order_of_its_values_and_the_files_spelling(
    name: str, codes: list[int], levels: tuple[str, ...]
) -> None:
    found = small().text(name)

    assert (found.codes.tolist(), found.levels) == (codes, levels)


def test_text_is_not_read_as_numbers() -> None:
    with pytest.raises(TypeError, match="expected a column of numbers, kind is text"):
        small().numbers("kind")


def test_an_unknown_column_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="hue"):
        small().values("hue")


def test_rows_come_in_the_order_asked_for_in_their_own_types() -> None:
    found = small().rows([2, 0])

    assert found == [
        {"size": 2.0, "count": None, "ok": None, "kind": "a", "price": 2.5},
        {"size": 1.5, "count": 3, "ok": True, "kind": "b", "price": 2.5},
    ]
    assert [type(cell) for cell in found[1].values()] == [float, int, bool, str, float]


def test_a_column_is_read_once_and_only_when_asked_for() -> None:
    whole, read = small(), list[str]()

    def noting(column: Column, rows: slice) -> Values:
        read.append(column.name)
        return whole.read(column, rows)

    table = Table(whole.schema, whole.row_count, noting)
    table.numbers("size")
    table.text("size")

    assert read == ["size"]


def test_rows_are_read_alone() -> None:
    whole, read = small(), list[slice]()

    def noting(column: Column, rows: slice) -> Values:
        read.append(rows)
        return whole.read(column, rows)

    found = Table(whole.schema, whole.row_count, noting).rows(range(1, 2))

    assert found == small().rows([0, 1, 2])[1:2]
    assert set(map(str, read)) == {"slice(1, 2, None)"}


def test_no_rows_are_no_rows() -> None:
    assert small().rows(range(3, 3)) == []
