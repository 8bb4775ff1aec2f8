"""The ledger of rows: it closes, and each row's part is what a plain account of every row's own gradient gives it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.datasets import load_iris

from engine.errors import DataError, SpecError
from engine.inspection import Replay
from engine.inspection.influence import Account, Queries, ledger
from engine.layers import LayerSpec
from engine.network import Network
from engine.parameters import Array
from engine.training import TrainingData
from tests.engine.factories import clusters, network, rows, start, training
from tests.engine.inspection.naive import Naive

SGD = {"type": "sgd", "learning_rate": 0.1}
MOMENTUM = {**SGD, "momentum": 0.9}
TANH = [{"type": "dense", "units": 5, "activation": "tanh"}]
RELU = [{"type": "dense", "units": 12, "activation": "relu"}, {"type": "dense", "units": 8, "activation": "relu"}]
HEAD = {"type": "dense", "units": 3, "activation": "softmax"}


def built(layers: list[dict[str, Any]], **options: Any) -> Network:
    return network(*TypeAdapter(list[LayerSpec]).validate_python([*layers, HEAD]), **options)


def replay_of(net: Network, data: TrainingData, *, at: int = 0, **options: Any) -> Replay:
    """A replay that stands at a moment; float64 and no penalty unless said otherwise."""
    spec = training(**{"dtype": data.X.dtype.name, "l2": 0.0, **options})
    found = Replay(net, data, spec, start(net, spec), seed=7)
    found.to(at)
    return found


def kept(
    layers: list[dict[str, Any]] = TANH, *, at: int = 0, until: int = 12, queries: Queries | None = None, **options: Any
) -> Account:
    """The ledger of a stretch, of the validation rows' mean loss unless said otherwise."""
    data = clusters(dtype=options.get("dtype", "float64"))
    return ledger(replay_of(built(layers), data, at=at, **options), queries or mean_of(data), until=until)


def mean_of(data: TrainingData, *, rows: int = 30, **options: Any) -> Queries:
    assert data.X_validation is not None
    assert data.Y_validation is not None
    return Queries(data.X_validation[:rows].astype(float), data.Y_validation[:rows].astype(float), **options)


def fall(account: Account) -> Array:
    return account.before - account.after


def assert_closes(account: Account, *, within: float, rounding: float = 1e-12) -> None:
    """Rows and terms sum to what the loss really fell by, without either end being taken from the sum."""
    size = np.abs(fall(account))
    parts = account.rows.sum(axis=(1, 2)) + sum(value for value in account.terms.values())
    np.testing.assert_allclose(parts, fall(account), rtol=within)
    np.testing.assert_allclose(account.layers.sum(axis=1) + account.residual, fall(account), rtol=1e-12)
    assert (np.abs(account.residual) <= within * size).all(), account.residual / size
    assert (np.abs(account.terms["rounding"]) <= rounding * size).all(), account.terms["rounding"] / size


def iris(*, wrong: int) -> tuple[TrainingData, slice]:
    """Fisher's irises, standardised, with one setosa among them called a virginica."""
    table = load_iris()
    X, Y = (table.data - table.data.mean(axis=0)) / table.data.std(axis=0), np.eye(3)[table.target]
    assert table.target[wrong] == 0
    Y[wrong] = np.eye(3)[2]
    return TrainingData(X, Y), slice(wrong, wrong + 1)


# It closes ----------------------------------------------------------------------------------------------------------

SMOOTH: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": SGD},
    "a large step": {"optimizer": {**SGD, "learning_rate": 2.0}},
    "momentum": {"optimizer": MOMENTUM},
    "dampening": {"optimizer": {**MOMENTUM, "dampening": 0.5}},
    "nesterov": {"optimizer": {**MOMENTUM, "nesterov": True}},
    "penalties": {"optimizer": MOMENTUM, "l1": 0.01, "l2": 0.05},
    "adam": {},
    "adamw": {"optimizer": {"type": "adamw", "learning_rate": 0.01, "weight_decay": 0.5}},
    "nadam": {"optimizer": {"type": "nadam"}},
    "rmsprop": {"optimizer": {"type": "rmsprop", "momentum": 0.5, "centered": True}},
    "adagrad": {"optimizer": {"type": "adagrad"}},
    "adadelta": {"optimizer": {"type": "adadelta"}},
    "clip": {"optimizer": MOMENTUM, "clip": {"type": "norm", "limit": 0.1}},
    "clip values": {"optimizer": SGD, "clip": {"type": "value", "limit": 0.02}, "l2": 0.01},
    "accumulate": {"optimizer": MOMENTUM, "accumulate": 4, "clip": {"type": "layer", "limit": 0.05}},
    "shards": {"optimizer": SGD, "shards": 3},
    "frozen": {"frozen": [1], "learning_rate_factors": {"2": 0.5}},
    "max_norm": {"optimizer": SGD, "max_norm": 0.5},
    "schedule": {"optimizer": SGD, "schedule": {"type": "cosine"}},
    "average": {"average": {"decay": 0.9}},
}


@pytest.mark.parametrize("options", SMOOTH)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_rows_and_terms_sum_to_the_fall_of_the_loss(activation: str, options: str) -> None:
    found = kept([{"type": "dense", "units": 5, "activation": activation}], **SMOOTH[options])

    assert_closes(found, within=1e-11 if options == "a large step" else 1e-12)
    assert np.abs(found.rows).sum() > 0


@pytest.mark.parametrize("options", ["sgd", "adam", "accumulate"])
def test_every_rows_own_loss_has_its_account(options: str) -> None:
    data = clusters(dtype="float64")

    found = kept(queries=mean_of(data, each=True), **SMOOTH[options])

    assert found.rows.shape == (30, 2, 90)
    assert_closes(found, within=1e-9)  # of a loss that falls, and rises again, by much more than it ends up lower


def test_kinks_are_crossed_without_a_gap() -> None:
    assert_closes(kept(RELU, optimizer=SGD), within=1e-9)


LAYERS: dict[str, list[dict[str, Any]]] = {
    "prelu and layer_norm": [{"type": "dense", "units": 5, "activation": "prelu"}, {"type": "layer_norm"}],
    "dropout": [*RELU, {"type": "dropout", "rate": 0.3}, {"type": "gaussian_noise", "std": 0.1}],
    "residual": [{"type": "residual", "layers": [{"type": "dense", "units": 6, "activation": "tanh"}]}],
    "convolution": [
        {"type": "reshape", "shape": [4, 1]},
        {"type": "conv1d", "filters": 3, "kernel_size": 2, "activation": "tanh"},
        {"type": "flatten"},
    ],
    "gru": [{"type": "reshape", "shape": [2, 2]}, {"type": "gru", "units": 3}],
    "no bias": [{"type": "dense", "units": 5, "activation": "tanh", "use_bias": False}],
}


@pytest.mark.parametrize("layers", LAYERS)
def test_any_layer_has_its_account(layers: str) -> None:
    found = kept(LAYERS[layers], optimizer=MOMENTUM, l2=0.01, until=8)

    assert_closes(found, within=1e-9)


def test_float32_leaves_its_own_rounding() -> None:
    found = kept(dtype="float32", optimizer=MOMENTUM)

    assert_closes(found, within=1e-12, rounding=1e-5)
    assert np.abs(found.terms["rounding"]).max() > 1e-12


def test_the_losses_at_both_ends_are_those_of_the_network() -> None:
    data, net = clusters(dtype="float64"), built(RELU)
    replay = replay_of(net, data, optimizer=SGD, at=3)
    assert data.X_validation is not None
    assert data.Y_validation is not None
    before = net.evaluate(replay.state.parameters, data.X_validation, data.Y_validation).loss

    found = ledger(replay, mean_of(data), until=9)

    after = net.evaluate(replay.state.parameters, data.X_validation, data.Y_validation).loss
    np.testing.assert_allclose([found.before[0], found.after[0]], [before, after], rtol=1e-13)
    assert replay.moment == 9


def test_a_stretch_of_no_steps_is_an_empty_account() -> None:
    found = kept(at=4, until=4)

    assert found.before == found.after
    assert not found.rows.any()
    assert not found.visits.any()


# And each part is right ---------------------------------------------------------------------------------------------


def plain_account(replay: Replay, queries: Queries, *, until: int) -> Array:
    """(rows, parameters): the fall by each row and parameter, of the mean loss, with every row's own momentum."""
    net, data = replay.network, replay.data
    options = replay.trainer.training.optimizer
    moving = np.zeros((len(data.X), net.parameter_count))
    total = np.zeros_like(moving)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    while replay.moment < until:
        theta, g = replay.state.parameters.copy(), np.zeros_like(moving)
        step = replay.observe()
        shares = None if data.weights is None else data.weights[step.rows]
        g[step.rows] = Naive.of(net, theta, data.X[step.rows], data.Y[step.rows], shares).g / len(step.rows)
        if options.type == "adam":
            moving = options.beta1 * moving + (1 - options.beta1) * g
            count = replay.state.updates
            mean = moving / (1 - options.beta1**count)
            flat = np.concatenate([step.tensors[f"after.opt.V.{name}"].ravel() for name in net.shapes])
            square = flat * (1 - options.beta2) / (1 - options.beta2**count)
            moved = -options.learning_rate * mean / (np.sqrt(square) + options.epsilon)
        else:
            moving = options.momentum * moving + g
            ahead = g + options.momentum * moving if options.nesterov else moving
            moved = -options.learning_rate * ahead
        d = replay.state.parameters - theta
        np.testing.assert_allclose(moved.sum(axis=0), d, rtol=1e-9, atol=1e-15)
        places = [theta + (node + 1) / 2 * d for node in nodes]
        slopes = sum(
            weight / 2 * Naive.of(net, place, queries.X, queries.Y, queries.weights).g.mean(axis=0)
            for place, weight in zip(places, weights, strict=True)
        )
        total -= moved * slopes
    return total


@pytest.mark.parametrize(
    "optimizer",
    [SGD, {**SGD, "momentum": 0.3}, {**MOMENTUM, "nesterov": True}, {"type": "adam", "learning_rate": 0.01}],
    ids=["sgd", "momentum", "nesterov", "adam"],
)
def test_each_rows_part_is_that_of_its_own_gradients(optimizer: dict[str, Any]) -> None:
    """Also of the steps long after it: 40 of them, more than momentum 0.3 remembers."""
    data = clusters(60, dtype="float64", validation=20)
    data = replace(data, weights=np.random.default_rng(3).gamma(2, size=40))
    queries = mean_of(data, rows=4, weights=np.array([1.0, 2, 0, 0.5]))
    net, options = built(TANH), {"optimizer": optimizer, "batch_size": 8, "epochs": 9}

    found = ledger(replay_of(net, data, **options), queries, until=40)

    expected = plain_account(replay_of(net, data, **options), queries, until=40)
    slices = net.layout.slices()
    for number in (1, 2):
        place = slice(slices[f"W.{number}"].start, slices[f"b.{number}"].stop)
        np.testing.assert_allclose(
            found.rows[0, number - 1], expected[:, place].sum(axis=1), rtol=1e-8, atol=1e-12, err_msg=str(number)
        )


def test_the_mean_is_that_of_the_rows_own_accounts() -> None:
    data = clusters(dtype="float64")

    mean, each = (kept(RELU, optimizer=MOMENTUM, queries=mean_of(data, each=each)) for each in (False, True))

    np.testing.assert_allclose(mean.rows[0], each.rows.mean(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(mean.terms["earlier"], each.terms["earlier"].mean(axis=0), atol=1e-12)


def test_what_earlier_steps_still_do_is_a_term_of_its_own() -> None:
    whole, first, second = (kept(optimizer=MOMENTUM, at=at, until=until) for at, until in ((0, 14), (0, 6), (6, 14)))

    split = sum(part.rows.sum() for part in (first, second))
    assert whole.terms["earlier"] == first.terms["earlier"] == 0
    np.testing.assert_allclose(split + second.terms["earlier"], whole.rows.sum(), rtol=1e-10)
    assert abs(second.terms["earlier"][0]) > 1e-3


def test_gradients_that_wait_for_an_update_are_earlier_ones_too() -> None:
    options = {"optimizer": SGD, "accumulate": 4}
    whole, first, second = (kept(at=at, until=until, **options) for at, until in ((0, 8), (0, 2), (2, 8)))

    assert not first.rows.any()
    np.testing.assert_allclose(second.rows.sum() + second.terms["earlier"], whole.rows.sum(), rtol=1e-10)


def test_leaving_a_row_out_of_a_small_step_undoes_its_part() -> None:
    data, net, rate = clusters(dtype="float64"), built(TANH), 1e-4
    options = {"optimizer": {**SGD, "learning_rate": rate}}
    found = ledger(replay_of(net, data, **options), mean_of(data), until=1)
    replay = replay_of(net, data, **options)
    theta = replay.state.parameters.copy()
    batch = replay.observe().rows
    g = Naive.of(net, theta, data.X[batch], data.Y[batch]).g
    assert data.X_validation is not None
    assert data.Y_validation is not None

    for place, row in enumerate(batch):
        without = theta - rate * np.delete(g, place, axis=0).sum(axis=0) / len(batch)
        loss = net.evaluate(without, data.X_validation, data.Y_validation).loss
        np.testing.assert_allclose(found.rows[0, :, row].sum(), loss - found.after[0], rtol=1e-2, atol=1e-9)


def test_a_wrong_label_is_learned_from_its_own_row_alone() -> None:
    """A setosa that is called a virginica: its own gradients lower its loss, and all others together raise it."""
    data, wrong = iris(wrong=17)
    replay = replay_of(built(RELU), data, optimizer=SGD, epochs=30)

    found = ledger(replay, Queries(data.X[wrong], data.Y[wrong]), until=100)

    parts = found.rows[0].sum(axis=0)
    assert parts.argmax() == 17
    assert parts[17] > 0 > parts.sum() - parts[17]


def test_visits_count_the_batches_a_row_was_in() -> None:
    found = kept(until=8)  # an epoch is 6 steps of 16 rows, the last of 10

    assert found.visits.sum() == 90 + 2 * 16
    assert set(found.visits) == {1, 2}


# Refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lion", "lbfgs"])
def test_an_update_that_is_no_sum_over_rows_is_refused(optimizer: str) -> None:
    with pytest.raises(SpecError, match=rf"training.optimizer: the ledger is not known for {optimizer}"):
        kept(optimizer={"type": optimizer})


def test_a_layer_that_mixes_rows_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match=r"network.layers\[1\]: the ledger is not known for layers of type batch_norm"):
        kept([*TANH, {"type": "batch_norm"}])


def test_queries_that_cannot_be_are_refused() -> None:
    X, Y = rows(2), np.eye(3)[:2]

    with pytest.raises(DataError, match="of: expected at least one row"):
        Queries(X[:0], Y[:0])
    with pytest.raises(DataError, match=r"of\.weights: expected none"):
        Queries(X, Y, weights=np.ones(2), each=True)
    with pytest.raises(DataError, match=r"of\.weights: expected one for each row"):
        Queries(X, Y, weights=np.ones(3))
