"""Weights of rows and classes: a row of weight 2 counts as that row twice."""

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from engine.data import Preprocessing, Table
from engine.errors import DataError
from engine.network import Network
from engine.spec import resolve
from engine.training import EpochReport, TrainingData, TrainingState, train
from tests.engine.data.factories import spec, table

LABELS = ["a", "b", "c", "a", "a", "b", "a", "c", "a", "b", "a", "a"]
X = [round(np.sin(i * 1.7) * 3, 3) for i in range(12)]
Z = [round(np.cos(i * 2.3) * 2, 3) for i in range(12)]
WEIGHTS = [1, 2, 3, 1, 1, 2, 0, 1, 4, 1, 1, 2]
TRAINING = {"epochs": 5, "batch_size": 1000, "l2": 0.01, "dtype": "float64", "optimizer": {"type": "adam"}}


def fit(found: Table, **more: Any) -> Preprocessing:
    return Preprocessing.fit(found, asked(**more))


def asked(**more: Any) -> Any:
    return spec(
        "label",
        features=["x", "z"],
        split={"validation": 0, "test": 0, "stratify": False},
        network={"layers": [{"type": "dense", "units": 4, "activation": "tanh"}]},
        preprocessing={"numbers": {"scaling": "none", "transform": "none"}},
        **{"training": TRAINING, **more},
    )


def reports(found: Table, **more: Any) -> list[EpochReport]:
    """A training in batches of all rows."""
    fitted = fit(found, **more)
    rows = fitted.split(found).train
    resolved = resolve(asked(**more), fitted.facts, features=("x", "z"), has_validation=False)
    network = Network.of(resolved, n_in=fitted.n_in)
    data = TrainingData(
        fitted.encode_features(found, rows, dtype="float64"),
        fitted.encode_targets(found, rows, dtype="float64"),
        kind=fitted.facts.kind,
        weights=fitted.weights(found, rows),
    )
    state = TrainingState.start(network, resolved.training, seed=0)
    return [
        report for report in train(network, data, resolved.training, state, seed=0) if isinstance(report, EpochReport)
    ]


def repeated(counts: list[int]) -> Table:
    """The rows, each as often as it counts."""

    def times(cells: list[Any]) -> list[Any]:
        return [cell for cell, count in zip(cells, counts, strict=True) for _ in range(count)]

    return table(x=times(X), z=times(Z), label=times(LABELS))


def assert_same(weighted: list[EpochReport], plain: list[EpochReport]) -> None:
    for one, other in zip(weighted, plain, strict=True):
        shared = {name: value for name, value in other.values.items() if name != "seconds"}
        assert {name: one.values[name] for name in shared} == pytest.approx(shared, rel=1e-9)


def test_a_row_of_weight_two_is_that_row_twice() -> None:
    weighted = table(x=X, z=Z, w=WEIGHTS, label=LABELS)

    assert_same(reports(weighted, weight="w"), reports(repeated(WEIGHTS)))


def test_a_class_of_weight_two_is_each_of_its_rows_twice() -> None:
    training = {**TRAINING, "class_weight": {"b": 2, "c": 3}}

    found = reports(table(x=X, z=Z, label=LABELS), training=training)

    assert_same(found, reports(repeated([{"a": 1, "b": 2, "c": 3}[label] for label in LABELS])))


def test_balanced_classes_are_scikit_learns() -> None:
    fitted = fit(table(x=X, z=Z, label=LABELS), training={**TRAINING, "class_weight": "balanced"})

    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=LABELS)
    assert fitted.class_weights == pytest.approx(tuple(expected))


def test_weights_of_rows_and_classes_multiply() -> None:
    found = table(x=X, z=Z, w=WEIGHTS, label=LABELS)

    fitted = fit(found, weight="w", training={**TRAINING, "class_weight": {"c": 5}})

    weights = fitted.weights(found, np.array([2, 3]))
    assert weights is not None
    assert weights.tolist() == [15, 1]


def test_the_weight_column_is_not_learned_from() -> None:
    found = table(x=X, z=Z, w=WEIGHTS, label=LABELS)

    fitted = Preprocessing.fit(found, spec("label", weight="w"))

    assert fitted.feature_names == ("x", "z")


@pytest.mark.parametrize(
    ("weights", "place", "message"),
    [
        ([*WEIGHTS[:-1], None], "rows[11].w", "expected a weight from 0 on, got a blank"),
        ([*WEIGHTS[:-1], -0.5], "rows[11].w", "expected a weight from 0 on, got -0.5"),
        (["much"] * 12, "weight", "expected a column of numbers, but w is text"),
        ([0] * 12, "weight", "expected a weight above 0 in every part, but w has none"),
    ],
)
def test_what_is_no_weight_is_refused(weights: list[Any], place: str, message: str) -> None:
    found = table(x=X, z=Z, w=weights, label=LABELS)
    fitted = fit(found, weight="w")

    with pytest.raises(DataError, match=message) as refused:
        fitted.weights(found, np.arange(12))

    assert refused.value.place == place


@pytest.mark.parametrize(
    ("target", "message"),
    [("label", "there is no class 'd'; there are a, b, c"), ("x", "expected a target of classes")],
)
def test_a_class_weight_of_nothing_is_refused(target: str, message: str) -> None:
    training = {"class_weight": {"d": 2}}
    with pytest.raises(DataError, match=message):
        Preprocessing.fit(table(x=X, z=Z, label=LABELS), spec(target, training=training, task="auto"))
