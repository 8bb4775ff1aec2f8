import numpy as np
import pytest

from engine.inspection import REDUCTIONS

ARRAY = np.array([[3.0, -4.0], [0.0, 0.0]])


def test_full_is_every_element() -> None:
    found = REDUCTIONS["full"](ARRAY.T)

    assert found["values"].tolist() == [[3, 0], [-4, 0]]
    assert (found["shape"], found["non_finite"]) == ([2, 2], 0)


def test_a_norm_is_the_euclidean_one() -> None:
    assert REDUCTIONS["norm"](ARRAY) == {"shape": [2, 2], "norm": 5.0, "non_finite": 0}


def test_statistics_are_of_the_elements() -> None:
    found = REDUCTIONS["stats"](ARRAY)

    expected = {"l1": 7, "l2": 5, "linf": 4, "mean": -0.25, "min": -4, "max": 3, "zeros": 2, "q50": 0}
    assert {name: found[name] for name in expected} == expected
    assert found["std"] == pytest.approx(ARRAY.std())


@pytest.mark.parametrize("name", REDUCTIONS)
def test_what_is_not_finite_is_counted(name: str) -> None:
    found = REDUCTIONS[name](np.array([1.0, np.nan, np.inf]))

    assert found["non_finite"] == 2
    assert found.get("norm") is None
    assert found.get("mean") in (None, 1.0)


@pytest.mark.parametrize("name", ["stats", "norm"])
def test_huge_numbers_do_not_overflow_into_the_answer(name: str) -> None:
    found = REDUCTIONS[name](np.full(3, 1e300))

    assert all(value is None or np.isfinite(value) for key, value in found.items() if key != "shape")


def test_nothing_but_undefined_numbers_still_has_an_answer() -> None:
    assert REDUCTIONS["stats"](np.array([np.nan]))["non_finite"] == 1
