"""Examples that count unequally: weight 2 is the row twice, weight 0 is the row left out."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from engine import checkpoints
from engine.errors import DataError
from engine.inspection import inspect
from engine.layers import ACTIVATIONS, DropoutSpec
from engine.losses import LOSSES
from engine.parameters import Array
from engine.training import EpochReport, StepReport, TrainingData, train
from engine.weights import relative_weights
from tests.engine.factories import clusters, dense, head_of, network, rows, start, targets, training

DRAWN = np.random.default_rng(3).integers(0, 3, size=90).astype(float)
HELD_OUT = np.random.default_rng(4).integers(0, 3, size=30).astype(float)


def weighted(dtype: str = "float64", weights: Array | None = DRAWN, held_out: Array | None = HELD_OUT) -> TrainingData:
    data = clusters(dtype=dtype)
    return TrainingData(
        data.X, data.Y, data.X_validation, data.Y_validation, weights=weights, weights_validation=held_out
    )


def repeated(dtype: str = "float64") -> TrainingData:
    """The same with each row as often as it counts."""
    data = clusters(dtype=dtype)
    times, held_out = DRAWN.astype(int), HELD_OUT.astype(int)
    assert data.X_validation is not None
    assert data.Y_validation is not None
    return TrainingData(
        data.X.repeat(times, axis=0),
        data.Y.repeat(times, axis=0),
        data.X_validation.repeat(held_out, axis=0),
        data.Y_validation.repeat(held_out, axis=0),
    )


def epochs(data: TrainingData, **changes: Any) -> tuple[list[EpochReport], Array]:
    net, spec = network(), training(**{"dtype": "float64", **changes})
    state = start(net, spec)
    reports = [report for report in train(net, data, spec, state, seed=7) if isinstance(report, EpochReport)]
    return reports, state.parameters


HEADED = [(loss, head_of(loss)) for loss in LOSSES] + [
    (loss, other)
    for loss, other in (("half_squared_error", "sigmoid"), ("huber", "tanh"), ("binary_cross_entropy", "softmax"))
    if LOSSES[loss].suits(ACTIVATIONS[other])
]


@pytest.mark.parametrize(("loss", "activation"), HEADED)
@pytest.mark.parametrize("head", ["auto", "general"])
@pytest.mark.parametrize("convention", ["per_example", "mean"])
def test_a_weight_is_a_number_of_times_under_every_loss(loss: str, activation: str, head: Any, convention: Any) -> None:
    net = network(dense(5), dense(3, activation), loss=loss)
    flat, X, Y = net.initial_parameters(seed=1, dtype="float64"), rows(6), targets(loss, 6, 3)
    times = np.array([1, 2, 0, 1, 3, 1])
    questions: dict[str, Any] = {"quantities": ["dW", "db", "dZ"], "head": head, "convention": convention}

    found = inspect(net, flat, X, Y, weights=times.astype(float), **questions)

    expected = inspect(net, flat, X.repeat(times, axis=0), Y.repeat(times, axis=0), **questions)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    for name in ("dW.1", "db.1", "dW.2", "db.2"):
        np.testing.assert_allclose(found.tensors[name], expected.tensors[name], rtol=1e-10, atol=1e-13)
    m = len(X)
    scale = 1 / m if convention == "per_example" else 1
    np.testing.assert_allclose(found.tensors["db.2"], scale * found.tensors["dZ.2"].sum(axis=0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shards", [1, 3])
def test_a_full_batch_training_with_weights_is_one_with_rows_repeated(shards: int) -> None:
    options = {"batch_size": 1000, "epochs": 5, "shards": shards}

    (found, parameters), (expected, again) = epochs(weighted(), **options), epochs(repeated(), **options)

    np.testing.assert_allclose(parameters, again, rtol=1e-9, atol=1e-12)
    for mine, theirs in zip(found, expected, strict=True):
        for name in theirs.values.keys() - {"seconds"}:
            assert mine.values[name] == pytest.approx(theirs.values[name], rel=1e-9), name


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1.0, 7.0])
def test_equal_weights_leave_every_bit_as_it_is(shards: int, dtype: str, size: float) -> None:
    equal = weighted(dtype, np.full(90, size), np.full(30, size))

    (found, parameters), (expected, again) = (
        epochs(data, dtype=dtype, shards=shards) for data in (equal, clusters(dtype=dtype))
    )

    assert parameters.tobytes() == again.tobytes()
    assert found[-1].digest == expected[-1].digest
    for name in ("train.running_loss", "train.loss", "validation.loss", "train.accuracy"):
        assert found[-1].values[name] == pytest.approx(expected[-1].values[name], rel=1e-6)


def test_each_batch_is_averaged_with_its_own_weights() -> None:
    """Batches of one row: whatever a row counts, it is the whole of its batch."""
    weights = np.random.default_rng(1).uniform(0.1, 10, size=90)

    _, found = epochs(weighted(weights=weights), batch_size=1)

    _, expected = epochs(clusters(dtype="float64"), batch_size=1)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_batch_in_which_nothing_counts_moves_nothing() -> None:
    weights = np.zeros(90)
    weights[4] = 1.0

    reports, parameters = epochs(weighted(weights=weights), batch_size=8, optimizer={"type": "sgd"}, l2=0.0)

    assert np.isfinite(parameters).all()
    assert reports[-1].values["train.loss"] is not None
    assert reports[0].values["train.loss"] > reports[-1].values["train.loss"]  # type: ignore[operator]


@pytest.mark.parametrize("shards", [1, 3])
def test_an_interrupted_weighted_training_ends_with_the_same_bits(shards: int) -> None:
    net = network(DropoutSpec(rate=0.2), dense(8, "relu"), dense(3, "softmax"))
    spec = training(shards=shards)
    whole, state, digests = start(net, spec), start(net, spec), []
    for _ in train(net, weighted("float32"), spec, whole, seed=7):
        pass

    while not digests or digests[-1] is not None:
        for report in train(net, weighted("float32"), spec, state, seed=7, interrupt=lambda: True, steps_at_once=1):
            digests.append(None if isinstance(report, EpochReport) and report.reason else "")
            if isinstance(report, StepReport):
                break
        state = checkpoints.load(checkpoints.dump(state, net), net)

    assert state.parameters.tobytes() == whole.parameters.tobytes()


def test_a_weighted_step_allocates_nothing_that_grows() -> None:
    net, data = network(dense(256, "relu"), dense(256, "sigmoid"), dense(3, "softmax")), clusters(m=3000)
    data = TrainingData(data.X, data.Y, weights=np.ones(len(data.X), np.float32))
    spec = training(epochs=1, batch_size=256)
    steps = train(net, data, spec, start(net, spec), seed=7, interrupt=lambda: True, steps_at_once=1)
    for _ in range(4):
        next(steps)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(4):
        next(steps)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < 10_000
    assert peak - before < 256 * 256 * 4


def test_relative_weights_average_one_over_every_batch() -> None:
    found = relative_weights(np.array([1.0, 3.0, 0.0, 0.0, 5.0]), 2)

    assert found.tolist() == [0.5, 1.5, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"weights: expected one for each row, shape \[90\], got \[3\]"),
        (np.ones((90, 1)), r"weights: expected one for each row, shape \[90\], got \[90, 1\]"),
        (np.where(np.arange(90) == 7, -1.0, 1.0), r"weights\[7\]: expected a finite number from 0 on, got -1"),
        (np.where(np.arange(90) == 7, np.nan, 1.0), r"weights\[7\]: expected a finite number from 0 on, got nan"),
        (np.where(np.arange(90) == 7, np.inf, 1.0), r"weights\[7\]: expected a finite number from 0 on, got inf"),
        (np.zeros(90), "weights: expected at least one above 0, got none"),
    ],
)
def test_weights_that_can_not_be_averaged_with_are_refused(weights: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        weighted(weights=weights)


def test_an_inspection_refuses_such_weights_too() -> None:
    net = network()
    flat = net.initial_parameters(seed=1, dtype="float64")

    with pytest.raises(DataError, match=r"weights: expected one for each row, shape \[6\], got \[2\]"):
        inspect(net, flat, rows(6), targets("cross_entropy", 6, 3), quantities=["dW"], weights=np.ones(2))


def test_weights_without_rows_to_validate_with_are_refused() -> None:
    data = clusters()

    with pytest.raises(DataError, match=r"weights_validation: expected one for each row, shape \[0\], got \[2\]"):
        TrainingData(data.X, data.Y, weights_validation=np.ones(2))
