import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data import Column, Preprocessing, Schema, Table, suspicions
from engine.data.datetime_parts import datetime_parts
from engine.data.features import MAXIMUM_LEVELS
from engine.data.table import STRETCH_ROWS
from engine.errors import MAXIMUM_PROBLEMS, DataError
from tests.engine.data.factories import read_csv, rows_of, spec, table

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


MIXED = mixed()
FITTED = fit(found=MIXED)


# Fitting -----------------------------------------------------------------------------------------------------------


def test_numbers_are_standardised_over_the_training_rows_alone() -> None:
    found = fit(features=["price"])

    train = found.split(mixed()).train
    X = found.encode_features(mixed(), train, dtype="float64")
    assert X.mean() == pytest.approx(0, abs=1e-12)
    assert X.std() == pytest.approx(1)
    assert found.features[0].mean == np.array(COLUMNS["price"])[train].mean()


@given(part=st.sampled_from(["validation", "test"]), place=st.integers(0, 5), size=st.floats(-1e6, 1e6), kind=st.text())
def test_no_cell_outside_the_training_rows_can_change_what_is_fitted(
    part: str, place: int, size: float, kind: str
) -> None:
    number = int(FITTED.split(MIXED).part(part)[place])
    changed = {name: list(cells) for name, cells in COLUMNS.items()}
    changed["size"][number], changed["kind"][number] = size, kind.encode(errors="replace").decode()

    again = fit(found=table(**changed))

    assert again == FITTED


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


def test_of_very_many_texts_the_most_frequent_are_learned_from() -> None:
    words = [f"w{i % 300:03}" for i in range(1200)]
    found = fit("y", table(word=words, y=[i % 2 for i in range(1200)]), split={"validation": 0, "test": 0.2})

    train = found.split(table(word=words, y=[i % 2 for i in range(1200)])).train

    counts = Counter(words[number] for number in train)
    kept = set(found.features[0].levels)
    assert len(kept) == MAXIMUM_LEVELS
    assert min(counts[word] for word in kept) >= max(counts[word] for word in counts.keys() - kept)
    assert found.warnings == (f"word: only its 256 most frequent texts of {len(counts)} are learned from",)


def test_a_part_that_few_rows_leave_empty_is_warned_of() -> None:
    found = fit("y", table(x=[1, 2, 3], y=["a", "b", "a"]))

    assert found.warnings == (
        "split: 3 rows are too few for a validation part of 0.15; it is empty",
        "split: 3 rows are too few for a test part of 0.15; it is empty",
    )


def test_classes_too_small_for_a_stratified_split_are_said_to_be_so() -> None:
    one_each = table(x=list(range(20)), label=[f"kind {number}" for number in range(20)])

    stratified, plain = fit(found=one_each), fit(found=one_each, split={"stratify": False})

    assert stratified.warnings == tuple(
        f"split: each class of label keeps a row to train, so the {part} part has 0 of 3 rows; "
        "stratify: false draws from all rows alike"
        for part in ("validation", "test")
    )
    assert plain.warnings == ()


def test_features_stand_in_the_order_asked_for() -> None:
    found = fit(features=["kind", "price", "open"])

    assert found.feature_names == ("kind", "price", "open")
    assert found.input_names == ("kind=a", "kind=b", "kind=c", "price", "open")
    assert found.n_in == 5


@pytest.mark.parametrize("stratify", [True, False])
def test_classes_keep_their_shares_where_the_split_is_stratified(stratify: bool) -> None:
    rare = table(x=list(range(200)), y=["rare" if i < 20 else "common" for i in range(200)])
    found = fit("y", rare, split={"validation": 0.25, "test": 0.25, "stratify": stratify}, seed=4)

    split = found.split(rare)

    counts = [int((split.part(name) < 20).sum()) for name in ("train", "validation", "test")]
    assert (counts == [10, 5, 5]) is stratify


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


def test_one_class_in_a_file_of_blanks_is_refused() -> None:
    with pytest.raises(DataError, match="target: expected at least 2 rows with a value in y, got 1") as caught:
        fit("y", table(x=[1, 2, 3], y=["a", None, None]))

    assert caught.value.code == "empty_target"


def test_a_number_that_varies_outside_the_training_rows_alone_is_refused() -> None:
    lone = table(x=list(range(10)), y=[0.5] * 9 + [1.5])

    with pytest.raises(DataError, match="target: expected y to vary over the training rows") as caught:
        fit("y", lone, seed=0)

    assert caught.value.code == "constant_target"


def test_every_unknown_column_is_listed_at_once() -> None:
    with pytest.raises(DataError) as caught:
        fit(["hue", "price"], features=["tone", "size", "shade"])

    assert [problem.place for problem in caught.value.problems] == ["target[0]", "features[0]", "features[2]"]
    assert {problem.code for problem in caught.value.problems} == {"unknown_column"}


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
    "a target twice": ({"target": ["price", "price"]}, "target: expected every column once, got one twice"),
    "too many classes": ({"target": "many"}, "target: expected at most 1000 classes, but many has 1001$"),
    "too many numbers as classes": (
        {"target": "numbers", "task": "classification"},
        'target: expected at most 1000 classes, but numbers has 1001; ask for "task": "regression"',
    ),
    "nothing to learn from": ({"features": ["one"]}, "features: expected at least one column that varies"),
    "numbers too large to standardise": ({"features": ["huge"]}, "columns.huge: expected numbers whose squares"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_learned_is_refused_at_its_place(name: str) -> None:
    change, message = REFUSED[name]
    more: dict[str, list[Any]] = {"one": ["x"] * COUNT, "constant": [1.5] * COUNT, "none": [None] * COUNT}
    more["huge"] = [1e300 if i % 2 else -1e300 for i in range(COUNT)]
    more["many"] = [f"class {i}" for i in range(1001)]
    more["numbers"] = [i + 0.5 for i in range(1001)]
    longest = max(map(len, more.values()))
    found = table(**{name: cells + [None] * (longest - len(cells)) for name, cells in {**COLUMNS, **more}.items()})

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


SPELT = "code,flag,size,grade\n" + "".join(
    f"{('02138', '10001', '')[i % 3]},{('TRUE', 'FALSE', 'NA', 'TRUE')[i % 4]},{i}.50,{('1.50', '2.0')[i % 2]}\n"
    for i in range(40)
)


@pytest.mark.parametrize("target", ["code", "flag", "grade"])
def test_cells_a_file_spells_in_its_own_way_mean_the_same_in_rows_sent(target: str) -> None:
    _, found = read_csv(SPELT)
    fitted = fit(target, found, task="classification")
    usable = fitted.split(found).train

    encoded = fitted.encode_rows(found.rows(usable.tolist()), dtype="float32", with_targets=True)

    np.testing.assert_array_equal(encoded.X, fitted.encode_features(found, usable, dtype="float32"))
    np.testing.assert_array_equal(encoded.Y, fitted.encode_targets(found, usable, dtype="float32"))


@pytest.mark.parametrize("cell", [True, 1, 1.0, "true", "TRUE", "tRue", " True "])
def test_a_boolean_may_be_sent_in_any_usual_form(cell: Any) -> None:
    _, found = read_csv(SPELT)
    fitted = fit("grade", found, features=["flag"], task="classification")

    assert fitted.encode_rows([{"flag": cell}], dtype="float32").X[:, 0].tolist() == [1.0]


@pytest.mark.parametrize("cell", [False, "false", "FALSE", " False "])
def test_a_boolean_class_may_be_sent_in_any_usual_form(cell: Any) -> None:
    _, found = read_csv(SPELT)
    fitted = fit("flag", found, features=["grade"])

    encoded = fitted.encode_rows([{"grade": 2, "flag": cell}], dtype="float32", with_targets=True)

    assert fitted.targets[0].classes == ("FALSE", "TRUE")
    np.testing.assert_array_equal(encoded.Y, [[0]])


@pytest.mark.parametrize("blank", [None, "", "NA", " ", " NA", float("nan")])
def test_a_blank_sent_is_filled_as_in_the_table(blank: Any) -> None:
    found = fit(features=["size", "open"], preprocessing={"numbers": {"indicator": False}})
    filled = {"size": found.features[0].fill, "open": found.features[1].fill}

    encoded = found.encode_rows([{"size": blank, "open": None}, filled], dtype="float64")

    np.testing.assert_array_equal(encoded.X[0], encoded.X[1])


@given(st.lists(st.none() | st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9), min_size=1, max_size=5))
def test_one_row_at_a_time_gives_the_bits_of_all_at_once(sizes: list[float | int | None]) -> None:
    rows = [{**rows_of(MIXED)[number], "size": size} for number, size in enumerate(sizes)]

    together = FITTED.encode_rows(rows, dtype="float32").X

    alone = [FITTED.encode_rows([row], dtype="float32").X for row in rows]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_no_rows_are_an_empty_matrix() -> None:
    assert FITTED.encode_rows([], dtype="float32").X.shape == (0, FITTED.n_in)


def test_two_classes_under_softmax_are_two_outputs() -> None:
    found = fit("open")

    one = found.encode_targets(MIXED, np.array([0, 1]), dtype="float32")
    two = found.encode_targets(MIXED, np.array([0, 1]), dtype="float32", n_out=2)

    assert one.tolist() == [[1], [0]]
    assert two.tolist() == [[0, 1], [1, 0]]


@given(order=st.permutations(list(COLUMNS)), number=st.integers(0, COUNT - 1))
def test_the_order_of_columns_means_nothing(order: list[str], number: int) -> None:
    row = rows_of(MIXED)[number]

    turned = FITTED.encode_rows([{name: row[name] for name in order}], dtype="float64")

    np.testing.assert_array_equal(turned.X, FITTED.encode_features(MIXED, np.array([number]), dtype="float64"))


@pytest.mark.parametrize("target", TARGETS)
def test_it_survives_json(target: Any) -> None:
    found = fit(target, seed=2**63 - 1, split={"validation": 0.3, "test": 0, "stratify": False})

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


def test_a_name_of_half_a_character_is_said_in_letters_that_can_be_sent() -> None:
    encoded = fit(features=["price"]).encode_rows([{"price": 1, "\ud800": 2}], dtype="float32")

    assert encoded.warnings == ("?: not a column this run learned from; ignored",)


def test_every_column_missing_in_any_row_is_listed() -> None:
    found = fit(["price", "count"], features=["size", "kind"])
    rows = [{"size": 1, "kind": "a", "price": 1}, {}, {"size": 1, "kind": "a", "price": 1, "count": 2}, {"kind": "b"}]

    with pytest.raises(DataError, match=r"rows\[0\].count: expected this column, found none") as caught:
        found.encode_rows(rows, dtype="float32", with_targets=True)

    missing = {0: ["count"], 1: ["size", "kind", "price", "count"], 3: ["size", "price", "count"]}
    places = [f"rows[{number}].{name}" for number, names in missing.items() for name in names]
    assert [problem.place for problem in caught.value.problems] == places
    assert {problem.code for problem in caught.value.problems} == {"missing_column"}


def test_no_more_than_a_hundred_problems_are_listed() -> None:
    with pytest.raises(DataError) as caught:
        FITTED.encode_rows([{}] * 200, dtype="float32")

    assert len(caught.value.problems) == MAXIMUM_PROBLEMS


@pytest.mark.parametrize("cell", [None, "dear", True])
def test_a_target_that_is_no_number_is_one_problem(cell: Any) -> None:
    found = fit("price", features=["count"])

    with pytest.raises(DataError, match=r"rows\[1\].price: expected a number, got") as caught:
        found.encode_rows([{"count": 1, "price": 2}, {"count": 1, "price": cell}], dtype="float32", with_targets=True)

    assert [problem.place for problem in caught.value.problems] == ["rows[1].price"]


@pytest.mark.parametrize("name", ["count", "price"])
def test_a_number_that_scaling_makes_infinite_is_refused_at_its_place(name: str) -> None:
    rows = [{"count": 1, "price": 1}, {"count": 1, "price": 1, name: 1e308}]

    with pytest.raises(DataError, match=rf"rows\[1\].{name}: expected a number nearer to those of .* for float32"):
        fit("price", features=["count"]).encode_rows(rows, dtype="float32", with_targets=True)


WRONG: dict[str, tuple[Any, list[str]]] = {
    "columns that are missing": ({}, ["rows[0].price", "rows[0].open"]),
    "a text for a number": ({"price": "dear", "open": True}, ["rows[0].price"]),
    "a boolean for a number": ({"price": True, "open": True}, ["rows[0].price"]),
    "a number too large": ({"price": 10**400, "open": True}, ["rows[0].price"]),
    "a list for a number": ({"price": [1], "open": True}, ["rows[0].price"]),
    "two for a boolean": ({"price": 1, "open": 2}, ["rows[0].open"]),
    "everything at once": ({"price": "dear", "open": "perhaps"}, ["rows[0].price", "rows[0].open"]),
    "too few cells": ([1], ["rows[0]"]),
    "too many cells": ([1, True, 2], ["rows[0]"]),
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


@pytest.mark.parametrize("target", ["label", "open", ["open", "few"], "price", ["price", "count"]])
def test_what_was_encoded_is_decoded_to_what_the_table_holds(target: Any) -> None:
    whole = table(**COLUMNS, few=[i % 2 for i in range(COUNT)])
    found = fit(target, whole)
    usable = found.split(whole).train

    decoded = found.decode(found.encode_targets(whole, usable, dtype="float64"))

    for prediction, row in zip(decoded, whole.rows(usable.tolist()), strict=True):
        answers = prediction["targets"] if isinstance(target, list) else {target: prediction}
        for name, answer in answers.items():
            expected = pytest.approx(row[name]) if "value" in answer else str(row[name]).lower()
            assert answer.get("value", answer.get("label")) == expected


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3).filter(lambda outputs: sum(outputs) > 1e-3))
def test_the_label_is_the_most_probable_class(outputs: list[float]) -> None:
    (prediction,) = FITTED.decode(np.array([outputs], np.float32))

    probabilities = prediction["probabilities"]
    assert probabilities[prediction["label"]] == max(probabilities.values())
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-12)


def test_the_scale_of_a_target_is_one_standard_unit_in_its_own() -> None:
    found = fit(["price", "size"])

    train = found.split(MIXED).train
    expected = [np.array(COLUMNS[name], float)[train].std() for name in ("price", "size")]
    assert found.units is not None
    np.testing.assert_allclose(found.units.step, expected, rtol=1e-12)
    assert FITTED.units is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_target_can_be_learned_by_its_logarithm_and_comes_back_in_its_own_unit(dtype: str) -> None:
    found = fit(["price", "size"], preprocessing={"targets": {"transform": "log1p"}})
    rows = found.split(MIXED).train
    own = np.stack([np.array(COLUMNS[name], float)[rows] for name in ("price", "size")], axis=1)

    Y = found.encode_targets(MIXED, rows, dtype=dtype)

    logs = np.sign(own) * np.log1p(np.abs(own))
    np.testing.assert_allclose(Y, (logs - logs.mean(axis=0)) / logs.std(axis=0), rtol=1e-5, atol=1e-6)
    decoded = [[row["targets"][name]["value"] for name in ("price", "size")] for row in found.decode(Y)]
    np.testing.assert_allclose(decoded, own, rtol=1e-5, atol=1e-5)
    assert found.units is not None
    np.testing.assert_allclose(found.units.own(Y), own, rtol=1e-5, atol=1e-5)
    assert Preprocessing.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_several_targets_come_by_name() -> None:
    found = fit(["price", "count"])

    (prediction,) = found.decode(np.array([[0.0, 0.0]]))

    assert prediction == {
        "targets": {"price": {"value": found.targets[0].mean}, "count": {"value": found.targets[1].mean}}
    }


def test_classes_are_spelt_as_the_file_spells_them() -> None:
    _, found = read_csv("x,y\n" + "".join(f"{i},{'1.50' if i % 2 else '2.0'}\n" for i in range(40)))

    assert fit("y", found, task="classification").targets[0].classes == ("1.50", "2.0")


# Numbers too far from those of training ----------------------------------------------------------------------------


def far(column: str, part: str) -> tuple[Preprocessing, Table, int]:
    """A fitted preprocessing, and its table with 1e300 in one row of this part; which row that is."""
    columns = {"size": [float(i % 7) for i in range(40)], "price": [float(i % 5) for i in range(40)]}
    fitted = Preprocessing.fit(table(**columns), spec("price"))
    row = int(fitted.split(table(**columns)).part(part)[0])
    columns[column][row] = 1e300
    return fitted, table(**columns), row


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("column", ["size", "price"])
def test_a_number_that_the_dtype_can_not_hold_is_refused_by_row_and_column(column: str, part: str) -> None:
    fitted, found, row = far(column, part)

    with pytest.raises(DataError) as caught:
        fitted.check(found, fitted.split(found), dtype="float32")

    assert [problem.place for problem in caught.value.problems] == [f"rows[{row}].{column}"]
    assert "got one too large for float32 once it is scaled" in str(caught.value)
    fitted.check(found, fitted.split(found), dtype="float64")


def test_such_a_number_is_never_encoded() -> None:
    fitted, found, row = far("size", "test")
    _, other, _ = far("price", "test")

    with pytest.raises(DataError, match=rf"rows\[{row}\].size"):
        fitted.encode_features(found, np.array([3, row]), dtype="float32")
    with pytest.raises(DataError, match=rf"rows\[{row}\].price"):
        fitted.encode_targets(other, dtype="float32")


def test_a_number_in_a_row_that_no_part_has_is_nobodys_trouble() -> None:
    _, found = read_csv("size,price\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(40)) + "1e300,\n")

    fitted = fit("price", found)

    fitted.check(found, fitted.split(found), dtype="float32")


def test_a_table_too_large_to_be_held_is_fitted_as_one_that_is_held() -> None:
    draw = random.Random(0)
    rows = STRETCH_ROWS + 4_000
    lines = [
        f"{draw.gauss(3, 2):.4f},{draw.choice(('', 'a', 'b', 'c'))},t{int(draw.expovariate(0.02))},u{number},"
        f"20{draw.randrange(10, 25)}-0{draw.randrange(1, 10)}-11,{draw.choice(('yes', 'no'))}"
        for number in range(rows)
    ]
    _, held = read_csv("x,few,many,id,day,label\n" + "\n".join(lines) + "\n")
    large = replace(held, kept_bytes=0, _values={})

    fitted, other = (Preprocessing.fit(each, spec("label")) for each in (held, large))

    assert fitted.dropped == ("id",)
    assert {feature.encoding for feature in fitted.features} == {"number", "one_hot", "datetime"}
    assert other.to_json() == fitted.to_json()
    split, again = fitted.split(held), other.split(large)
    assert all(np.array_equal(split.part(part), again.part(part)) for part in ("train", "validation", "test"))
    assert suspicions(large, again, other) == suspicions(held, split, fitted)
    X, Y = other.encode_features(large, dtype="float64"), other.encode_targets(large, dtype="float64")
    np.testing.assert_array_equal(X, fitted.encode_features(held, dtype="float64"), strict=True)
    np.testing.assert_array_equal(Y, fitted.encode_targets(held, dtype="float64"), strict=True)


def test_moments_of_many_blocks_have_the_mean_and_deviation_of_all() -> None:
    draw = np.random.default_rng(0)
    seconds = np.sort(draw.integers(0, 2_000_000_000, 2 * STRETCH_ROWS + 99)).astype(float)  # blocks that lie apart
    y = draw.normal(size=len(seconds))
    columns = {"at": seconds, "y": y}
    schema = Schema((Column("at", "datetime", 0), Column("y", "number", 0)))
    found = Table(schema, len(y), lambda column, rows: columns[column.name][rows])

    fitted = Preprocessing.fit(found, spec("y"))

    [feature] = fitted.features
    parts = datetime_parts(seconds[fitted.split(found).train], feature.parts)
    np.testing.assert_allclose(feature.means, parts.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(feature.scales, parts.std(axis=0), rtol=1e-9)
