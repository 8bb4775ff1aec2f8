from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from engine.data import Preprocessing, Table, suspicions
from engine.data.associations import correlation_ratio, cramers_v, pearson
from service.samples import DIGITS, PENGUINS
from tests.engine.data.factories import read_csv, spec, table


def suspected(found: Table, target: str | list[str], **more: Any) -> list[str]:
    fitted = Preprocessing.fit(found, spec(target, **more))
    return suspicions(found, fitted.split(found), fitted)


def of(sentences: Sequence[str], start: str) -> list[str]:
    return [sentence for sentence in sentences if sentence.startswith(start)]


def noise(rows: int, seed: int = 0) -> list[float]:
    found: list[float] = np.random.default_rng(seed).normal(size=rows).tolist()
    return found


NO_SPLIT = {"split": {"validation": 0, "test": 0}}


# Clean tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_suspected_of_real_clean_tables(seed: int) -> None:
    iris = load_iris()
    columns = {name: iris.data[:, place].tolist() for place, name in enumerate(iris.feature_names)}
    names = [str(iris.target_names[code]) for code in iris.target]

    assert suspected(table(**columns, species=names), "species", seed=seed) == []
    assert suspected(table(**columns), "petal length (cm)", seed=seed) == []
    assert suspected(read_csv(PENGUINS.content())[1], "species", seed=seed) == []
    assert suspected(read_csv(PENGUINS.content())[1], "body_mass_g", seed=seed) == []
    assert suspected(read_csv(DIGITS.content())[1], "digit", seed=seed) == []


# Leaks -------------------------------------------------------------------------------------------------------------


def test_a_number_that_is_the_target_in_another_unit_leaks() -> None:
    y = np.array(noise(60))
    kelvin = [None, *(273.15 + y[1:] / 2).tolist()]

    found = suspected(table(y=y.tolist(), x=noise(60, 1), kelvin=kelvin), "y")

    assert found == [
        "kelvin: is y up to a factor and an offset (|r| = 1.000000); leave it out of features if it is known only once "
        "y is"
    ]


@pytest.mark.parametrize(("share", "count"), [(0.04, 1), (0.06, 0)])
def test_a_number_leaks_from_a_correlation_of_999_thousandths_on(share: float, count: int) -> None:
    y, other = np.array(noise(400)), np.array(noise(400, 1))
    other -= (other @ y) / (y @ y) * y
    x = y + share * other

    assert (np.corrcoef(x, y)[0, 1] > 0.999) == bool(count)
    assert len(suspected(table(x=x.tolist(), y=y.tolist()), "y", **NO_SPLIT)) == count


def test_numbers_whose_squares_are_large_leak_as_others_do() -> None:
    y = noise(60)

    assert len(suspected(table(x=[1e150 * value for value in y], y=y), "y", training={"dtype": "float64"})) == 1


LABELS = ["a", "b", "c"] * 30


@pytest.mark.parametrize(
    ("cells", "leaks"),
    [
        ([{"a": "x", "b": "y", "c": "z"}[label] for label in LABELS], True),
        ([f"{label}{row % 4}" for row, label in enumerate(LABELS)], True),
        ([None if row < 10 else label for row, label in enumerate(LABELS)], True),
        (["x" if row == 50 else label for row, label in enumerate(LABELS)], True),
        (["a" if row in (50, 51) else label for row, label in enumerate(LABELS)], False),
        ([f"{label}{row % 10}" for row, label in enumerate(LABELS)], False),
        ([{"a": 3, "b": 1, "c": 2}[label] for label in LABELS], True),
        ([{"a": 3, "b": 1, "c": 1}[label] for label in LABELS], False),
        ([{"a": 1.0, "b": 2.0, "c": 3.0}[label] + row * 1e-6 for row, label in enumerate(LABELS)], True),
        ([{"a": 1.0, "b": 2.0, "c": 2.0}[label] + row * 1e-6 for row, label in enumerate(LABELS)], False),
        ([{"a": 1.0, "b": 2.0, "c": 3.0}[label] + row * 5e-3 for row, label in enumerate(LABELS)], False),
    ],
)
def test_a_feature_leaks_whose_every_value_has_one_class(cells: list[Any], leaks: bool) -> None:
    found = suspected(table(cells=cells, other=noise(90), label=LABELS), "label", **NO_SPLIT)

    assert [sentence.split(";")[0] for sentence in of(found, "cells")] == (
        ["cells: tells the classes of label apart by itself"] if leaks else []
    )


def test_a_boolean_leaks_and_one_that_marks_a_single_row_does_not() -> None:
    label = ["yes" if row % 3 else "no" for row in range(60)]
    rare = ["no"] * 59 + ["yes"]

    assert of(suspected(table(x=[each == "no" for each in label], label=label), "label", **NO_SPLIT), "x:")
    assert not of(suspected(table(x=[each == "no" for each in rare], label=rare), "label", **NO_SPLIT), "x:")


@pytest.mark.parametrize(("odd", "leaks"), [(1.0, True), (1.0005e-6, False), (2999e-9, False)])
def test_one_row_in_thousands_clears_a_number_of_a_leak(odd: float, leaks: bool) -> None:
    label = ["a"] * 3000 + ["b"] * 3000
    x = [(each == "b") + row % 3000 * 1e-9 for row, each in enumerate(label)]
    x[4500] = odd

    assert bool(of(suspected(table(x=x, other=noise(6000), label=label), "label", **NO_SPLIT), "x:")) == leaks


@pytest.mark.parametrize(("rows", "count"), [(9, 0), (10, 1)])
def test_a_leak_wants_ten_rows(rows: int, count: int) -> None:
    found = suspected(table(x=noise(rows), y=[2 * value for value in noise(rows)]), "y", **NO_SPLIT)

    assert len(of(found, "x: is y")) == count


def test_a_leak_is_looked_for_by_training_rows_alone() -> None:
    label, x = ["a", "b"] * 50, ["x", "y"] * 50
    found = table(x=x, other=noise(100), label=label)
    fitted = Preprocessing.fit(found, spec("label"))
    x[fitted.split(found).test[0]] = "y" if x[fitted.split(found).test[0]] == "x" else "x"

    assert of(suspected(table(x=x, other=noise(100), label=label), "label"), "x: tells the classes")


def test_each_of_several_targets_is_looked_at() -> None:
    y, z = noise(60), noise(60, 1)

    found = suspected(table(x=y, other=noise(60, 2), y=y, z=z), ["y", "z"])

    assert [sentence.split(" up to")[0] for sentence in found] == ["x: is y"]


# Classes -----------------------------------------------------------------------------------------------------------


def sizes(*counts: int) -> list[str]:
    label = [f"c{place}" for place, count in enumerate(counts) for _ in range(count)]
    return suspected(table(x=noise(len(label)), label=label), "label", **NO_SPLIT)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((95, 5), ["fewer than 10 training rows for 1 of 2 classes: c1 (5)"]),
        ((960, 40), ["of 1000 training rows c1 has 40 and c0 960, so that accuracy says little of it"]),
        ((940, 60), []),
        ((10,) * 100, []),
        ((100,) * 9 + (30,), []),
        ((100,) * 9 + (20,), ["of 920 training rows c9 has 20 and c0 100, so that accuracy says little of it"]),
        ((1000, *(45,) * 9), ["of 1405 training rows c1 has 45 and c0 1000, so that accuracy says little of it"]),
        ((1000, *(55,) * 9), []),
        ((100, 9, 8), ["fewer than 10 training rows for 2 of 3 classes: c2 (8), c1 (9)"]),
        ((20, 20, 10), []),
    ],
)
def test_rare_and_small_classes_are_named(counts: tuple[int, ...], expected: list[str]) -> None:
    found = sizes(*counts)

    assert [sentence.removeprefix("label: ").split(";")[0] for sentence in found] == expected


def test_the_remedy_for_a_rare_class_is_one_that_its_targets_can_have() -> None:
    rare, even = ["no"] * 960 + ["yes"] * 40, ["u", "v"] * 500
    found = table(x=noise(1000), rare=rare, even=even)

    (alone,) = suspected(found, "rare", features=["x"], **NO_SPLIT)
    (among_others,) = suspected(found, ["rare", "even"], **NO_SPLIT)

    assert alone.endswith("; class_weight: balanced makes it count more")
    assert among_others.endswith("; a pos_weight of binary_cross_entropy or the loss binary_focal makes it count more")


def test_of_many_small_classes_the_smallest_are_named() -> None:
    assert sizes(40, 9, 8, 7, 6, 5, 4) == [
        "label: fewer than 10 training rows for 6 of 7 classes: c6 (4), c5 (5), c4 (6), c3 (7), c2 (8), …"
    ]


def test_a_target_of_numbers_that_hardly_varies_is_suspected() -> None:
    flat = [0.0] * 399 + [1.5]

    found = suspected(table(x=noise(400), y=flat), "y", **NO_SPLIT)

    assert found == ["y: the same in 399 of 400 training rows, so that there is little to learn"]
    assert suspected(table(x=noise(400), y=[0.0] * 398 + [1.5, 2.5]), "y", **NO_SPLIT) == []


# Rows --------------------------------------------------------------------------------------------------------------


def test_held_out_rows_that_training_knows_are_counted() -> None:
    x = noise(100) * 2
    words = [f"w{row % 7}" for row in range(100)] * 2
    found = table(x=[None if value < -1 else value for value in x], word=words, y=noise(200, 3))
    fitted = Preprocessing.fit(found, spec("y"))
    split = fitted.split(found)

    sentences = suspicions(found, split, fitted)

    rows = {int(row): (found.rows([int(row)])[0]["x"], words[row]) for row in range(200)}
    train = {rows[row] for row in split.train.tolist()}
    for part in ("validation", "test"):
        numbers = split.part(part).tolist()
        count = sum(rows[row] in train for row in numbers)
        assert count > 5
        assert (
            f"split: {count} of {len(numbers)} {part} rows have the features of a training row, so that what is "
            in (" ".join(of(sentences, "split")))
        )


def test_rows_that_are_bound_to_repeat_are_not_suspected() -> None:
    few_values = table(x=[row % 3 for row in range(300)], kind=["u", "v"] * 150, y=noise(300))

    assert suspected(few_values, "y") == []


@pytest.mark.parametrize(("rows", "count"), [(19, 1), (20, 0)])
def test_ten_training_rows_are_wanted_for_each_input(rows: int, count: int) -> None:
    found = suspected(table(x=noise(rows), z=noise(rows, 1), y=noise(rows, 2)), "y", **NO_SPLIT)

    assert [sentence.split(";")[0] for sentence in found] == ["split: 19 training rows for 2 inputs"] * count


# Associations ------------------------------------------------------------------------------------------------------


def test_pearson_is_that_of_numpy() -> None:
    x, y = np.array(noise(50)), np.array(noise(50, 1))

    assert pearson(x, y) == pytest.approx(abs(np.corrcoef(x, y)[0, 1]), rel=1e-12)
    assert pearson(1e300 * x + 1e300, -y) == pytest.approx(abs(np.corrcoef(x, y)[0, 1]), rel=1e-9)
    assert pearson(np.full(50, 0.1), y) is None


def test_the_correlation_ratio_is_the_root_of_r2_of_the_means_of_groups() -> None:
    x, groups = np.array(noise(60)), np.arange(60) % 3
    x += groups

    means = np.array([x[groups == group].mean() for group in range(3)])[groups]

    assert correlation_ratio(x, groups) == pytest.approx(np.sqrt(means.var() / x.var()), rel=1e-12)
    assert correlation_ratio(x, groups // 2 * 4) == pytest.approx(abs(np.corrcoef(x, groups == 2)[0, 1]), rel=1e-12)
    assert correlation_ratio(x, np.zeros(60, int)) is None


def test_cramers_v_is_worked_out_of_chi_squared() -> None:
    generator = np.random.default_rng(4)
    a, b = generator.integers(0, 3, 200), generator.integers(0, 4, 200)
    b[:80] = a[:80]

    counts = np.array([[np.sum((a == i) & (b == j)) for j in range(4)] for i in range(3)], float)
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / 200
    chi_squared = ((counts - expected) ** 2 / expected).sum()

    assert cramers_v(a, b) == pytest.approx(np.sqrt(chi_squared / 200 / 2), rel=1e-12)
    assert cramers_v(a, a) == pytest.approx(1.0)
    assert cramers_v(a, np.zeros(200, int)) is None
