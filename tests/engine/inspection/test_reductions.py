import numpy as np
import pytest

from engine.errors import SpecError
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


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("value", [2.5, np.nan])
def test_a_number_is_given_as_it_is(name: str, value: float) -> None:
    found = REDUCTIONS[name](np.array(value))

    expected = {"shape": [], "values": None, "non_finite": 1} if np.isnan(value) else None
    assert found == (expected or {"shape": [], "values": 2.5, "non_finite": 0})


# Histograms ---------------------------------------------------------------------------------------------------------


def test_half_decades_hold_each_sign_and_what_is_too_small_or_too_large() -> None:
    values = np.array([-1e6, -2, 0, 0, 1e-21, 0.001, 2, 3, 4, 1e5, np.inf])

    found = REDUCTIONS["hist"](values)

    counts, edges = found["counts"], found["edges"]
    assert len(edges) == 2 * 51
    assert edges[:2] == pytest.approx([-1e5, -(10**4.5)])
    assert edges[-2:] == pytest.approx([10**4.5, 1e5])
    assert (counts[0], counts[51], counts[-1]) == (1, 3, 1)
    assert counts[1 + edges.index(pytest.approx(-(10**0.5)))] == 1
    assert counts[1 + edges.index(pytest.approx(1))] == 2
    assert counts[1 + edges.index(pytest.approx(10**0.5))] == 1
    assert counts[1 + edges.index(pytest.approx(0.001))] == 1
    assert sum(counts) == 10
    assert (found["zeros"], found["non_finite"]) == (2, 1)


def test_histograms_of_parts_add_up_to_that_of_the_whole() -> None:
    values = np.random.default_rng(1).normal(size=(40, 5)) * 10.0 ** np.arange(-5, 0)

    whole, *parts = (REDUCTIONS["hist"](each) for each in (values, values[:7], values[7:]))

    assert whole["edges"] == parts[0]["edges"] == parts[1]["edges"]
    assert whole["counts"] == [a + b for a, b in zip(parts[0]["counts"], parts[1]["counts"], strict=True)]


def test_linear_bins_are_numpys() -> None:
    values = np.random.default_rng(1).normal(size=1000)

    found = REDUCTIONS["hist"](values, bins="linear:17")

    counts, edges = np.histogram(values, bins=17)
    assert found["counts"] == counts.tolist()
    np.testing.assert_allclose(found["edges"], edges, rtol=1e-12)


@pytest.mark.parametrize("values", [[3.0, 3.0], [np.nan], [-1e308, 1e308]], ids=["one value", "none", "huge"])
def test_linear_bins_hold_what_there_is(values: list[float]) -> None:
    found = REDUCTIONS["hist"](np.array(values), bins="linear:4")

    assert sum(found["counts"]) == np.isfinite(values).sum()
    assert np.isfinite(found["edges"]).all()
    assert len(found["edges"]) == 5


@pytest.mark.parametrize("bins", ["linear", "linear:0", "linear:1001", "linear:x", "decades", "linear:-1", ""])
def test_other_bins_are_refused(bins: str) -> None:
    with pytest.raises(SpecError, match=r"reduce\.bins: expected half_decades, or linear:<number of bins>"):
        REDUCTIONS["hist"](ARRAY, bins=bins)


# The largest, and parts ---------------------------------------------------------------------------------------------


def test_the_largest_come_first_with_their_share_of_the_squares() -> None:
    found = REDUCTIONS["topk"](ARRAY, k=3)

    assert found["top"] == [
        {"index": [0, 1], "value": -4.0, "share": pytest.approx(16 / 25)},
        {"index": [0, 0], "value": 3.0, "share": pytest.approx(9 / 25)},
        {"index": [1, 0], "value": 0.0, "share": 0.0},
    ]
    assert found["shape"] == [2, 2]


def test_the_largest_of_few_are_all_and_of_nothing_have_no_share() -> None:
    assert len(REDUCTIONS["topk"](ARRAY)["top"]) == 4
    assert REDUCTIONS["topk"](np.zeros(2), k=1)["top"] == [{"index": [0], "value": 0.0, "share": None}]
    assert REDUCTIONS["topk"](np.array([np.nan]))["top"] == []


def test_shares_of_huge_numbers_are_right() -> None:
    shares = [each["share"] for each in REDUCTIONS["topk"](np.array([3e300, 4e300, np.inf]))["top"]]

    assert shares == pytest.approx([16 / 25, 9 / 25])


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]),
        ({"rows": (1, 2)}, [[[6, 7, 8], [9, 10, 11]]]),
        ({"cols": (1, 9)}, [[[1, 2], [4, 5]], [[7, 8], [10, 11]]]),
        ({"rows": (0, 1), "cols": (0, 1)}, [[[0], [3]]]),
    ],
)
def test_a_slice_goes_along_the_first_and_the_last_axis(options: dict[str, tuple[int, int]], values: object) -> None:
    found = REDUCTIONS["slice"](np.arange(12.0).reshape(2, 2, 3), **options)

    assert found["values"].tolist() == values
    assert (found["shape"], found["non_finite"]) == ([2, 2, 3], 0)


def test_a_slice_of_a_vector_has_rows_alone() -> None:
    assert REDUCTIONS["slice"](np.arange(5.0), rows=(1, 3), cols=(0, 1))["values"].tolist() == [1, 2]
