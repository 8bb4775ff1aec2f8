import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import profile
from tests.engine.data.factories import read_csv, table


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
        "distinct": 2,
        "top": [{"value": "b", "count": 2}, {"value": "a", "count": 1}],
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
        ("NA\nNA\n", {"type": "text", "missing": 2, "distinct": 0, "top": []}),
        ("True\nNA\n", {"type": "boolean", "missing": 1, "distinct": 1, "top": [{"value": "True", "count": 1}]}),
        (
            "7\nNA\n",
            {
                "type": "integer",
                "missing": 1,
                "distinct": 1,
                "minimum": 7.0,
                "quartiles": [7.0, 7.0, 7.0],
                "maximum": 7.0,
                "mean": 7.0,
                "standard_deviation": 0.0,
            },
        ),
    ],
)
def test_a_column_of_next_to_nothing_has_a_profile_too(cells: str, expected: dict[str, Any]) -> None:
    _, found = read_csv(f"x\n{cells}")

    assert profile(found) == {"rows": 2, "columns": {"x": expected}}


def test_ten_values_are_listed_the_most_frequent_first() -> None:
    words = [f"w{number}" for number in range(15) for _ in range(number + 1)]

    found = profile(table(x=words))["columns"]["x"]

    assert found["distinct"] == 15
    assert found["top"] == [{"value": f"w{number}", "count": number + 1} for number in range(14, 4, -1)]


@given(st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
def test_every_profile_can_be_sent_as_json(values: list[float | None]) -> None:
    found = profile(table(x=values))

    assert json.loads(json.dumps(found, allow_nan=False)) == found
