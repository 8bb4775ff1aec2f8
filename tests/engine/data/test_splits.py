from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from pydantic import ValidationError

from engine.data import Split, split_rows
from engine.data.splits import split_by_time
from engine.spec import SplitSpec


def split(
    count: int, validation: float = 0.2, test: float = 0.1, *, seed: int = 0, strata: ArrayLike | None = None
) -> Split:
    spec = SplitSpec(validation=validation, test=test)
    return split_rows(count, spec, seed=seed, strata=None if strata is None else np.asarray(strata))


def test_the_same_seed_gives_the_same_rows_on_any_machine() -> None:
    found = split(20, seed=7)

    assert (found.validation.tolist(), found.test.tolist()) == ([9, 14, 16, 17], [1, 7])


def test_another_seed_gives_other_rows() -> None:
    assert split(100, seed=1).test.tolist() != split(100, seed=2).test.tolist()


@given(
    count=st.integers(2, 300),
    validation=st.floats(0, 0.45),
    test=st.floats(0, 0.45),
    classes=st.integers(1, 5),
    seed=st.integers(0, 10),
)
def test_every_row_is_in_one_part_and_some_are_left_to_train(
    count: int, validation: float, test: float, classes: int, seed: int
) -> None:
    strata = np.arange(count) % classes

    found = split(count, validation, test, seed=seed, strata=strata)

    together = np.concatenate([found.train, found.validation, found.test])
    assert sorted(together) == list(range(count))
    assert set(strata[found.train]) == set(strata)


@pytest.mark.parametrize("shares", [(0.15, 0.15), (0.5, 0.1), (0.0, 0.3)])
def test_strata_keep_their_shares_in_every_part(shares: tuple[float, float]) -> None:
    strata = np.repeat([0, 1, 2], [600, 300, 100])

    found = split(1000, *shares, strata=strata)

    for part in (found.train, found.validation, found.test):
        if len(part):
            np.testing.assert_allclose(np.bincount(strata[part]) / len(part), [0.6, 0.3, 0.1], atol=0.01)


def test_parts_have_the_sizes_asked_for() -> None:
    found = split(1000, 0.2, 0.1, strata=np.arange(1000) % 7)

    assert [len(found.part(name)) for name in ("train", "validation", "test")] == [700, 200, 100]


def test_each_part_is_in_ascending_order() -> None:
    found = split(100)

    for part in (found.train, found.validation, found.test):
        assert (np.diff(part) > 0).all()


@pytest.mark.parametrize(
    ("validation", "test", "sizes"), [(0, 0.3, [7, 0, 3]), (0.3, 0, [7, 3, 0]), (0, 0, [10, 0, 0])]
)
def test_a_part_of_0_is_empty_and_leaves_its_rows_to_train(validation: float, test: float, sizes: list[int]) -> None:
    found = split(10, validation, test)

    assert [len(found.part(name)) for name in ("train", "validation", "test")] == sizes


def test_a_class_of_one_row_is_trained_on() -> None:
    found = split(10, 0.4, 0.4, strata=[0] * 9 + [1])

    assert 9 in found.train


@given(count=st.integers(10, 200), validation=st.floats(0, 0.4), seed=st.integers(0, 10))
def test_the_test_rows_do_not_depend_on_the_share_that_validates(count: int, validation: float, seed: int) -> None:
    assert split(count, validation, seed=seed).test.tolist() == split(count, 0, seed=seed).test.tolist()


# Groups, times, folds ----------------------------------------------------------------------------------------------


@given(
    groups=st.lists(st.integers(-1, 8), min_size=2, max_size=200),
    folds=st.none() | st.integers(2, 5),
    seed=st.integers(0, 5),
)
def test_rows_of_a_group_stay_together_and_every_row_is_in_one_part(
    groups: list[int], folds: int | None, seed: int
) -> None:
    numbers, spec = np.array(groups), SplitSpec(validation=0.2, test=0.2, folds=folds)

    found = split_rows(len(groups), spec, seed=seed, groups=numbers)

    parts = (found.train, found.validation, found.test)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    of_groups = [set(numbers[part]) - {-1} for part in parts]
    assert not of_groups[0] & of_groups[1] | of_groups[0] & of_groups[2] | of_groups[1] & of_groups[2]


def test_groups_fill_the_parts_about_as_asked_for() -> None:
    found = split_rows(1000, SplitSpec(validation=0.2, test=0.1), seed=3, groups=np.arange(1000) // 5)

    assert (len(found.train), len(found.validation), len(found.test)) == (700, 200, 100)
    assert not np.array_equal(found.test, np.arange(100))


@pytest.mark.parametrize("by", ["rows", "strata", "groups"])
def test_the_folds_test_every_row_once(by: str) -> None:
    strata = np.repeat([0, 1, 2], [41, 32, 30]) if by == "strata" else None
    groups = np.arange(103) // 2 if by == "groups" else None

    found = [
        split_rows(103, SplitSpec(validation=0.1, folds=5, fold=fold), seed=1, strata=strata, groups=groups)
        for fold in range(5)
    ]

    assert sorted(np.concatenate([each.test for each in found])) == list(range(103))
    assert {len(each.test) for each in found} <= {20, 21, 22}
    if strata is not None:
        assert all((np.bincount(strata[each.test]) >= [8, 6, 6]).all() for each in found)


def test_the_latest_rows_test_and_those_before_validate() -> None:
    times = np.random.default_rng(1).permutation(100).astype(float)

    found = split_by_time(times, SplitSpec(validation=0.2, test=0.1))

    assert (len(found.train), len(found.validation), len(found.test)) == (70, 20, 10)
    assert times[found.train].max() < times[found.validation].min() <= times[found.validation].max() < 90
    assert times[found.test].min() == 90


def test_rows_of_one_time_are_in_one_part() -> None:
    times = np.repeat([1.0, 2.0, 3.0], 10)

    found = split_by_time(times, SplitSpec(validation=0.0, test=0.15))

    assert times[found.test].tolist() == [3.0] * 10
    assert len(found.validation) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"group": "a", "time": "b"}, "expected one way to split, got group and time"),
        ({"folds": 3, "part": "a"}, "expected folds of rows or of groups, got part beside them"),
        ({"folds": 3, "fold": 3}, "fold: expected one of 3 folds, counted from 0, got 3"),
        ({"fold": 1}, "fold: expected one of 1 folds, counted from 0, got 1"),
        ({"folds": 2, "validation": 0.5}, "validation \\+ test: expected less than 1"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SplitSpec(**options)
