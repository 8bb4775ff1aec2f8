"""Every metric beside scikit-learn's, on random rows with and without weights."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
import pytest
from sklearn import metrics as sklearn

from engine import spec
from engine.metrics import METRICS, Judged, Kind, Truth, measure, names_of, rises
from engine.parameters import Array
from engine.units import Units

M, K, L = 60, 4, 3
PLAIN = (False,) * L
Reference = Callable[[Judged, Array | None], float]


def rows(
    kind: Kind, *, weighted: bool = False, ties: bool = True, logs: Sequence[bool] = PLAIN, **changes: Any
) -> Judged:
    """Random rows; their outputs are coarse, so that many are alike, unless `ties` is false."""
    random = np.random.default_rng(5)
    digits = 2 if ties else 15
    weights = random.integers(0, 4, size=M) * random.uniform(0.1, 3, size=M) if weighted else None
    units = None
    if kind == "multiclass":
        votes, Y = random.integers(0, 9, size=(M, K)) + 1, np.eye(K)[random.integers(K, size=M)]
        A = votes / votes.sum(axis=1, keepdims=True) if ties else random.dirichlet(np.ones(K), size=M)
    elif kind == "regression":
        A, Y = random.normal(size=(M, L)), random.normal(size=(M, L))
        units = Units(np.array([10.0, 0.1, 1.0]), np.array([3.0, -1.0, 0.0]), np.array(logs))
    else:
        width = 1 if kind == "binary" else L
        Y = random.integers(2, size=(M, width)).astype(float)
        A = (0.3 * Y + 0.7 * random.random((M, width))).round(digits)
    found: dict[str, Any] = {"Y": Y, "kind": kind, "units": units, "weights": weights} | changes
    return Judged(A, Truth(**found))


def two_outputs(**options: Any) -> Judged:
    """A binary target under softmax."""
    found = rows("binary", **options)
    A, Y = (np.hstack([1 - values, values]) for values in (found.A, found.truth.Y))
    return Judged(A, Truth(Y, "binary", weights=found.truth.weights))


def by_logarithm(**options: Any) -> Judged:
    """Numbers of which some are learned by their logarithm."""
    return rows("regression", logs=(True, False, True), **options)


def labels(found: Judged) -> tuple[Array, Array]:
    """Targets and outputs as scikit-learn takes them for classes."""
    if found.kind == "multilabel":
        return found.truth.Y, found.A > 0.5
    if found.A.shape[1] == 1:
        return found.truth.Y[:, 0], found.A[:, 0] > 0.5
    return found.truth.Y.argmax(axis=1), found.A.argmax(axis=1)


def of_labels(score: Callable[..., float], **options: Any) -> Reference:
    return lambda found, weights: float(score(*labels(found), sample_weight=weights, **options))


def of_each_label(score: Callable[..., float]) -> Callable[[Judged, Array | None], float]:
    """The mean over labels of what scikit-learn defines for one alone."""
    return lambda found, weights: float(
        np.mean([score(found.truth.Y[:, place], found.A[:, place], sample_weight=weights) for place in range(L)])
    )


def of_probabilities(score: Callable[..., float], **options: Any) -> Reference:
    def reference(found: Judged, weights: Array | None) -> float:
        A = found.A[:, -1] if found.kind == "binary" else found.A
        Y = found.truth.Y if found.kind == "multilabel" else labels(found)[0]
        return float(score(Y, A, sample_weight=weights, **options))

    return reference


def of_numbers(score: Callable[..., float]) -> Reference:
    def reference(found: Judged, weights: Array | None) -> float:
        units, Y, A = found.truth.units, found.truth.Y, found.A
        Y, A = (Y, A) if units is None else (units.own(Y), units.own(A))
        return float(score(Y, A, sample_weight=weights))

    return reference


def balanced(Y: Array, A: Array, *, sample_weight: Array | None) -> float:
    return float(sklearn.balanced_accuracy_score(Y, A > 0.5, sample_weight=sample_weight))


MACRO: dict[str, Any] = {"average": "macro", "zero_division": 0}
REFERENCES: dict[str, Reference] = {
    "accuracy": of_labels(sklearn.accuracy_score),
    "balanced_accuracy": of_labels(sklearn.balanced_accuracy_score),
    "f1": of_labels(sklearn.f1_score, **MACRO),
    "precision": of_labels(sklearn.precision_score, **MACRO),
    "recall": of_labels(sklearn.recall_score, **MACRO),
    "roc_auc": of_probabilities(sklearn.roc_auc_score, average="macro", multi_class="ovr"),
    "log_loss": of_probabilities(sklearn.log_loss),
    "brier": of_probabilities(sklearn.brier_score_loss),
    "mae": of_numbers(sklearn.mean_absolute_error),
    "rmse": of_numbers(sklearn.root_mean_squared_error),
    "r2": of_numbers(sklearn.r2_score),
    "explained_variance": of_numbers(sklearn.explained_variance_score),
    "median_absolute_error": of_numbers(sklearn.median_absolute_error),
}
OF_LABELS = {
    "balanced_accuracy": of_each_label(balanced),
    "log_loss": of_each_label(sklearn.log_loss),
    "brier": of_each_label(sklearn.brier_score_loss),
}
"""What scikit-learn defines for one label alone."""


@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
@pytest.mark.parametrize(
    "make",
    [*(lambda k=k, **o: rows(k, **o) for k in get_args(Kind)), two_outputs, by_logarithm],  # type: ignore[misc]
)
def test_every_metric_is_scikit_learns(make: Callable[..., Judged], weighted: bool) -> None:
    judged = make(weighted=weighted)
    task = METRICS["mae" if judged.kind == "regression" else "accuracy"].task

    found = measure(judged)

    assert list(found) == names_of(task)
    for name, value in found.items():
        reference = OF_LABELS.get(name, REFERENCES[name]) if judged.kind == "multilabel" else REFERENCES[name]
        assert value == pytest.approx(reference(judged, judged.truth.weights), rel=1e-12), name


@pytest.mark.parametrize("logs", [PLAIN, (True, False, True)], ids=["plain", "logarithm"])
@pytest.mark.parametrize("weighted", [False, True], ids=["alike", "weighted"])
def test_regression_of_one_target_is_scikit_learns(weighted: bool, logs: Sequence[bool]) -> None:
    three = rows("regression", weighted=weighted, logs=logs)
    judged = three.targets[0]

    found = measure(judged)

    assert judged.A.shape == (M, 1)
    for name, value in found.items():
        assert value == pytest.approx(REFERENCES[name](judged, judged.truth.weights), rel=1e-12), name


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_weight_is_a_number_of_times(kind: Kind) -> None:
    times = np.random.default_rng(8).integers(0, 4, size=M)
    judged = rows(kind, weights=times.astype(np.float32))

    found = measure(judged)

    repeated = Judged(
        judged.A.repeat(times, axis=0), Truth(judged.truth.Y.repeat(times, axis=0), kind, judged.truth.units)
    )
    assert found == pytest.approx(measure(repeated), rel=1e-12)


def test_classes_that_no_row_has_or_is_given_are_left_out_as_scikit_learn_does() -> None:
    truth, taken = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 3, 1])
    judged = Judged(np.eye(6)[taken] * 0.5 + 0.5 / 6, Truth(np.eye(6)[truth], "multiclass"))

    found = measure(judged)

    for name in ("accuracy", "f1", "precision", "recall"):
        assert found[name] == pytest.approx(REFERENCES[name](judged, None), rel=1e-12), name
    assert found["balanced_accuracy"] == pytest.approx((0.5 + 0.5 + 0) / 3)


@pytest.mark.parametrize("judged", [rows("binary"), rows("multilabel"), rows("multiclass")], ids=lambda j: j.kind)
def test_the_order_of_outputs_says_nothing_where_a_class_is_missing(judged: Judged) -> None:
    missing = judged.truth.Y.copy()
    missing[:, 1 if judged.kind == "multiclass" else 0] = 0
    if judged.kind == "multiclass":
        missing[:, 0] = 1 - missing[:, 2:].sum(axis=1)

    found = measure(Judged(judged.A, Truth(missing, judged.kind)))

    assert found["roc_auc"] is None
    assert all(value is not None for name, value in found.items() if name != "roc_auc")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_scores_have_no_probabilities_but_an_order(kind: Kind) -> None:
    probable = rows(kind, ties=False)
    scores = Judged(np.log(probable.A / (1 - probable.A)), Truth(probable.truth.Y, kind), scores=True)

    found, expected = measure(scores), measure(probable)

    assert found["log_loss"] is None
    assert found["brier"] is None
    assert found["roc_auc"] == pytest.approx(expected["roc_auc"], rel=1e-12)
    assert found["accuracy"] == expected["accuracy"]


def test_an_output_of_one_half_is_the_first_class_as_in_predictions() -> None:
    judged = Judged(np.array([[0.5], [0.5], [0.6]]), Truth(np.array([[0.0], [1.0], [1.0]]), "binary"))

    assert judged.predicted.tolist() == [0, 0, 1]
    assert measure(judged)["accuracy"] == pytest.approx(2 / 3)


def test_several_labels_are_right_together_also_where_each_row_has_one_alone() -> None:
    judged = Judged(np.array([[0.9, 0.8], [0.1, 0.9]]), Truth(np.eye(2), "multilabel"))

    assert measure(judged)["accuracy"] == 0.5


def test_a_probability_of_none_costs_what_scikit_learn_says_it_does_in_each_dtype() -> None:
    for dtype in ("float32", "float64"):
        judged = Judged(np.array([[1.0], [0.25]], dtype), Truth(np.array([[0.0], [1.0]], dtype), "binary"))

        expected = sklearn.log_loss(judged.truth.Y[:, 0], judged.A[:, 0])
        assert measure(judged)["log_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [1.0, 0.1, 1e9 / 3])
def test_a_share_of_the_variance_is_undefined_where_a_target_does_not_vary(value: float) -> None:
    found = measure(Judged(np.zeros((7, 1)), Truth(np.full((7, 1), value), "regression")))

    assert found["r2"] is None
    assert found["explained_variance"] is None
    assert found["mae"] == pytest.approx(value)


def test_a_weighted_median_between_two_rows_is_midway() -> None:
    A = np.array([[1.0], [2.0], [4.0], [9.0]])
    judged = Judged(A, Truth(np.zeros((4, 1)), "regression", weights=np.array([1.0, 1.0, 0.0, 2.0])))

    assert measure(judged)["median_absolute_error"] == 5.5
    assert REFERENCES["median_absolute_error"](judged, judged.truth.weights) == 5.5


def test_numbers_that_are_none_raise_nothing() -> None:
    for kind in get_args(Kind):
        judged = rows(kind)
        judged.A[3] = np.nan
        measure(judged)


# Each epoch --------------------------------------------------------------------------------------------------------


def test_what_is_measured_each_epoch_can_be_monitored_and_nothing_else() -> None:
    measured = {f"{part}.{name}" for name, metric in METRICS.items() for part in metric.each_epoch}

    assert set(get_args(spec.Monitor)) == measured | {"train.loss", "train.objective", "validation.loss"}


def test_each_epoch_has_fewer_metrics_of_the_rows_to_train_on() -> None:
    found = [set(measure(rows("multiclass"), each_epoch=part)) for part in ("train", "validation")]  # type: ignore[arg-type]

    assert found == [{"accuracy"}, {"accuracy", "balanced_accuracy", "f1"}]


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        ("validation.loss", False),
        ("train.mae", False),
        ("validation.rmse", False),
        ("train.r2", True),
        ("validation.accuracy", True),
        ("validation.balanced_accuracy", True),
        ("validation.f1", True),
    ],
)
def test_which_way_is_better(monitor: str, expected: bool) -> None:
    assert rises(monitor) is expected
