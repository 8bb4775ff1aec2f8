import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score

from engine.metrics import measure, rises

ONES = np.ones(3)


def test_accuracy_of_classes_that_exclude_each_other_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    A, classes = random.dirichlet(np.ones(3), size=50), random.integers(3, size=50)

    found = measure("classification", A, np.eye(3)[classes], ONES)

    assert found == {"accuracy": accuracy_score(classes, A.argmax(axis=1))}


@pytest.mark.parametrize("outputs", [1, 3])
def test_accuracy_of_yes_or_no_outputs_is_scikit_learns(outputs: int) -> None:
    random = np.random.default_rng(1)
    A, Y = random.random((50, outputs)), random.integers(2, size=(50, outputs))

    found = measure("classification", A, Y.astype(float), np.ones(outputs))

    assert found == {"accuracy": accuracy_score(Y, A >= 0.5)}


def test_regression_metrics_are_scikit_learns_in_the_targets_own_units() -> None:
    random = np.random.default_rng(2)
    A, Y, scale = random.normal(size=(40, 2)), random.normal(size=(40, 2)), np.array([10.0, 0.1])

    found = measure("regression", A, Y, scale)

    assert found["mae"] == pytest.approx(mean_absolute_error(Y * scale, A * scale), rel=1e-12)
    assert found["r2"] == pytest.approx(r2_score(Y, A), rel=1e-12)


def test_r2_is_undefined_where_the_target_does_not_vary() -> None:
    assert measure("regression", np.zeros((4, 1)), np.ones((4, 1)), np.ones(1))["r2"] is None


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [("validation.loss", False), ("train.mae", False), ("train.r2", True), ("validation.accuracy", True)],
)
def test_which_way_is_better(monitor: str, expected: bool) -> None:
    assert rises(monitor) is expected
