import json
import random
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import Column, Table, profile
from engine.data.column_profile import column_profile
from engine.data.duplicates import RowHashes, duplicates
from engine.data.frequencies import BLOCK, runs
from engine.data.schema import Schema
from engine.data.table import STRETCH_ROWS, Text
from service.samples import DIGITS, PENGUINS
from tests.engine.data.factories import read_csv, table


def codes(found: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in found["warnings"]]


def test_numbers_have_moments_and_quartiles() -> None:
    values = [1.5, 2.5, None, 10.0, -4.0]

    found = profile(table(x=values))["columns"]["x"]

    present = np.array([value for value in values if value is not None])
    assert (found["missing"], found["distinct"], found["minimum"], found["maximum"]) == (1, 4, -4.0, 10.0)
    assert found["quartiles"] == np.quantile(present, [0.25, 0.5, 0.75]).tolist()
    assert found["mean"] == present.mean()
    assert found["standard_deviation"] == present.std(ddof=1)


def test_texts_have_their_most_frequent_values() -> None:
    found = profile(table(x=["a", "b", "b", None]))["columns"]["x"]

    assert found == {
        "type": "text",
        "missing": 1,
        "missing_share": 0.25,
        "distinct": 2,
        "top": [{"value": "b", "count": 2}, {"value": "a", "count": 1}],
        "mean_length": 1.0,
        "maximum_length": 1,
        "warnings": [],
    }


def test_numbers_too_far_apart_to_subtract_have_no_quartiles_yet_a_range() -> None:
    found = profile(table(x=[-1.7e308, 1.7e308]))["columns"]["x"]

    assert (found["minimum"], found["maximum"]) == (-1.7e308, 1.7e308)
    assert found["quartiles"] == [None, None, None]


def test_numbers_whose_squares_overflow_leave_out_what_is_not_finite() -> None:
    found = profile(table(x=[1e300, -1e300, 1e300]))["columns"]["x"]

    assert found["standard_deviation"] is None


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (
            "NA\nNA\n",
            {"type": "text", "missing": 2, "missing_share": 1.0, "distinct": 0, "top": []}
            | {"mean_length": None, "maximum_length": None, "warnings": ["mostly_blank"]},
        ),
        (
            "True\nNA\n",
            {"type": "boolean", "missing": 1, "missing_share": 0.5, "distinct": 1}
            | {"top": [{"value": "True", "count": 1}], "warnings": ["constant"]},
        ),
        (
            "7\nNA\n",
            {
                "type": "integer",
                "missing": 1,
                "missing_share": 0.5,
                "distinct": 1,
                "minimum": 7.0,
                "quartiles": [7.0, 7.0, 7.0],
                "maximum": 7.0,
                "mean": 7.0,
                "standard_deviation": 0.0,
                "skewness": None,
                "histogram": {"edges": [7.0, 7.0], "counts": [1]},
                "top": [{"value": "7", "count": 1}],
                "warnings": ["constant"],
            },
        ),
    ],
)
def test_a_column_of_next_to_nothing_has_a_profile_too(cells: str, expected: dict[str, Any]) -> None:
    _, found = read_csv(f"x\n{cells}")

    column = profile(found)["columns"]["x"]

    assert {**column, "warnings": codes(column)} == expected


def test_ten_values_are_listed_the_most_frequent_first() -> None:
    words = [f"w{number}" for number in range(15) for _ in range(number + 1)]

    found = profile(table(x=words))["columns"]["x"]

    assert found["distinct"] == 15
    assert found["top"] == [{"value": f"w{number}", "count": number + 1} for number in range(14, 4, -1)]


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
def test_every_profile_can_be_sent_as_json(values: list[float | None]) -> None:
    found = profile(table(x=values))

    assert json.loads(json.dumps(found, allow_nan=False)) == found


# The shape of numbers ----------------------------------------------------------------------------------------------


def test_numbers_are_counted_in_twenty_bins_of_equal_width() -> None:
    values = np.random.default_rng(1).gamma(2.0, size=500)

    found = profile(table(x=values.tolist()))["columns"]["x"]

    counts, edges = np.histogram(values, bins=20)
    assert found["histogram"]["counts"] == counts.tolist()
    np.testing.assert_allclose(found["histogram"]["edges"], edges)
    assert (found["histogram"]["edges"][0], found["histogram"]["edges"][-1]) == (values.min(), values.max())


def test_bins_reach_over_numbers_too_far_apart_to_subtract() -> None:
    found = profile(table(x=[-1.7e308, -1e307, 1e307, 1.7e308]))["columns"]["x"]["histogram"]

    assert np.isfinite(found["edges"]).all()
    assert (np.diff(np.array(found["edges"]) / 2) > 0).all()
    assert (sum(found["counts"]), found["counts"][0], found["counts"][9], found["counts"][10]) == (4, 1, 1, 1)


def test_neighbouring_numbers_have_bins_though_none_lie_between() -> None:
    found = profile(table(x=[1.0, 1.0, float(np.nextafter(1.0, 2.0))]))["columns"]["x"]["histogram"]

    assert len(found["edges"]) == 21
    assert sum(found["counts"]) == 3


def test_skewness_is_the_third_standardised_moment() -> None:
    values = [1.0, 2.0, 2.5, 9.0, 30.0]

    found = profile(table(x=[*values, None]))["columns"]["x"]["skewness"]

    mean = sum(values) / 5
    second, third = (sum((value - mean) ** power for value in values) / 5 for power in (2, 3))
    assert found == pytest.approx(third / second**1.5, rel=1e-12)


def test_integers_with_few_values_have_the_most_frequent_listed() -> None:
    found = profile(table(few=[3, 1, 3, 2, 3, 2], many=list(range(6))))["columns"]

    assert found["few"]["top"] == [{"value": "3", "count": 3}, {"value": "2", "count": 2}, {"value": "1", "count": 1}]
    assert "top" not in profile(table(x=list(range(51))))["columns"]["x"]


def test_lengths_of_texts_are_weighed_by_their_rows() -> None:
    found = profile(table(x=["a", "a", "a", "schön", None]))["columns"]["x"]

    assert (found["mean_length"], found["maximum_length"]) == (2.0, 5)


# Warnings of columns -----------------------------------------------------------------------------------------------


def of_column(cells: list[Any]) -> list[str]:
    return codes(profile(table(x=cells, other=[0.5] * len(cells)))["columns"]["x"])


def words(count: int) -> list[str]:
    return [f"w{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (words(50), ["identifier_like"]),
        (words(49), []),
        (words(96) + ["w0"] * 4, ["identifier_like"]),
        (words(95) + ["w0"] * 5, []),
        (list(range(50)), ["identifier_like"]),
        (list(range(49, -1, -1)), []),
        ([number + 0.5 for number in range(60)], []),
        (["a"] * 60, ["constant"]),
        ([7] * 60, ["constant"]),
        ([True] * 60, ["constant"]),
        ([1] * 200 + [2], ["nearly_constant"]),
        ([1] * 199 + [2], []),
        ([True] * 200 + [False], ["nearly_constant"]),
        (["a"] * 200 + ["b"], ["nearly_constant"]),
        ([1.5, 2.5] + [None] * 3, ["mostly_blank"]),
        ([1.5, 2.5] + [None] * 2, []),
        (words(257) * 2, ["high_cardinality"]),
        (words(256) * 2, []),
        (words(300), ["identifier_like", "high_cardinality"]),
    ],
)
def test_columns_are_warned_of_from_their_threshold_on(cells: list[Any], expected: list[str]) -> None:
    assert of_column(cells) == expected


def test_a_warning_says_how_much_of_the_column_it_is_about() -> None:
    found = profile(table(x=[1.5, 2.5, None, None, None]))["columns"]["x"]["warnings"]

    assert found == [{"code": "mostly_blank", "detail": "blank in 3 of 5 rows"}]


def test_a_clean_table_has_no_warnings() -> None:
    found = profile(read_csv(PENGUINS.content())[1])

    assert codes(found) == []
    assert {name: codes(column) for name, column in found["columns"].items() if column["warnings"]} == {}


# Rows --------------------------------------------------------------------------------------------------------------


def test_duplicate_rows_are_those_that_equal_an_earlier_one() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.integers(0, 6, 80), generator.integers(0, 5, 80)
    rows = [
        {"x": None if a == 0 else float(a) / 2, "y": None if b == 0 else f"t{b}"} for a, b in zip(x, y, strict=True)
    ]
    wanted = len(rows) - len({tuple(row.values()) for row in rows})

    found = profile(table(x=[row["x"] for row in rows], y=[row["y"] for row in rows]))

    assert found["duplicate_rows"] == {"count": wanted, "share": wanted / 80}
    assert codes(found) == ["duplicate_rows"]


def test_no_row_is_a_duplicate_for_having_the_same_cells_in_other_columns() -> None:
    found = profile(table(x=[1, 2, 1], y=[2, 1, 1]))

    assert found["duplicate_rows"] == {"count": 0, "share": 0.0}


def test_zero_and_minus_zero_make_no_difference() -> None:
    assert profile(table(x=[0.0, -0.0, 1.5]))["duplicate_rows"]["count"] == 1


def of_arrays(**columns: np.ndarray) -> Table:
    """A table of columns of numbers as they are, whatever their bits; none of it is kept."""
    schema = Schema(tuple(Column(name, "number", int(np.isnan(cells).sum())) for name, cells in columns.items()))
    rows = len(next(iter(columns.values())))
    return Table(schema, rows, lambda column, rows: columns[column.name][rows], kept_bytes=0)


def test_blanks_are_equal_whatever_their_bits() -> None:
    cells = np.array([0x7FF8000000000000, 0xFFF8000000000001], np.uint64).view(np.float64)

    assert duplicates(RowHashes(of_arrays(x=cells), ["x"])).tolist() == [1]


def test_rows_that_meet_in_one_hash_are_compared() -> None:
    hashes = RowHashes(of_arrays(x=np.array([1.0, 2.0, 1.0, 3.0])), ["x"])
    hashes.values[:] = 7

    assert duplicates(hashes).tolist() == [2]


def test_rows_of_many_parts_and_stretches_are_found_equal_as_in_one() -> None:
    rows = (1 << 20) + 17  # more than are compared together
    whole = np.random.default_rng(0).integers(0, 1000, rows).astype(float)
    half = np.random.default_rng(1).integers(0, 1000, rows) / 2
    _, firsts = np.unique(whole * 10_000 + half, return_index=True)

    hashes = RowHashes(of_arrays(whole=whole, half=half), ["whole", "half"])

    assert np.array_equal(np.sort(duplicates(hashes)), np.setdiff1d(np.arange(rows), firsts))


def test_a_column_of_many_stretches_is_profiled_as_one_array() -> None:
    cells = np.random.default_rng(0).normal(3.0, 2.0, 3 * STRETCH_ROWS + 17)
    cells[::7] = np.nan
    cells[1::11] = 0.25

    found = profile(of_arrays(x=cells))["columns"]["x"]

    present = cells[~np.isnan(cells)]
    assert found["distinct"] == np.unique(present).size
    assert found["quartiles"] == np.quantile(present, [0.25, 0.5, 0.75]).tolist()
    assert found["mean"] == pytest.approx(present.mean(), rel=1e-12)
    assert found["standard_deviation"] == pytest.approx(present.std(ddof=1), rel=1e-12)
    assert found["skewness"] == pytest.approx((((present - present.mean()) / present.std()) ** 3).mean(), rel=1e-9)
    assert sum(found["histogram"]["counts"]) == len(present)


@pytest.mark.parametrize("longest", [1, 3, BLOCK + 5, 3 * BLOCK])
def test_equal_numbers_are_counted_together_across_blocks(longest: int) -> None:
    lengths = np.array([BLOCK - 2, longest, 1, longest, 2 * BLOCK, 7])
    ordered = np.repeat(np.arange(len(lengths)), lengths)

    keys, counts = (np.concatenate(found) for found in zip(*runs(ordered), strict=True))

    assert keys.tolist() == [0, 1, 2, 3, 4, 5]
    assert counts.tolist() == lengths.tolist()


def test_texts_of_many_stretches_are_counted_as_in_one() -> None:
    draw = random.Random(0)
    cells = [f"t{draw.randrange(40_000)}" if number % 9 else "" for number in range(STRETCH_ROWS + 5_000)]
    _, found = read_csv("x\n" + "\n".join(f'"{cell}"' for cell in cells) + "\n")

    column = profile(found)["columns"]["x"]

    counts = Counter(cell for cell in cells if cell)
    assert column["distinct"] == len(counts)
    assert [(each["value"], each["count"]) for each in column["top"]] == counts.most_common(10)
    assert column["maximum_length"] == max(map(len, counts))


def test_a_small_table_is_said_to_be_one() -> None:
    assert codes(profile(table(x=words(49)))) == ["too_few_rows"]
    assert codes(profile(table(x=words(50)))) == []


# Groups of columns -------------------------------------------------------------------------------------------------


def grid(names: list[str], *, cells: Any = (0, 3, 16)) -> Any:
    return profile(table(**{name: list(cells) for name in names}, label=["a", "b", "c"]))["groups"]


def test_the_pixels_of_digits_are_a_group_with_the_shape_of_their_image() -> None:
    found = profile(read_csv(DIGITS.content())[1])["groups"]

    assert [{**group, "prefix": ""} for group in found] == [
        {"prefix": "", "columns": 64, "minimum": 0.0, "maximum": 16.0, "shape": [8, 8]}
    ]


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        ([f"x{number}" for number in range(16)], [4, 4]),
        ([f"x{number}" for number in range(1, 26)], [5, 5]),
        ([f"x{number}" for number in range(17)], None),
        ([f"x{number}" for number in reversed(range(16))], None),
        ([f"x{2 * number}" for number in range(16)], None),
        ([f"p_{i}_{j}" for i in range(2) for j in range(9)], [2, 9]),
        ([f"{i}x{j}" for i in range(1, 5) for j in range(1, 6)], [4, 5]),
        ([f"p_{i}_{j}" for j in range(9) for i in range(2)], None),
        ([f"p{i}.{j}.{k}" for i in range(2) for j in range(3) for k in range(3)], [2, 3, 3]),
        ([f"p_{i}_{j}" for i in range(4) for j in range(5) if i + j], None),
    ],
)
def test_numbered_columns_have_the_shape_that_their_numbers_count(names: list[str], shape: list[int] | None) -> None:
    (found,) = grid(names)

    assert (found["columns"], found["minimum"], found["maximum"], found["shape"]) == (len(names), 0, 16, shape)


@pytest.mark.parametrize(
    "names", [[f"x{number}" for number in range(15)], [f"x{number}y" for number in range(20)], [], ["x" + "9" * 499]]
)
def test_fewer_columns_or_names_without_a_counter_are_no_group(names: list[str]) -> None:
    assert grid(names) == []


def test_columns_of_text_or_of_many_scales_are_no_group() -> None:
    texts = {f"x{number}": ["a", "b", "c"] for number in range(16)}
    scales = {f"y{number}": [0, 10**number, 1] for number in range(16)}

    assert profile(table(**texts, **scales))["groups"] == []


def test_a_column_of_numbers_is_profiled_in_the_memory_of_one_copy_of_it() -> None:
    values = np.random.default_rng(0).normal(size=16 * STRETCH_ROWS)
    found = of_arrays(x=values)
    tracemalloc.start()

    column_profile(found, found.schema.column("x"))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.8 * values.nbytes  # the copy, and blocks of it that are as large whatever the column


def test_texts_are_counted_in_the_memory_of_some_bytes_a_row() -> None:
    rows = 12 * STRETCH_ROWS
    levels = tuple(f"a text of some length, number {number}" for number in range(STRETCH_ROWS))

    def read(column: Column, some: slice) -> Text:
        return Text(np.arange(some.stop - some.start), tuple(f"{some.start}: {level}" for level in levels))

    found = Table(Schema((Column("x", "text", 0),)), rows, read, kept_bytes=0)
    tracemalloc.start()

    column = column_profile(found, found.schema.column("x"))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert column["distinct"] == rows
    assert peak < 30 * rows + 400 * STRETCH_ROWS  # of which the texts of two stretches are most
