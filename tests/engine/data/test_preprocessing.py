import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import Preprocessing, Table
from engine.errors import DataError
from tests.engine.data.factories import rows_of, spec, table

COUNT = 40
COLUMNS: dict[str, list[Any]] = {
    "size": [None if i % 9 == 4 else i * 1.5 for i in range(COUNT)],
    "count": [i % 13 for i in range(COUNT)],
    "open": [None if i == 7 else i % 3 == 0 for i in range(COUNT)],
    "kind": [None if i == 5 else ("a", "b", "b", "c")[i % 4] for i in range(COUNT)],
    "price": [100.0 + 3 * i for i in range(COUNT)],
    "label": [("no", "yes", "maybe")[i % 3] for i in range(COUNT)],
}


def mixed() -> Table:
    """A table with every kind of column, and blanks in most."""
    return table(**COLUMNS)


def fit(target: Any = "label", found: Table | None = None, **more: Any) -> Preprocessing:
    return Preprocessing.fit(found or mixed(), spec(target, **more))


# Fitting -----------------------------------------------------------------------------------------------------------


def test_numbers_are_standardised_over_the_training_rows_alone() -> None:
    found = fit(features=["price"])

    train = found.split(mixed()).train
    X = found.encode_features(mixed(), train, dtype="float64")
    assert X.mean() == pytest.approx(0, abs=1e-12)
    assert X.std() == pytest.approx(1)
    assert found.features[0].mean == np.array(COLUMNS["price"])[train].mean()


def test_blanks_are_the_median_or_the_most_frequent_of_the_training_rows() -> None:
    found = fit(features=["size", "kind", "open"])

    train = found.split(mixed()).train
    size, kind, is_open = found.features
    assert size.fill == np.nanmedian(np.array(COLUMNS["size"], float)[train])
    assert kind.fill == "b"
    assert is_open.fill == 0.0


def test_a_text_is_one_input_for_each_level_seen_in_training() -> None:
    found = fit(features=["kind"])

    X = found.encode_features(mixed(), dtype="float32")

    assert found.input_names == ("kind=a", "kind=b", "kind=c")
    assert X.sum(axis=1).tolist() == [1.0] * COUNT
    assert X[0].tolist() == [1, 0, 0]
    assert X[5].tolist() == [0, 1, 0]  # a blank


def test_columns_that_carry_nothing_are_dropped_with_a_warning() -> None:
    constant = table(x=[1.0, 2.0] * 20, same=[3] * 40, none=[None] * 40, word=["w"] * 40, y=["a", "b"] * 20)

    found = fit("y", constant)

    assert found.feature_names == ("x",)
    assert found.dropped == ("same", "none", "word")
    assert len(found.warnings) == 3


def test_a_text_that_names_every_row_is_dropped() -> None:
    names = table(x=list(range(40)), name=[f"n{i}" for i in range(40)], y=["a", "b"] * 20)

    found = fit("y", names)

    assert found.feature_names == ("x",)
    assert "like an identifier" in found.warnings[0]


def test_rows_without_a_target_are_left_out_with_a_warning() -> None:
    holes = table(x=list(range(40)), y=[None if i < 4 else i % 2 for i in range(40)])

    found = fit("y", holes, task="classification")

    split = found.split(holes)
    assert set(range(4)).isdisjoint(np.concatenate([split.train, split.validation, split.test]).tolist())
    assert "blank in 4 rows" in found.warnings[0]


FACTS = {
    "text": ("label", {}, "multiclass", 3),
    "boolean": ("open", {}, "binary", 1),
    "few integers": ("few", {}, "binary", 1),
    "many integers": ("count", {}, "regression", 1),
    "numbers": ("price", {}, "regression", 1),
    "numbers as classes": ("few", {"task": "regression"}, "regression", 1),
    "several numbers": (["price", "size"], {}, "regression", 2),
    "several of two classes": (["open", "few"], {}, "multilabel", 2),
}


@pytest.mark.parametrize("name", FACTS)
def test_the_task_follows_from_the_target(name: str) -> None:
    target, more, kind, outputs = FACTS[name]
    found = fit(target, table(**COLUMNS, few=[i % 2 for i in range(COUNT)]), **more)

    assert (found.facts.kind, found.facts.outputs) == (kind, outputs)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown target": ({"target": "colour"}, "target: there is no column 'colour'; the dataset has size, count"),
    "an unknown feature": ({"features": ["size", "hue"]}, r"features\[1\]: there is no column 'hue'"),
    "the target as a feature": ({"features": ["label"]}, r"features\[0\]: label is the target"),
    "a feature twice": ({"features": ["size", "size"]}, "features: expected every column once"),
    "text to regress": ({"task": "regression"}, "task: expected numbers to learn by regression, but label is text"),
    "one class": ({"target": "one"}, "target: expected one to vary, got one class in all 40 rows"),
    "a constant number": ({"target": "constant"}, "target: expected constant to vary, got one value in all 40 rows"),
    "no value at all": ({"target": "none"}, "target: expected at least 2 rows with a value in none, got 0"),
    "mixed targets": ({"target": ["label", "price"]}, "label: 3 classes, price: numbers; train a run for each"),
    "nothing to learn from": ({"features": ["one"]}, "features: expected at least one column that varies"),
    "numbers too large to standardise": ({"features": ["huge"]}, "columns.huge: expected numbers whose squares"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_learned_is_refused_at_its_place(name: str) -> None:
    change, message = REFUSED[name]
    more = {"one": ["x"] * COUNT, "constant": [1.5] * COUNT, "none": [None] * COUNT}
    more["huge"] = [1e300 if i % 2 else -1e300 for i in range(COUNT)]
    found = table(**COLUMNS, **more)

    with pytest.raises(DataError, match=message):
        Preprocessing.fit(found, spec(**{"target": "label", **change}))


# Encoding ----------------------------------------------------------------------------------------------------------

TARGETS = ["label", "price", "open", ["price", "count"]]


@pytest.mark.parametrize("target", TARGETS)
def test_rows_sent_are_encoded_as_the_tables_are(target: Any) -> None:
    found = fit(target)
    usable = np.concatenate([found.split(mixed()).train, found.split(mixed()).test])
    rows = [rows_of(mixed())[number] for number in usable]

    encoded = found.encode_rows(rows, dtype="float32", with_targets=True)

    np.testing.assert_array_equal(encoded.X, found.encode_features(mixed(), usable, dtype="float32"))
    np.testing.assert_array_equal(encoded.Y, found.encode_targets(mixed(), usable, dtype="float32"))
    assert encoded.warnings == ()


def test_rows_as_lists_mean_the_same() -> None:
    found = fit()
    rows = rows_of(mixed())[:6]

    by_name = found.encode_rows(rows, dtype="float32")
    by_place = found.encode_rows([[row[name] for name in found.feature_names] for row in rows], dtype="float32")

    np.testing.assert_array_equal(by_name.X, by_place.X)


@given(order=st.permutations(list(COLUMNS)), number=st.integers(0, COUNT - 1))
def test_the_order_of_columns_means_nothing(order: list[str], number: int) -> None:
    row = rows_of(MIXED)[number]

    turned = FITTED.encode_rows([{name: row[name] for name in order}], dtype="float64")

    np.testing.assert_array_equal(turned.X, FITTED.encode_features(MIXED, np.array([number]), dtype="float64"))


MIXED = mixed()
FITTED = fit(found=MIXED)


def test_it_survives_json() -> None:
    found = fit()

    again = Preprocessing.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))

    assert again == found
    np.testing.assert_array_equal(
        again.encode_features(mixed(), dtype="float32"), found.encode_features(mixed(), dtype="float32")
    )


def test_a_text_never_seen_is_no_level_and_is_said() -> None:
    encoded = fit(features=["kind"]).encode_rows([{"kind": "z"}, {"kind": "a"}], dtype="float32")

    assert encoded.X.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert encoded.warnings == ("kind: 1 of 2 rows hold a text not seen in training",)


def test_columns_nobody_learned_from_are_ignored_and_said() -> None:
    encoded = fit(features=["price"]).encode_rows([{"price": 1, "hue": 2, "label": "no"}], dtype="float32")

    assert encoded.warnings == ("hue: not a column this run learned from; ignored",)


WRONG: dict[str, tuple[Any, list[str]]] = {
    "columns that are missing": ({}, ["rows[0].price", "rows[0].open"]),
    "a text for a number": ({"price": "dear", "open": True}, ["rows[0].price"]),
    "a boolean for a number": ({"price": True, "open": True}, ["rows[0].price"]),
    "a number too large": ({"price": 10**400, "open": True}, ["rows[0].price"]),
    "a list for a number": ({"price": [1], "open": True}, ["rows[0].price"]),
    "two for a boolean": ({"price": 1, "open": 2}, ["rows[0].open"]),
    "everything at once": ({"price": "dear", "open": "perhaps"}, ["rows[0].price", "rows[0].open"]),
    "too few cells": ([1], ["rows[0]"]),
    "no row": ("price", ["rows[0]"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_cell_of_a_row_is_named(name: str) -> None:
    row, places = WRONG[name]

    with pytest.raises(DataError) as caught:
        fit(features=["price", "open"]).encode_rows([row], dtype="float32")

    assert sorted(problem.place for problem in caught.value.problems) == sorted(places)


def test_a_message_never_repeats_a_private_text() -> None:
    with pytest.raises(DataError) as caught:
        fit(features=["price"]).encode_rows([{"price": "my secret"}], dtype="float32")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("label", ["never", None, 3])
def test_a_class_never_seen_is_refused_with_those_there_are(label: Any) -> None:
    row = {"price": 1.0, "label": label}

    with pytest.raises(DataError, match=r"rows\[0\].label: expected one of the classes maybe, no, yes, got"):
        fit(features=["price"]).encode_rows([row], dtype="float32", with_targets=True)


@pytest.mark.parametrize("label", ["7", 7, 7.0])
def test_a_numeric_class_may_be_sent_as_text_or_number(label: Any) -> None:
    sevens = table(x=list(range(40)), digit=[7 if i % 2 else 3 for i in range(40)])

    encoded = fit("digit", sevens).encode_rows([{"x": 1, "digit": label}], dtype="float32", with_targets=True)

    assert encoded.Y is not None
    assert encoded.Y.tolist() == [[1.0]]


# Decoding ----------------------------------------------------------------------------------------------------------


def test_classes_come_with_probabilities_that_sum_to_one() -> None:
    (prediction,) = fit().decode(np.array([[0.2, 0.3, 0.5]], np.float32))

    assert prediction["label"] == "yes"
    assert list(prediction["probabilities"]) == ["maybe", "no", "yes"]
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-15)


def test_two_classes_come_from_one_output() -> None:
    first, second = fit("open").decode(np.array([[0.25], [0.75]]))

    assert first == {"label": "false", "probabilities": {"false": 0.75, "true": 0.25}}
    assert second["label"] == "true"


def test_numbers_come_back_in_their_own_unit() -> None:
    found = fit("price")

    Y = found.encode_targets(mixed(), dtype="float64")

    decoded = [prediction["value"] for prediction in found.decode(Y)]
    np.testing.assert_allclose(decoded, COLUMNS["price"], rtol=1e-12)


def test_several_targets_come_by_name() -> None:
    found = fit(["price", "count"])

    (prediction,) = found.decode(np.array([[0.0, 0.0]]))

    assert prediction == {
        "targets": {"price": {"value": found.targets[0].mean}, "count": {"value": found.targets[1].mean}}
    }


def test_classes_are_spelt_as_the_file_spells_them() -> None:
    from tests.engine.data.factories import read_csv

    _, found = read_csv("x,y\n" + "".join(f"{i},{'1.50' if i % 2 else '2.0'}\n" for i in range(40)))

    assert fit("y", found, task="classification").targets[0].classes == ("1.50", "2.0")
