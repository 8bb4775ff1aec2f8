"""How columns become inputs, by what a run's preprocessing asks for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import Preprocessing, Table
from engine.errors import DataError
from tests.engine.data.factories import rows_of, spec, table

COUNT = 40
NUMBERS = [float(i * i % 17) for i in range(COUNT)]
COLORS = [("red", "green", "blue", "red")[i % 4] for i in range(COUNT)]
LABELS = [("no", "yes")[i % 2] for i in range(COUNT)]


def fit(found: Table, name: str, **encoding: Any) -> Preprocessing:
    """The preprocessing of one feature, with every row in the training part."""
    split = {"validation": 0, "test": 0}
    columns = {"columns": {name: encoding}} if encoding else {}
    return Preprocessing.fit(found, spec("label", features=[name], split=split, preprocessing=columns))


def X_of(found: Table, name: str, **encoding: Any) -> Any:
    return fit(found, name, **encoding).encode_features(found, dtype="float64")


# Numbers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scaling", "center", "scale"),
    [
        ("standard", np.mean(NUMBERS), np.std(NUMBERS)),
        ("min_max", min(NUMBERS), np.ptp(NUMBERS)),
        ("robust", np.median(NUMBERS), np.subtract(*np.quantile(NUMBERS, [0.75, 0.25]))),
        ("none", 0, 1),
    ],
)
def test_scalings(scaling: str, center: float, scale: float) -> None:
    X = X_of(table(x=NUMBERS, label=LABELS), "x", type="number", scaling=scaling)

    np.testing.assert_allclose(X[:, 0], (np.array(NUMBERS) - center) / scale, atol=1e-12)


def test_log1p_keeps_the_sign() -> None:
    values = [(-1.0) ** i * i * 1e3 for i in range(COUNT)]

    X = X_of(table(x=values, label=LABELS), "x", type="number", transform="log1p", scaling="none")

    np.testing.assert_allclose(X[:, 0], np.sign(values) * np.log1p(np.abs(values)))


def test_a_quantile_is_the_share_of_training_rows_below() -> None:
    values = [float(i) ** 5 for i in range(101)]
    found = table(x=values, label=[LABELS[i % COUNT] for i in range(101)])

    X = X_of(found, "x", type="number", transform="quantile", scaling="none")

    np.testing.assert_allclose(X[:, 0], np.arange(101) / 100, atol=1e-12)
    beyond = fit(found, "x", type="number", transform="quantile", scaling="none").encode_rows(
        [{"x": -5}, {"x": 1e12}], dtype="float64"
    )
    assert beyond.X[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize(("first", "last", "transform"), [(0.0, 6.0, "none"), (0.0, 1e6, "log1p"), (-1.0, 1e6, "none")])
def test_what_is_very_skewed_and_never_negative_is_learned_by_its_logarithm(
    first: float, last: float, transform: str
) -> None:
    values = [first, *(float(i % 7) for i in range(COUNT - 2)), last]

    assert fit(table(x=values, label=LABELS), "x").features[0].transform == transform


@pytest.mark.parametrize(("missing", "fill"), [("median", 2.0), ("mean", 11 / 3), ("constant", -1.0)])
def test_blanks_are_read_as_asked_for(missing: str, fill: float) -> None:
    values = [1.0, 2.0, 8.0, None] * 10

    X = X_of(table(x=values, label=LABELS), "x", type="number", missing=missing, fill=-1, scaling="none")

    assert X[3].tolist() == [fill, 1]
    assert X[0].tolist() == [1, 0]


@pytest.mark.parametrize(("blanks", "asked", "width"), [(1, "auto", 1), (2, "auto", 2), (1, True, 2), (9, False, 1)])
def test_an_indicator_of_blanks(blanks: int, asked: Any, width: int) -> None:
    values = [None] * blanks + NUMBERS[blanks:]

    found = fit(table(x=values, label=LABELS), "x", type="number", indicator=asked)

    assert found.n_in == width
    assert found.input_names == ("x", "x=(blank)")[:width]


def test_a_number_that_is_blank_or_always_the_same_still_tells_which() -> None:
    X = X_of(table(x=[None, 5.0] * 20, label=LABELS), "x")

    assert X[:2, 1].tolist() == [1, 0]


def test_a_refused_blank_is_named_in_the_table_and_in_rows() -> None:
    values = [*NUMBERS[:-1], None]
    with pytest.raises(DataError, match="expected a value, got a blank") as refused:
        fit(table(x=values, label=LABELS), "x", type="number", missing="refuse")
    assert refused.value.place == "rows[39].x"

    found = fit(table(x=NUMBERS, label=LABELS), "x", type="number", missing="refuse")
    with pytest.raises(DataError, match="expected a value, got a blank") as refused:
        found.encode_rows([{"x": 1}, {"x": None}], dtype="float64")
    assert refused.value.place == "rows[1].x"


# Categories --------------------------------------------------------------------------------------------------------


def test_numbers_can_be_categories() -> None:
    found = fit(table(x=[i % 3 * 10 for i in range(COUNT)], label=LABELS), "x", type="category")

    assert found.input_names == ("x=0", "x=10", "x=20")
    assert found.encode_rows([{"x": 10}, {"x": 20.0}, {"x": "0"}], dtype="float64").X.tolist() == [
        [0, 1, 0],
        [0, 0, 1],
        [1, 0, 0],
    ]


def test_levels_stand_in_the_order_given() -> None:
    found = table(x=["low", "high", "middle", "low"] * 10, label=LABELS)
    encoding = {"type": "category", "encoding": "ordinal", "order": ["low", "middle", "high"]}

    X = X_of(found, "x", **encoding)

    places = np.array([0, 2, 1, 0] * 10)
    np.testing.assert_allclose(X[:, 0], (places - places.mean()) / places.std())


def test_an_order_that_misses_a_level_is_refused() -> None:
    with pytest.raises(DataError, match="'blue' is not among them"):
        fit(table(x=COLORS, label=LABELS), "x", type="category", order=["red", "green"])


def test_rare_levels_are_merged() -> None:
    colors = ["pink", "teal", *COLORS[2:]]

    found = fit(table(x=colors, label=LABELS), "x", type="category", min_count=2)

    assert found.input_names == ("x=blue", "x=green", "x=red", "x=(other)")
    encoded = found.encode_rows([{"x": "pink"}, {"x": "new"}], dtype="float64")
    assert encoded.X.tolist() == [[0, 0, 0, 1]] * 2
    assert encoded.warnings == ("x: 2 of 2 rows hold a text not seen in training; it is read as (other)",)


@pytest.mark.parametrize(("unseen", "inputs"), [("ignore", [0, 0, 0]), ("other", [0, 0, 0, 1])])
def test_an_unseen_level_is_read_as_asked_for(unseen: str, inputs: list[int]) -> None:
    found = fit(table(x=COLORS, label=LABELS), "x", type="category", unseen=unseen)

    encoded = found.encode_rows([{"x": "mauve"}], dtype="float64")

    assert encoded.X.tolist() == [inputs]
    assert len(encoded.warnings) == 1


def test_an_unseen_level_can_be_refused() -> None:
    found = fit(table(x=COLORS, label=LABELS), "x", type="category", unseen="refuse")

    with pytest.raises(DataError, match="expected a text seen in training") as refused:
        found.encode_rows([{"x": "red"}, {"x": "mauve"}], dtype="float64")

    assert refused.value.place == "rows[1].x"


def test_blanks_can_be_a_level() -> None:
    colors = [None, *COLORS[1:]]

    found = fit(table(x=colors, label=LABELS), "x", type="category", missing="level")

    assert found.input_names == ("x=(blank)", "x=blue", "x=green", "x=red")
    assert found.encode_rows([{"x": None}, {"x": "NA"}], dtype="float64").X.tolist() == [[1, 0, 0, 0]] * 2


def test_ids_stand_behind_all_numbers_whatever_the_columns_order() -> None:
    found = table(color=COLORS, x=NUMBERS, label=LABELS)
    columns = {"color": {"type": "category", "encoding": "embedding"}}
    asked = spec("label", split={"validation": 0, "test": 0}, preprocessing={"columns": columns})

    fitted = Preprocessing.fit(found, asked)

    assert fitted.input_names == ("x", "color")
    assert fitted.encoder.embedding(None) is not None
    X = fitted.encode_rows([{"color": "green", "x": 0.0}, {"color": "?", "x": 0.0}], dtype="float64").X
    assert X[:, 1].tolist() == [1, 3]  # blue, green, red, and what is none of them


def test_text_is_no_number() -> None:
    with pytest.raises(DataError, match="expected category, as x is text, got number"):
        fit(table(x=COLORS, label=LABELS), "x", type="number")


# The same everywhere -----------------------------------------------------------------------------------------------

ENCODINGS: dict[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "log": {"type": "number", "transform": "log1p"},
    "quantile": {"type": "number", "transform": "quantile", "scaling": "min_max"},
    "indicated": {"type": "number", "indicator": True, "missing": "mean"},
    "level": {"type": "category", "missing": "level", "min_count": 3},
    "ordinal": {"type": "category", "encoding": "ordinal"},
    "embedded": {"type": "category", "encoding": "embedding"},
    "code": {"type": "category", "unseen": "other"},
}


@given(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=10))
def test_every_kind_of_column_means_the_same_in_training_and_prediction(numbers: list[int]) -> None:
    found = table(
        **{
            name: (
                [None if i % 11 == 3 else COLORS[i * 7 % 4] for i in range(COUNT)]
                if name in ("level", "ordinal", "embedded")
                else [None if i % 13 == 5 else i * 3 % 19 for i in range(COUNT)]
            )
            for name in ENCODINGS
        },
        label=LABELS,
    )
    fitted = Preprocessing.fit(found, spec("label", preprocessing={"columns": ENCODINGS}))
    again = Preprocessing.from_json(fitted.to_json())

    trained = fitted.encode_features(found, np.array(numbers), dtype="float32")
    rows = [{name: row[name] for name in ENCODINGS} for row in (rows_of(found)[number] for number in numbers)]

    assert again == fitted
    np.testing.assert_array_equal(again.encode_rows(rows, dtype="float32").X, trained)
    as_lists = again.encode_rows([[row[name] for name in fitted.feature_names] for row in rows], dtype="float32")
    np.testing.assert_array_equal(as_lists.X, trained)
