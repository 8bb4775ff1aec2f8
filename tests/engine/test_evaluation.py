"""The tables of an evaluation, where real runs do not lead."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from engine.data.targets import Target
from engine.evaluation import QUANTILES, calibration, evaluate_targets, residual_quantiles, worst
from engine.metrics import Judged, Truth
from engine.parameters import Array
from engine.units import Units


def binary(p: list[float], truth: list[int], dtype: str = "float64") -> Judged:
    A, Y = (np.array(values, dtype)[:, np.newaxis] for values in (p, truth))
    return Judged(A, Truth(Y, "binary"))


def test_probabilities_at_a_bound_are_in_the_bin_below_as_in_scikit_learn() -> None:
    p, truth = [0.0, 0.1, 0.2, 0.5, 0.9, 1.0, 1.0], [0, 1, 0, 1, 1, 0, 1]

    found = calibration(binary(p, truth))

    observed, predicted = calibration_curve(truth, p, n_bins=10)
    filled = [each for each in found if each.count]
    assert [each.count for each in found] == [2, 1, 0, 0, 1, 0, 0, 0, 1, 2]
    assert [each.observed for each in filled] == pytest.approx(observed)
    assert [each.mean_predicted for each in filled] == pytest.approx(predicted)
    assert (found[0].low, found[-1].high) == (0, 1)


def test_a_class_without_rows_or_predictions_has_zeros() -> None:
    A = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]])
    rows = Judged(A, Truth(np.eye(3)[[0, 1, 1]], "multiclass"))

    (found,) = evaluate_targets(rows, [Target("y", "text", ("a", "b", "c"))])

    assert found.confusion == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert found.classes is not None
    last = found.classes[-1]
    assert (last.name, last.precision, last.recall, last.f1, last.support) == ("c", 0, 0, 0, 0)


def test_two_classes_behind_softmax_are_those_behind_sigmoid() -> None:
    one = binary([0.2, 0.7, 0.9, 0.4], [0, 1, 0, 1])
    two = Judged(np.hstack([1 - one.A, one.A]), Truth(np.hstack([1 - one.truth.Y, one.truth.Y]), "binary"))
    target = Target("y", "text", ("no", "yes"))

    found, expected = (evaluate_targets(rows, [target])[0] for rows in (two, one))

    assert found.confusion == expected.confusion == [[1, 1], [1, 1]]
    assert found.calibration == expected.calibration
    assert found.metrics == pytest.approx(expected.metrics)


def test_residuals_are_in_each_targets_own_unit_and_positive_where_the_output_is_too_low() -> None:
    A, Y = np.zeros((3, 2)), np.array([[1.0, -1.0], [2.0, -2.0], [3.0, -3.0]])
    rows = Judged(
        A, Truth(Y, "regression", Units(np.array([10.0, 1.0]), np.array([5.0, 0.0]), np.array([False, False])))
    )

    first, second = evaluate_targets(rows, [Target("a", "number"), Target("b", "number")])

    assert first.residuals == pytest.approx(
        {"min": 10, "q05": 11, "q25": 15, "q50": 20, "q75": 25, "q95": 29, "max": 30}
    )
    assert second.residuals is not None
    assert (second.residuals["min"], second.residuals["max"]) == (-3, -1)
    assert (first.metrics["mae"], second.metrics["mae"]) == (20, 2)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (np.array([1.0, 3.0, 2.0]), [1, 2]),
        (np.array([2.0, 2.0, 2.0]), [0, 1]),
        (np.array([5.0, np.nan, 7.0]), [1, 2]),
    ],
    ids=["largest first", "in order where alike", "no number before all"],
)
def test_the_worst_rows(losses: Array, expected: list[int]) -> None:
    assert worst(losses, 2).tolist() == expected


def test_a_rows_weight_counts_in_calibration_and_residuals_as_its_repetition_would() -> None:
    random = np.random.default_rng(3)
    times = random.integers(0, 4, 60)
    A, Y = random.random((60, 1)), random.integers(0, 2, (60, 1)).astype(float)
    once = Judged(A, Truth(Y, "binary", weights=times.astype(float)))
    often = Judged(np.repeat(A, times, axis=0), Truth(np.repeat(Y, times, axis=0), "binary"))

    for weighted, repeated in zip(calibration(once), calibration(often), strict=True):
        assert weighted.mean_predicted == pytest.approx(repeated.mean_predicted)
        assert weighted.observed == pytest.approx(repeated.observed)
    numbers = Judged(A, Truth(Y, "regression", weights=times.astype(float)))
    residuals = np.quantile(np.repeat(Y - A, times), list(QUANTILES.values()), method="inverted_cdf")
    assert residual_quantiles(numbers) == pytest.approx(dict(zip(QUANTILES, residuals.tolist(), strict=True)))
