"""Dates and times: one text at a time, and columns of them."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data import Preprocessing, profile, target_facts
from engine.data.datetimes import iso, seconds
from engine.errors import DataError
from tests.engine.data.factories import read_csv, read_json, rows_of, spec

MOMENTS = {
    "1970-01-01": 0.0,
    "2024-05-01": 1714521600.0,
    "2024-05-01T12:30:00Z": 1714566600.0,
    "2024-05-01 12:30": 1714566600.0,
    "2024-05-01T12:30:00.25": 1714566600.25,
    "2024-05-01T12:30:00.123456789Z": 1714566600.123456,
    "2024-05-01T12:30:00+02:00": 1714559400.0,
    "2024-05-01T12:30-0530": 1714586400.0,
    "2024-05-01T12:30+02": 1714559400.0,
    "2024-02-29": 1709164800.0,
    "1969-12-31T23:59:59.5Z": -0.5,
    "0001-01-01": -62135596800.0,
    "9999-12-31T23:59:59Z": 253402300799.0,
}
NONE = [
    "2024-02-30",
    "2023-02-29",
    "2024-13-01",
    "0000-01-01",
    "2024-05-01T24:00",
    "2024-05-01T12:60",
    "2024-05-01T12",
    "2024-05-01T",
    "2024-05",
    "20240501",
    "2024-W18-3",
    "01.05.2024",
    "2024-05-01Z",
    "2024-05-01t12:30",
    "2024-05-01T12:30:00+25:00",
    "0001-01-01T00:00+01:00",
    "9999-12-31T23:59-01:00",
    "2024-05-01\n",
    "٢٠٢٤-05-01",
    "",
    "noon",
]


@pytest.mark.parametrize("text", MOMENTS)
def test_a_text_is_seconds_since_1970(text: str) -> None:
    assert seconds(text) == MOMENTS[text]


@pytest.mark.parametrize("text", NONE)
def test_other_texts_are_no_moments(text: str) -> None:
    assert seconds(text) is None


@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime(1850, 1, 1), datetime(2100, 1, 1)), st.integers(-1439, 1439))
def test_a_moment_survives_both_ways(moment: datetime, minutes: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))

    found = seconds(there.isoformat())

    assert found is not None
    assert datetime.fromisoformat(iso(found)) == there.astimezone(UTC)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.datetimes(timezones=st.just(UTC) | st.none()), min_size=2, max_size=20))
def test_a_column_holds_what_its_cells_say_alone(moments: list[datetime]) -> None:
    texts = [moment.isoformat() for moment in moments]

    _, table = read_json({"columns": {"when": texts}})

    np.testing.assert_array_equal(table.numbers("when"), [seconds(text) for text in texts])


@pytest.mark.parametrize("text", MOMENTS)
def test_a_column_of_moments_is_one_of_datetimes(text: str) -> None:
    found, table = read_csv(f"when\n {text}\nNA\n2024-05-01\n")

    assert found.schema.column("when").type == "datetime"
    np.testing.assert_array_equal(table.numbers("when"), [MOMENTS[text], np.nan, 1714521600.0])
    assert rows_of(table)[1:] == [{"when": None}, {"when": "2024-05-01T00:00:00Z"}]


@pytest.mark.parametrize("text", [text for text in NONE if text.strip() == text and text])
def test_a_column_with_another_text_is_text(text: str) -> None:
    found, _ = read_csv(f"when\n2024-05-01\n{text}\n")

    assert found.schema.column("when").type == "text"


def test_texts_in_json_can_be_moments_too() -> None:
    found, _ = read_json({"columns": {"when": ["2024-05-01", None, "2024-05-02"], "mixed": ["2024-05-01", 3, None]}})

    assert [column.type for column in found.schema.columns] == ["datetime", "text"]


def test_the_profile_of_moments_is_in_their_own_words() -> None:
    _, table = read_csv("when\n2024-05-01\n2024-05-03\n\n2024-05-02\n2024-05-02\n")

    found = profile(table)["columns"]["when"]

    assert found["distinct"] == 3
    assert (found["minimum"], found["maximum"]) == ("2024-05-01T00:00:00Z", "2024-05-03T00:00:00Z")
    assert found["quartiles"][1] == found["mean"] == "2024-05-02T00:00:00Z"
    assert found["standard_deviation"] == pytest.approx(86400 * np.sqrt(2 / 3))


def test_moments_are_learned_from_by_their_parts_and_read_alike_in_requests() -> None:
    text = "when,y\n" + "".join(f"2024-05-{day:02d},{day * 1.5}\n" for day in range(1, 29))
    _, table = read_csv(text)
    fitted = Preprocessing.fit(table, spec("y"))

    X = fitted.encode_features(table, dtype="float64")
    sent = fitted.encode_rows([{"when": "2024-05-03 00:00"}, {"when": None}, {"when": " 2024-05-03 "}], dtype="float64")

    assert fitted.input_names == (
        "when.time",
        "when.day_of_year_sin",
        "when.day_of_year_cos",
        "when.day_of_week_sin",
        "when.day_of_week_cos",
    )
    assert sent.X[0].tolist() == sent.X[2].tolist() == X[2].tolist()
    with pytest.raises(DataError, match=r"rows\[0\].when: expected an ISO 8601 date or date-time, got a number"):
        fitted.encode_rows([{"when": 7}], dtype="float64")
    with pytest.raises(DataError, match=r"rows\[0\].when: expected an ISO 8601 date or date-time, got a text"):
        fitted.encode_rows([{"when": "soon"}], dtype="float64")


def test_moments_can_not_be_learned() -> None:
    _, table = read_csv("when,x\n2024-05-01,1\n2024-05-02,2\n2024-05-03,3\n")

    with pytest.raises(DataError, match="target: expected numbers or classes to learn, but when holds dates and times"):
        target_facts(table, spec("when"))
