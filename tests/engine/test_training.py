import tracemalloc
from functools import partial
from itertools import chain, repeat

import numpy as np
import pytest

from engine import checkpoints
from engine.errors import Diverged
from engine.layers import DropoutSpec
from engine.network import Network
from engine.optimizers import (
    AdadeltaSpec,
    AdagradSpec,
    AdamSpec,
    AdamWSpec,
    AmsgradSpec,
    LionSpec,
    NadamSpec,
    RadamSpec,
    RmspropSpec,
    SgdSpec,
)
from engine.spec import EarlyStoppingSpec, Monitor, TrainingSpec
from engine.training import EpochReport, StepReport, TrainingData, TrainingState, epoch_order, train
from engine.training.trainer import Trainer
from engine.workspace import Workspace
from tests.engine.factories import clusters, dense, network, start, training

OPTIMIZERS = {
    "adam": AdamSpec(learning_rate=0.01),
    "sgd": SgdSpec(learning_rate=0.1),
    "momentum": SgdSpec(learning_rate=0.05, momentum=0.9),
    "nesterov": SgdSpec(learning_rate=0.05, momentum=0.9, nesterov=True),
    "dampening": SgdSpec(learning_rate=0.1, momentum=0.9, dampening=0.5),
    "adamw": AdamWSpec(learning_rate=0.01, weight_decay=0.1),
    "amsgrad": AmsgradSpec(learning_rate=0.01),
    "nadam": NadamSpec(learning_rate=0.01),
    "radam": RadamSpec(learning_rate=0.1, beta2=0.99),
    "rmsprop": RmspropSpec(learning_rate=0.01, momentum=0.5, centered=True),
    "adagrad": AdagradSpec(learning_rate=0.1, initial_accumulator_value=0.1),
    "adadelta": AdadeltaSpec(learning_rate=3.0),
    "lion": LionSpec(learning_rate=0.01, weight_decay=0.1),
}


def epochs(
    net: Network, spec: TrainingSpec, state: TrainingState, *, data: TrainingData | None = None
) -> list[EpochReport]:
    reports = train(net, data or clusters(dtype=spec.dtype), spec, state, seed=7)
    return [report for report in reports if isinstance(report, EpochReport)]


def interrupted(net: Network, spec: TrainingSpec, *, every: int) -> tuple[list[EpochReport], TrainingState]:
    """Train with a stop after every few steps, each time going on from the checkpoint's bytes."""
    state, found, data = start(net, spec), list[EpochReport](), clusters(dtype=spec.dtype)
    while not (found and found[-1].reason):
        stops = chain(repeat(False, every - 1), repeat(True))
        for report in train(net, data, spec, state, seed=7, interrupt=partial(next, stops), steps_at_once=1):
            if isinstance(report, StepReport):
                break
            found.append(report)
        state = checkpoints.load(checkpoints.dump(state, net), net)
    return found, state


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("every", [1, 4])
def test_a_training_stopped_and_resumed_from_bytes_ends_with_the_same_bits(
    optimizer: str, dtype: str, shards: int, every: int
) -> None:
    net = network(DropoutSpec(rate=0.2), dense(8, "relu"), DropoutSpec(rate=0.1), dense(3, "softmax"))
    spec = training(optimizer=OPTIMIZERS[optimizer], dtype=dtype, shards=shards)
    undisturbed = start(net, spec)

    expected = epochs(net, spec, undisturbed)
    found, state = interrupted(net, spec, every=every)

    assert [report.digest for report in found] == [report.digest for report in expected]
    assert state.parameters.tobytes() == undisturbed.parameters.tobytes()
    assert state.best is not None
    assert undisturbed.best is not None
    assert state.best.parameters.tobytes() == undisturbed.best.parameters.tobytes()
    for mine, theirs in zip(found, expected, strict=True):
        assert {**mine.values, "seconds": 0} == {**theirs.values, "seconds": 0}


EXTRAS = {
    "a schedule and a warm-up": {"schedule": {"type": "cosine", "warmup_epochs": 1.5}},
    "plateaus": {"schedule": {"type": "reduce_on_plateau", "patience": 1, "min_delta": 10.0}, "epochs": 6},
    "penalties and a bound": {"l1": 0.01, "l2": 0.02, "max_norm": 0.8},
    "clipping": {"clip": {"type": "norm", "limit": 0.05}},
    "an average": {"average": {"decay": 0.9}},
    "accumulation": {"accumulate": 4},
    "frozen and slowed layers": {"frozen": [1], "learning_rate_factors": {"2": 0.5}},
    "all at once": {
        "schedule": {"type": "one_cycle"},
        "l1": 0.01,
        "max_norm": 2.0,
        "clip": {"type": "value", "limit": 0.01},
        "average": {"decay": 0.9},
        "accumulate": 2,
        "shards": 2,
    },
}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("every", [1, 3])
def test_whatever_is_asked_of_a_training_goes_on_with_the_same_bits(extra: str, every: int) -> None:
    net = network(DropoutSpec(rate=0.2), dense(8, "relu"), dense(3, "softmax"))
    spec = training(**EXTRAS[extra])
    undisturbed = start(net, spec)

    expected = epochs(net, spec, undisturbed)
    found, state = interrupted(net, spec, every=every)

    assert [{**each.values, "seconds": 0} for each in found] == [{**each.values, "seconds": 0} for each in expected]
    assert state.parameters.tobytes() == undisturbed.parameters.tobytes()
    assert state.best is not None
    assert undisturbed.best is not None
    assert state.best.parameters.tobytes() == undisturbed.best.parameters.tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_brings_the_loss_down(optimizer: str) -> None:
    net, spec = network(), training(optimizer=OPTIMIZERS[optimizer], epochs=15)

    reports = epochs(net, spec, start(net, spec))

    first, last = reports[0].values["train.loss"], reports[-1].values["train.loss"]
    assert first is not None
    assert last is not None
    assert last < 0.5 * first


def test_another_seed_trains_other_weights() -> None:
    net, spec = network(), training(epochs=1)

    digests = {epochs(net, spec, start(net, spec, seed=seed))[0].digest for seed in range(3)}

    assert len(digests) == 3


def test_the_step_sums_shards_to_the_gradient_of_the_whole_batch() -> None:
    net = network()
    one, five = training(dtype="float64", epochs=2), training(dtype="float64", epochs=2, shards=5)
    whole, parts = start(net, one), start(net, five)

    epochs(net, one, whole)
    epochs(net, five, parts)

    np.testing.assert_allclose(parts.parameters, whole.parameters, rtol=1e-9, atol=1e-12)


def test_l2_shrinks_weights_and_leaves_reported_losses_plain() -> None:
    net = network()
    plain, penalized = training(l2=0.0, dtype="float64"), training(l2=0.1, dtype="float64")
    free, held = start(net, plain), start(net, penalized)

    epochs(net, plain, free)
    report = epochs(net, penalized, held)[-1]

    W = [np.linalg.norm(net.views(state.parameters)["W.2"]) for state in (held, free)]
    data = clusters(dtype="float64")
    assert W[0] < W[1]
    assert report.values["train.loss"] == net.evaluate(held.parameters, data.X, data.Y).loss


def test_early_stopping_ends_after_patience_epochs_and_keeps_the_best() -> None:
    net = network(dense(32), dense(3, "softmax"))
    stopping = EarlyStoppingSpec(monitor="validation.loss", patience=3)
    spec = training(epochs=500, early_stopping=stopping, optimizer=AdamSpec(learning_rate=0.05), l2=0.0)
    state = start(net, spec)

    reports = epochs(net, spec, state)

    losses = [report.values["validation.loss"] for report in reports]
    best = min(range(len(losses)), key=losses.__getitem__)  # type: ignore[arg-type]
    assert reports[-1].reason == "early_stopping"
    assert len(reports) == best + 1 + 3
    assert state.best is not None
    assert (state.best.epoch, state.best.value) == (best + 1, losses[best])
    data = clusters()
    assert net.evaluate(state.best.parameters, data.X_validation, data.Y_validation).loss == losses[best]  # type: ignore[arg-type]


def test_min_delta_decides_patience_but_not_which_parameters_are_best() -> None:
    net = network()
    stopping = EarlyStoppingSpec(monitor="train.loss", patience=2, min_delta=10.0)
    spec = training(epochs=50, early_stopping=stopping)
    state = start(net, spec)

    reports = epochs(net, spec, state)

    assert len(reports) == 3
    assert state.best is not None
    assert state.best.epoch == 3


@pytest.mark.parametrize("monitor", ["validation.accuracy", "validation.balanced_accuracy", "validation.f1"])
def test_a_metric_that_rises_can_be_monitored(monitor: Monitor) -> None:
    net = network()
    spec = training(epochs=12, early_stopping=EarlyStoppingSpec(monitor=monitor))
    state = start(net, spec)

    reports = epochs(net, spec, state)

    values = [report.values[monitor] or 0 for report in reports]
    assert state.best is not None
    assert state.best.value == max(values) > values[0]
    assert state.best.epoch == values.index(max(values)) + 1


@pytest.mark.parametrize("monitor", ["validation.rmse", "train.rmse"])
def test_a_metric_that_falls_can_be_monitored_too(monitor: Monitor) -> None:
    net, data = network(dense(4, "tanh"), dense(3, "identity"), loss="half_squared_error"), clusters()
    numbers = TrainingData(data.X, data.Y, data.X_validation, data.Y_validation, kind="regression")
    spec = training(epochs=12, early_stopping=EarlyStoppingSpec(monitor=monitor))
    state = start(net, spec)

    reports = epochs(net, spec, state, data=numbers)

    values = [report.values[monitor] or 0 for report in reports]
    assert state.best is not None
    assert state.best.value == min(values) < values[0]


def test_without_validation_rows_the_best_follows_the_loss_with_its_penalty() -> None:
    net, spec = network(), training(l2=0.1, l1=0.01, dtype="float64")
    data = clusters(dtype="float64")
    state = start(net, spec)

    reports = epochs(net, spec, state, data=TrainingData(data.X, data.Y))

    assert state.best is not None
    assert state.best.metric == "train.objective"
    weights = [values for name, values in net.views(state.parameters).items() if name.startswith("W")]
    penalty = sum(0.05 * np.square(W).sum() + 0.01 * np.abs(W).sum() for W in weights)
    values = reports[-1].values
    assert values["train.objective"] == pytest.approx(values["train.loss"] + penalty)
    assert "validation.loss" not in reports[-1].values


def test_the_running_loss_is_the_mean_of_the_batches_losses_as_they_were() -> None:
    net, spec = network(), training(dtype="float64", epochs=1, optimizer=SgdSpec(learning_rate=1e-12), l2=0.0)

    report = epochs(net, spec, start(net, spec))[0]

    # With next to no steps taken every batch sees the same weights; 90 rows make five batches of 16 and one of 10.
    running, whole = report.values["train.running_loss"], report.values["train.loss"]
    assert running is not None
    assert whole is not None
    assert running != whole
    assert running == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("optimizer", [AdamSpec(learning_rate=1e6), SgdSpec(learning_rate=1e6)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_learning_rate_of_a_million_is_divergence_at_a_named_place(
    optimizer: AdamSpec | SgdSpec, activation: str
) -> None:
    net = network(dense(8, activation), dense(3, "softmax"))
    spec = training(optimizer=optimizer, epochs=50)

    with pytest.raises(Diverged) as caught:
        epochs(net, spec, start(net, spec))

    assert caught.value.epoch == 1
    assert caught.value.step >= 1
    assert caught.value.layer in ("dense 1", "dense 2")


def test_an_undefined_number_in_a_row_is_named_as_the_inputs() -> None:
    data = clusters()
    data.X[3, 2] = np.nan
    net, spec = network(), training()

    with pytest.raises(Diverged, match=r"epoch 1, step \d, layer input: A\.0 holds infinite or undefined numbers"):
        epochs(net, spec, start(net, spec), data=data)


@pytest.mark.parametrize("before", OPTIMIZERS)
@pytest.mark.parametrize("after", ["adam", "adamw", "momentum", "adagrad"])
def test_a_changed_optimizer_starts_with_fresh_moments(before: str, after: str) -> None:
    net = network()
    first, second = training(epochs=1, optimizer=OPTIMIZERS[before]), training(epochs=2, optimizer=OPTIMIZERS[after])
    state = start(net, first)
    epochs(net, first, state)
    content = checkpoints.dump(state, net)
    fresh = start(net, second)
    fresh.parameters[...], fresh.epoch = state.parameters, 1
    if OPTIMIZERS[before].type == OPTIMIZERS[after].type and set(state.moments) == set(fresh.moments):
        fresh.moments, fresh.updates = (
            state.moments,
            state.updates,
        )  # kept under new options

    forked = checkpoints.load(content, net)
    reports = epochs(net, second, forked)

    assert [report.epoch for report in reports] == [2]
    assert [report.digest for report in epochs(net, second, fresh)] == [report.digest for report in reports]
    assert forked.optimizer == OPTIMIZERS[after].type


def test_bytes_that_name_no_optimizer_go_on_with_their_moments() -> None:
    net, spec = network(), training()
    state = start(net, spec)
    next(train(net, clusters(), spec, state, seed=7))
    state.optimizer = None

    resumed = checkpoints.load(checkpoints.dump(state, net), net)
    resumed.suit(net, spec, monitor="validation.loss")

    assert resumed.optimizer == "adam"
    assert resumed.updates == state.updates
    np.testing.assert_array_equal(resumed.moments["V"], state.moments["V"])


def test_adamw_decays_weight_matrices_and_never_b() -> None:
    net = network()
    plain = training(epochs=1, batch_size=1000, dtype="float64", l2=0.0, optimizer=AdamWSpec(weight_decay=0.0))
    decaying = plain.model_copy(update={"optimizer": AdamWSpec(weight_decay=10.0)})
    free, held = start(net, plain), start(net, decaying)
    free.parameters += 1  # so that b has something to lose
    held.parameters += 1
    begun = net.views(free.parameters.copy())

    epochs(net, plain, free)
    epochs(net, decaying, held)

    free_views, held_views = net.views(free.parameters), net.views(held.parameters)
    for name in net.shapes:
        share = 0.001 * 10.0 if name.startswith("W.") else 0.0
        np.testing.assert_allclose(free_views[name] - held_views[name], share * begun[name], rtol=1e-9, atol=1e-16)


def test_a_step_allocates_nothing_that_grows() -> None:
    net = network(dense(256, "relu"), dense(256, "sigmoid"), dense(3, "softmax"))
    data, spec = clusters(m=3000), training(epochs=1, batch_size=256)
    steps = train(net, data, spec, start(net, spec), seed=7, interrupt=lambda: True, steps_at_once=1)
    for _ in range(4):
        next(steps)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(4):
        next(steps)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    one_array = 256 * 256 * 4
    assert after - before < 10_000
    assert peak - before < one_array


def test_ten_thousand_steps_grow_nothing() -> None:
    net, data = network(dense(8, "relu"), dense(3, "softmax")), clusters(m=800)
    spec = training(epochs=101, batch_size=8, early_stopping=None)
    reports = train(net, data, spec, start(net, spec), seed=7)

    tracemalloc.start()
    next(reports)
    before = tracemalloc.get_traced_memory()[0]
    steps = sum(100 for _ in reports)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert steps == 10_000
    assert after - before < 10_000


def test_a_training_takes_the_parameters_four_times_and_its_workspaces() -> None:
    """Parameters, gradient and Adam's two moments; no more than a fifth is added by what comes and goes."""
    net, data = network(dense(1000, "relu"), dense(1000, "relu"), dense(3, "softmax")), clusters(m=300)
    spec = training(epochs=2, batch_size=64)
    tracemalloc.start()
    trainer = Trainer(net, data, spec, start(net, spec), seed=7, steps_at_once=None)

    trainer.run(lambda: False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    workspaces = sum(bytes_of(each) for each in [*trainer.chunks.workspaces, trainer.evaluator.workspace])
    best = trainer.state.best
    assert best is not None
    assert peak < 1.2 * (16 * net.parameter_count + workspaces) + best.parameters.nbytes


def bytes_of(workspace: Workspace) -> int:
    """Of all arrays of a workspace but the parameters and the gradient."""
    own = [workspace.Y, workspace.product, workspace.spare, workspace.examples, workspace.row]
    scratch = [array for each in [*workspace.scratch, *workspace.fixed_scratch] for array in each.values()]
    arrays = {id(array): array for array in [*workspace.outputs, *workspace.derivatives, *scratch, *own]}
    return sum(array.nbytes for array in arrays.values())


def test_a_training_is_the_textbooks_loop() -> None:
    """Two epochs of logistic regression with L2 and Adam, written out."""
    data, spec = clusters(dtype="float64"), training(dtype="float64", epochs=2, l2=0.01)
    net = network(dense(3, "softmax"))
    W, b = (array.copy() for array in net.views(start(net, spec).parameters).values())
    m, v, t = [np.zeros_like(W), np.zeros_like(b)], [np.zeros_like(W), np.zeros_like(b)], 0
    losses, norms = [], []
    for epoch in range(2):
        order = epoch_order(len(data.X), seed=7, epoch=epoch)
        for rows in np.split(order, range(16, len(order), 16)):
            X, Y = data.X[rows], data.Y[rows]
            A = np.exp(X @ W + b)
            A /= A.sum(axis=1, keepdims=True)
            losses.append(-np.log(A[Y == 1]).mean())
            gradient = [X.T @ (A - Y) / len(X), (A - Y).mean(axis=0)]
            norms.append(np.sqrt(sum((g**2).sum() for g in gradient)))
            gradient[0] = gradient[0] + 0.01 * W
            t += 1
            for number, theta in enumerate((W, b)):
                m[number] = 0.9 * m[number] + 0.1 * gradient[number]
                v[number] = 0.999 * v[number] + 0.001 * gradient[number] ** 2
                theta -= 0.001 * (m[number] / (1 - 0.9**t)) / (np.sqrt(v[number] / (1 - 0.999**t)) + 1e-8)

    state = start(net, spec)
    report = epochs(net, spec, state)[-1]

    found = net.views(state.parameters)
    np.testing.assert_allclose(found["W.1"], W, rtol=1e-11)
    np.testing.assert_allclose(found["b.1"], b, rtol=1e-11)
    assert report.values["train.running_loss"] == pytest.approx(np.mean(losses[6:]), rel=1e-12)
    assert report.values["grad_norm"] == pytest.approx(np.mean(norms[6:]), rel=1e-12)


def test_of_equally_good_epochs_the_first_is_the_best() -> None:
    net = network(dense(32), dense(3, "softmax"))
    stopping = EarlyStoppingSpec(monitor="train.accuracy", patience=3)
    spec = training(epochs=100, early_stopping=stopping, optimizer=AdamSpec(learning_rate=0.02))
    state = start(net, spec)

    accuracies = [report.values["train.accuracy"] for report in epochs(net, spec, state)]

    assert state.best is not None
    assert accuracies.count(state.best.value) > 1
    assert state.best.epoch == accuracies.index(state.best.value) + 1
