"""What a run spec leaves open, and what stays as it says."""

from typing import Any

import numpy as np
import pytest

from engine.data.noise import unexplained
from engine.defaults import FEW_ROWS, split_of, with_defaults
from engine.spec import RunSpec, SplitSpec


def decided(rows: int = 255, noise: float = 0.5, task: Any = "classification", **spec: Any) -> RunSpec:
    return with_defaults(RunSpec.model_validate({"target": "y", **spec}), rows=rows, task=task, unexplained=noise)


@pytest.mark.parametrize(
    ("rows", "test", "share"),
    [
        (100, 0.15, 0.0),
        (FEW_ROWS - 1, 0.15, 0.0),
        (FEW_ROWS, 0.15, 0.085),
        (10_000, 0.5, 0.05),
        (1_000_000, 0.0, 0.02),
    ],
)
def test_few_rows_are_not_held_back_and_of_many_no_more_than_are_worth_it(rows: int, test: float, share: float) -> None:
    assert split_of(SplitSpec(test=test), rows).validation == pytest.approx(share, abs=1e-6)


def test_a_share_asked_for_stays() -> None:
    assert split_of(SplitSpec(validation=0.15), 100).validation == 0.15
    assert split_of(SplitSpec(validation=0.0), 100_000).validation == 0


@pytest.mark.parametrize(
    ("rows", "batch", "epochs"),
    [(100, 64, 100), (9600, 64, 100), (9601, 128, 100), (50_000, 256, 100), (10**6, 256, 10)],
)
def test_batches_and_epochs_by_rows(rows: int, batch: int, epochs: int) -> None:
    training = decided(rows).training

    assert (training.batch_size, training.epochs) == (batch, epochs)


@pytest.mark.parametrize(
    ("task", "rows", "noise", "l2"),
    [
        ("classification", 1000, 0.0, 0.001),
        ("classification", 1000, 1.0, 0.006),
        ("regression", 1000, 1.0, 0.014),
        ("regression", 1000, 0.1, 0.0014),
        ("regression", 100_000, 0.1, 0.000014),
        ("classification", 15, 1.0, 0.1),
    ],
)
def test_the_penalty_follows_the_noise_and_the_rows(task: str, rows: int, noise: float, l2: float) -> None:
    assert decided(rows, noise, task).training.l2 == pytest.approx(l2)


def test_the_penalty_is_left_to_an_optimizer_that_has_its_own() -> None:
    assert decided(training={"optimizer": {"type": "adamw"}}).training.l2 == 0


def test_more_rows_get_a_second_layer() -> None:
    widths = [
        [layer.units for layer in decided(rows).network.layers if layer.type == "dense"] for rows in (100, FEW_ROWS)
    ]

    assert widths == [[128], [128, 64]]


def test_the_recipe_is_one_thing() -> None:
    own = decided(training={"optimizer": {"type": "sgd"}, "epochs": 7}).training
    ours = decided().training

    assert (own.optimizer.type, own.schedule.type, own.epochs) == ("sgd", "constant", 7)
    assert own.early_stopping is not None
    assert (ours.optimizer.learning_rate, ours.schedule.type, ours.early_stopping) == (0.01, "cosine", None)  # type: ignore[union-attr]


def test_a_network_of_ones_own_starts_more_gently() -> None:
    layers = [{"type": "dense", "units": 4}]

    found = decided(network={"layers": layers})

    assert found.training.optimizer.learning_rate == 0.003  # type: ignore[union-attr]
    assert [layer.type for layer in found.network.layers] == ["dense"]


def test_what_is_decided_stays_when_it_is_sent_again() -> None:
    first = decided(10_000, 0.5)

    again = with_defaults(
        RunSpec.model_validate(first.model_dump(mode="json")), rows=50, task="regression", unexplained=1.0
    )

    assert again == first


# Noise -------------------------------------------------------------------------------------------------------------


def test_what_ridge_regression_leaves_is_what_leaving_rows_out_shows() -> None:
    random = np.random.default_rng(3)
    X = random.normal(size=(40, 5))
    Y = X @ random.normal(size=(5, 2)) + random.normal(size=(40, 2))

    residuals = []
    for row in range(40):
        kept = np.arange(40) != row
        center, mean = X[kept].mean(axis=0), Y[kept].mean(axis=0)
        A, B = X[kept] - center, Y[kept] - mean
        residuals.append(Y[row] - mean - (X[row] - center) @ np.linalg.solve(A.T @ A + np.eye(5), A.T @ B))
    share = np.square(residuals).sum() / np.square(Y - Y.mean(axis=0)).sum()

    assert unexplained(X, Y) == pytest.approx(share, rel=0.02)


def test_noise_alone_is_all_unexplained_and_a_linear_target_not_at_all() -> None:
    random = np.random.default_rng(5)
    X = random.normal(size=(500, 4))

    assert unexplained(X, random.normal(size=(500, 1))) == pytest.approx(1, abs=0.05)
    assert unexplained(X, X[:, :1]) < 1e-4


def test_very_many_inputs_are_not_looked_at() -> None:
    X = np.random.default_rng(0).normal(size=(30, 501))

    assert unexplained(X, X[:, :1]) == 1
