"""What rows' own gradients say of them, against the plain way, and on tables with labels that were made wrong."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from engine.errors import SpecError
from engine.inspection.influence import Survey
from engine.parameters import Array
from engine.training import TrainingData, train
from tests.engine.factories import dense, network, rows, start, training
from tests.engine.inspection.naive import Naive

WEIGHTS = np.array([1.0, 0, 2, 0.5, 1, 3, 1, 2])
CLASSES = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def surveyed(weights: Array | None = None) -> tuple[Survey, list[Naive], Array]:
    """A survey of eight rows over two moments, their naive gradients there, and the last parameters."""
    net = network(dense(5), dense(3, "softmax"))
    X, Y = rows(8), np.eye(3)[CLASSES]
    thetas = [net.initial_parameters(seed=seed, dtype="float64") for seed in (1, 2)]
    found = Survey(net, X, Y, weights=weights, classes=CLASSES)
    for theta, rate in zip(thetas, (0.1, 0.2), strict=True):
        found.add(theta, rate)
    return found, [Naive.of(net, theta, X, Y) for theta in thetas], thetas[-1]


def test_losses_and_norms_are_those_of_the_last_moment() -> None:
    found, (_, last), _ = surveyed(WEIGHTS)

    np.testing.assert_allclose(found.losses, last.losses, rtol=1e-12)
    np.testing.assert_allclose(found.norms, np.linalg.norm(last.g, axis=1), rtol=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_self_influence_sums_over_the_moments(weights: Array | None) -> None:
    found, naives, _ = surveyed(weights)

    shares = 1 if weights is None else weights / weights.mean()
    expected = sum(rate * shares * (naive.g**2).sum(axis=1) for rate, naive in zip((0.1, 0.2), naives, strict=True))
    np.testing.assert_allclose(found.self_influence, expected, rtol=1e-12)


def test_cosines_are_means_over_the_other_rows_of_each_class() -> None:
    found, naives, _ = surveyed()

    expected = np.zeros((8, 3))
    for naive in naives:
        unit = naive.g / np.linalg.norm(naive.g, axis=1, keepdims=True)
        for row in range(8):
            for number in range(3):
                others = [j for j in range(8) if CLASSES[j] == number and j != row]
                expected[row, number] += np.mean([unit[row] @ unit[j] for j in others]) / 2
    np.testing.assert_allclose(found.cosines, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(found.own, expected[np.arange(8), CLASSES], rtol=1e-10)
    for row, (opposing, opposed) in enumerate(zip(found.opposing, found.opposed, strict=True)):
        others = {number: expected[row, number] for number in range(3) if number != CLASSES[row]}
        assert opposing == min(others, key=others.__getitem__)
        assert opposed == pytest.approx(min(others.values()), rel=1e-10)


def test_opponents_are_those_whose_gradients_are_most_against_a_rows() -> None:
    found, (_, last), theta = surveyed()

    places, cosines = found.opponents(theta, np.array([2, 5]), 3)

    unit = last.g / np.linalg.norm(last.g, axis=1, keepdims=True)
    table = unit[[2, 5]] @ unit.T
    np.testing.assert_array_equal(places, np.argsort(table, axis=1)[:, :3])
    np.testing.assert_allclose(cosines, np.sort(table, axis=1)[:, :3], rtol=1e-10)


def test_a_row_without_a_gradient_is_like_none() -> None:
    net = network(dense(3, "identity"), n_in=3, loss="half_squared_error")
    X, theta = rows(6, 3), np.zeros(12)
    theta[:9] = np.eye(3).ravel()
    Y = X.copy()
    Y[:4] += 1.0

    found = Survey(net, X, Y, classes=np.array([0, 1, 0, 1, 0, 1]))
    found.add(theta, 0.1)

    assert not found.norms[4:].any()
    assert np.isfinite(found.cosines).all()
    assert not found.cosines[4:].any()
    assert found.cosines[:4].any()


def test_one_class_has_nothing_to_be_opposed_by() -> None:
    with pytest.raises(SpecError, match="expected rows of at least two classes"):
        Survey(network(), rows(3), np.eye(3)[[1, 1, 1]], classes=np.array([1, 1, 1]))


# Wrong labels -------------------------------------------------------------------------------------------------------


def taught(X: Array, labels: Array, *, units: int, epochs: int) -> Survey:
    """A survey of the rows a network was trained on, after each fifth of the epochs."""
    data = TrainingData(X.astype("float32"), np.eye(int(labels.max()) + 1, dtype="float32")[labels])
    net = network(dense(units, "relu"), dense(int(labels.max()) + 1, "softmax"), n_in=X.shape[1])
    spec = training(epochs=epochs, l2=0.001, early_stopping=None, optimizer={"type": "adam", "learning_rate": 0.01})
    state, found = start(net, spec), Survey(net, data.X, data.Y, classes=labels)
    for _ in train(net, data, spec, state, seed=3):
        if state.epoch % (epochs // 5) == 0:
            found.add(state.parameters, 0.01)
    return found


def test_the_one_wrong_label_of_the_irises_surfaces_first() -> None:
    """A setosa that is called a virginica."""
    table = load_iris()
    labels = table.target.copy()
    labels[17] = 2

    found = taught((table.data - table.data.mean(axis=0)) / table.data.std(axis=0), labels, units=16, epochs=60)

    assert found.suspects()[0] == found.losses.argmax() == found.self_influence.argmax() == 17
    assert found.opposing[17] == 0


def test_most_wrong_labels_among_digits_come_first_and_few_right_ones_are_opposed() -> None:
    table, random = load_digits(), np.random.default_rng(1)
    labels = table.target[:800].copy()
    wrong = random.choice(800, 40, replace=False)
    labels[wrong] = (labels[wrong] + random.integers(1, 10, 40)) % 10

    found = taught(table.data[:800] / 16, labels, units=32, epochs=15)

    assert np.isin(found.suspects()[:40], wrong).mean() >= 0.85
    assert np.isin(np.flatnonzero(found.is_opposed), wrong).mean() >= 0.9
