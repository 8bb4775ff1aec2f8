import numpy as np

from engine.data import profile
from tests.engine.data.factories import table


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


def test_numbers_whose_squares_overflow_leave_out_what_is_not_finite() -> None:
    found = profile(table(x=[1e300, -1e300, 1e300]))["columns"]["x"]

    assert found["standard_deviation"] is None


def test_a_blank_column_has_a_profile_too() -> None:
    assert profile(table(x=[None, None], y=[1, 2]))["columns"]["x"]["distinct"] == 0
