"""Normalization, noise, embeddings, recurrence, residual blocks: against nudges, PyTorch, and their own bits."""

import json
import tracemalloc
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import checkpoints
from engine.errors import CheckpointError, DataError, Diverged, SpecError
from engine.inspection import check, inspect
from engine.layers import (
    LAYERS,
    ActivationLayerSpec,
    AlphaDropoutSpec,
    BatchNormSpec,
    Conv1dSpec,
    Conv2dSpec,
    DropoutSpec,
    EmbeddingSpec,
    FlattenSpec,
    GaussianNoiseSpec,
    GruSpec,
    LayerNormSpec,
    LayerSpec,
    LstmSpec,
    MaxPoolSpec,
    ResidualSpec,
    RmsNormSpec,
    Slot,
    item_count,
)
from engine.layers.activations import TanhSpec
from engine.network import Network
from engine.parameters import Array, Shape
from engine.spec import NetworkSpec
from engine.training import StepReport, TrainingData, TrainingState, train
from engine.workspace import Batch, Workspace
from tests.engine.factories import dense, loss_of, network, one_hot, rows, start, targets, training


def residual(*layers: LayerSpec) -> ResidualSpec:
    return ResidualSpec(layers=layers)


def sequences(*layers: LayerSpec, shape: Shape = (4, 3), loss: str = "cross_entropy") -> Network:
    """A network on rows of this shape, with a softmax of three classes as its head."""
    return Network.build([*layers, dense(3, "softmax")], input_shape=shape, loss=loss_of(loss))


RELU = ActivationLayerSpec(activation="relu")
LAST, LSTM = GruSpec(units=3), LstmSpec(units=4)
"""Each makes one vector of a sequence."""
STACKS: dict[str, tuple[Shape, list[LayerSpec]]] = {
    "batch_norm": ((4,), [dense(5), BatchNormSpec(momentum=0.3)]),
    "batch_norm first": ((4,), [BatchNormSpec(), dense(5, "relu")]),
    "batch_norm before relu": ((4,), [dense(5, "identity"), BatchNormSpec(), RELU]),
    "batch_norm, not affine": ((4,), [dense(5), BatchNormSpec(affine=False), dense(4)]),
    "batch_norm of sequences": ((4, 3), [BatchNormSpec(), LAST]),
    "layer_norm": ((4,), [dense(5), LayerNormSpec()]),
    "layer_norm first": ((4,), [LayerNormSpec(), dense(5)]),
    "layer_norm, not affine": ((4,), [dense(5), LayerNormSpec(affine=False)]),
    "layer_norm of sequences": ((4, 3), [LayerNormSpec(), LAST]),
    "rms_norm": ((4,), [dense(5), RmsNormSpec()]),
    "rms_norm, not affine": ((4,), [dense(5), RmsNormSpec(affine=False)]),
    "rms_norm of sequences": ((4, 3), [RmsNormSpec(), LAST]),
    "alpha_dropout": ((4,), [dense(5), AlphaDropoutSpec(rate=0.3)]),
    "alpha_dropout first": ((4,), [AlphaDropoutSpec(rate=0.3), dense(5)]),
    "gaussian_noise": ((4,), [dense(5), GaussianNoiseSpec(std=0.3)]),
    "gaussian_noise first": ((4,), [GaussianNoiseSpec(std=0.3), dense(5)]),
    "gru": ((4, 3), [GruSpec(units=5)]),
    "gru of a gru": ((4, 3), [GruSpec(units=5, return_sequences=True), GruSpec(units=2)]),
    "gru, one step": ((1, 3), [GruSpec(units=2, return_sequences=True), GruSpec(units=2)]),
    "gru behind dense and relu": ((4, 3), [dense(4, "relu"), GruSpec(units=3, return_sequences=True), RELU, LAST]),
    "lstm": ((4, 3), [LstmSpec(units=5)]),
    "lstm of an lstm": ((4, 3), [LstmSpec(units=5, return_sequences=True), LstmSpec(units=2)]),
    "lstm, one step": ((1, 3), [LstmSpec(units=2, return_sequences=True), LstmSpec(units=2)]),
    "lstm behind dense and relu": ((4, 3), [dense(4, "relu"), LstmSpec(units=3, return_sequences=True), RELU, LAST]),
    "residual": ((4,), [dense(5), residual(dense(6, "relu"), dense(5, "relu"))]),
    "residual first": ((4,), [residual(dense(4))]),
    "residual first, of an activation": ((4,), [residual(RELU), dense(4)]),
    "residual of an activation": ((4,), [dense(5), residual(ActivationLayerSpec(activation="tanh"))]),
    "residual behind relu": ((4,), [dense(5, "relu"), residual(RELU, dense(5, "sigmoid")), RELU]),
    "residual with a projection": ((4,), [dense(5), residual(dense(6, "relu"), dense(3))]),
    "residual first, with a projection": ((4,), [residual(DropoutSpec(rate=0.5), dense(3))]),
    "residual in a residual": ((4,), [dense(5), residual(residual(dense(5, "relu"), RELU), dense(7), residual(RELU))]),
    "residual with norms": ((4,), [dense(5), residual(BatchNormSpec(), RELU, dense(5), LayerNormSpec(), RELU)]),
    "residual of sequences": ((4, 3), [residual(GruSpec(units=5, return_sequences=True), RmsNormSpec()), LAST]),
    "residual of a shorter sequence": (
        (7, 3),
        [residual(Conv1dSpec(filters=4, kernel_size=3, stride=2, padding="same")), FlattenSpec()],
    ),
    "residual of a smaller image": (
        (5, 4, 2),
        [
            residual(Conv2dSpec(filters=3, kernel_size=3, stride=(2, 1), padding="same", activation=TanhSpec()), RELU),
            residual(MaxPoolSpec()),
            FlattenSpec(),
        ],
    ),
    "two residuals in a row": ((4,), [residual(dense(4)), residual(dense(4, "relu")), RELU]),
}
IDS: dict[str, list[LayerSpec]] = {
    "a gru": [EmbeddingSpec(vocabulary_size=6, dim=3), GruSpec(units=4)],
    "an lstm": [EmbeddingSpec(vocabulary_size=6, dim=3), LstmSpec(units=4)],
    "norms": [EmbeddingSpec(vocabulary_size=6, dim=3), LayerNormSpec(), DropoutSpec(rate=0.3), LAST],
    "a residual": [EmbeddingSpec(vocabulary_size=6, dim=3), residual(dense(3, "relu")), LAST],
}


def ids(m: int, T: int = 5, *, seed: int = 0, dtype: str = "float64") -> Array:
    return np.random.default_rng(seed).integers(6, size=(m, T)).astype(dtype)


def lively(net: Network, *, seed: int = 4, dtype: str = "float64") -> Array:
    """Parameters of which none is at its start, and positive running variances."""
    flat = net.initial_parameters(seed=seed, dtype=dtype)
    flat[: net.parameter_count] += np.random.default_rng(1).normal(scale=0.3, size=net.parameter_count)
    for name, values in net.views(flat).items():
        if name.startswith("running_"):
            values[...] = np.random.default_rng(2).uniform(0.5, 2, values.shape)
    return flat


def placed(net: Network, flat: Array, X: Array, Y: Array, **options: Any) -> Batch:
    """A batch that is filled and ready to run."""
    batch = Workspace(net, flat, rows=len(X), **options).cut(len(X))
    batch.X[...], batch.Y[...] = X, Y
    batch.workspace.at(seed=1, epoch=2, step=3)
    return batch


def batch_of(net: Network, m: int, *, X: Array | None = None, dtype: str = "float64", **options: Any) -> Batch:
    X = rows(m, net.n_in, seed=m, dtype=dtype) if X is None else X
    return placed(net, lively(net, dtype=dtype), X, targets("cross_entropy", m, 3, dtype=dtype), **options)


def pattern(batch: Batch) -> list[Array | None]:
    """On which smooth piece of its function each layer is."""
    layers = zip(batch.workspace.network.layers, batch.slots, strict=True)
    return [layer.pieces(slot) for layer, slot in layers]


def nudged(batch: Batch, numbers: Array, *, h: float = 1e-4) -> Array:
    """The mean loss's derivative by each of `numbers`, by the four-point rule; NaN where a kink was crossed.

    Every pass makes the same draws.
    """

    def loss() -> float:
        batch.forward()
        return float(batch.example_losses().mean())

    loss()
    pieces, found = pattern(batch), np.empty(numbers.size)
    for place in range(numbers.size):
        kept, losses, is_smooth = numbers.flat[place], {}, True
        for step in (-2, -1, 1, 2):
            numbers.flat[place] = kept + step * h
            losses[step] = loss()
            is_smooth &= all(np.array_equal(a, b) for a, b in zip(pieces, pattern(batch), strict=True))  # type: ignore[arg-type]
        numbers.flat[place] = kept
        slope = (8 * (losses[1] - losses[-1]) - (losses[2] - losses[-2])) / (12 * h)
        found[place] = slope if is_smooth else np.nan
    return found.reshape(numbers.shape)


def assert_gradients_are_nudges(batch: Batch) -> None:
    """Each parameter's and, where there is a derivative, each input's; the batch is of an unshared workspace."""
    workspace = batch.workspace
    batch.forward()
    batch.backward(scale=1 / batch.m)
    pairs: list[tuple[Array, Array]] = [
        (workspace.gradient.copy(), workspace.parameters[: workspace.network.parameter_count])
    ]
    if batch.slots[0].dx is not None:
        pairs.append((batch.slots[0].dx.reshape(batch.X.shape).copy(), batch.X))
    size = max(np.abs(analytic).max() for analytic, _ in pairs)

    for analytic, numbers in pairs:
        measured = nudged(batch, numbers)
        smooth = np.isfinite(measured)
        assert smooth.mean() > 0.5
        np.testing.assert_allclose(analytic[smooth], measured[smooth], rtol=1e-7, atol=1e-8 * size)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("m", [1, 2, 7])
def test_every_stack_against_nudges(name: str, is_training: bool, m: int) -> None:
    shape, layers = STACKS[name]

    assert_gradients_are_nudges(
        batch_of(sequences(*layers, shape=shape), m, training=is_training, shared=False, input_gradient=True)
    )


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("m", [1, 2, 7])
def test_embeddings_against_nudges(name: str, m: int) -> None:
    net = sequences(*IDS[name], shape=(5,))

    assert_gradients_are_nudges(batch_of(net, m, X=ids(m), training=True, shared=False, input_gradient=True))


@pytest.mark.parametrize("name", [*STACKS, *IDS])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shared_and_unshared_workspaces_give_the_same_bits(name: str, is_training: bool, dtype: str) -> None:
    shape, layers = STACKS[name] if name in STACKS else ((5,), IDS[name])
    net = sequences(*layers, shape=shape)
    X = ids(7, dtype=dtype) if name in IDS else rows(7, net.n_in, dtype=dtype)
    found = []
    for shared in (True, False):
        batch = batch_of(net, 7, X=X, dtype=dtype, shared=shared, training=is_training)
        batch.forward()
        batch.backward(scale=1 / 7)
        found.append((batch.workspace.gradient, batch.workspace.parameters, batch.A))

    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert np.abs(found[0][0]).max() > 0


# Any shape ---------------------------------------------------------------------------------------------------------

WIDTHS = st.integers(1, 6)


@settings(max_examples=25, deadline=None)
@given(T=WIDTHS, n=WIDTHS, units=WIDTHS, m=st.integers(1, 9), kind=st.sampled_from([GruSpec, LstmSpec]))
def test_recurrent_layers_of_any_shape(T: int, n: int, units: int, m: int, kind: Any) -> None:
    net = sequences(kind(units=units, return_sequences=True), kind(units=2), shape=(T, n))

    assert_gradients_are_nudges(batch_of(net, m, training=True, shared=False, input_gradient=True))


@settings(max_examples=40, deadline=None)
@given(
    T=WIDTHS,
    n=st.integers(2, 6),
    m=st.integers(3, 9),
    kind=st.sampled_from([BatchNormSpec, LayerNormSpec, RmsNormSpec]),
)
def test_normalization_of_any_shape(T: int, n: int, m: int, kind: Any) -> None:
    net = sequences(kind(epsilon=0.1), LAST, shape=(T, n))  # without ε small variances make for large curvature

    assert_gradients_are_nudges(batch_of(net, m, training=True, shared=False, input_gradient=True))


@settings(max_examples=40, deadline=None)
@given(widths=st.lists(WIDTHS, min_size=1, max_size=4), depth=st.integers(0, 2), n=WIDTHS, m=st.integers(1, 9))
def test_residuals_of_any_widths_and_depth(widths: list[int], depth: int, n: int, m: int) -> None:
    inner: list[LayerSpec] = [dense(width) for width in widths]
    for _ in range(depth):
        inner = [residual(*inner), dense(3)]
    net = sequences(residual(*inner), shape=(n,))

    assert_gradients_are_nudges(batch_of(net, m, training=True, shared=False, input_gradient=True))


# PyTorch -----------------------------------------------------------------------------------------------------------

REFERENCE = json.loads((Path(__file__).parent / "reference" / "layers.json").read_text())


class Dealt(np.random.Generator):
    """A generator that gives prepared uniform numbers."""

    def __init__(self, numbers: Array) -> None:
        super().__init__(np.random.PCG64(0))
        self.numbers = numbers

    def random(self, *, dtype: Any, out: Array) -> None:  # type: ignore[override]
        out[...] = self.numbers


def alone(spec: Any, X: Any, dY: Any, parameters: dict[str, Any], *, draw: Any) -> Slot:
    """The slot of one layer after its passes."""
    X, dY = np.array(X, dtype=np.float64), np.array(dY, dtype=np.float64)
    kind = LAYERS[spec["type"]]
    [layer] = kind.build(X.shape[1:], kind.spec.model_validate(spec))
    values = {name: np.array(numbers, dtype=np.float64) for name, numbers in parameters.items()}
    slot = Slot(
        x=X,
        y=np.empty_like(dY),
        dx=np.empty_like(X),
        dy=dY,
        params={name: values[name] for name in layer.parameters()},
        grads={name: np.empty(shape) for name, shape in layer.parameters().items()},
        state={name: values[name] for name in layer.statistics()},
        scratch={
            **{name: np.empty((len(X), *shape)) for name, shape in layer.scratch().items()},
            **{name: np.empty(shape) for name, shape in layer.fixed_scratch().items()},
        },
        draw=draw,
    )
    for each in chain(layer.forward(slot), layer.backward(slot)):
        each()
    return slot


@pytest.mark.parametrize("name", REFERENCE["cases"])
def test_every_number_is_pytorchs(name: str) -> None:
    case = REFERENCE["cases"][name]
    draw = (lambda: np.random.default_rng(0)) if case["training"] else None

    slot = alone(case["spec"], case["X"], case["dY"], case["parameters"], draw=draw)

    np.testing.assert_allclose(slot.y, case["Y"], rtol=1e-11, atol=1e-14)
    assert slot.dx is not None
    np.testing.assert_allclose(slot.dx, case["dX"], rtol=1e-10, atol=1e-13)
    assert set(slot.grads) == set(case["gradients"])
    for letter, expected in case["gradients"].items():
        np.testing.assert_allclose(slot.grads[letter], expected, rtol=1e-10, atol=1e-13, err_msg=letter)
    for statistic, expected in case["statistics"].items():
        np.testing.assert_allclose(slot.state[statistic], expected, rtol=1e-12, err_msg=statistic)


def test_alpha_dropout_of_the_same_elements_is_pytorchs() -> None:
    case = REFERENCE["alpha_dropout"]
    drawn = np.where(case["dropped"], 0.0, 0.999)
    spec = {"type": "alpha_dropout", "rate": case["rate"]}

    slot = alone(spec, case["X"], np.ones_like(drawn), {}, draw=lambda: Dealt(drawn))

    np.testing.assert_allclose(slot.y, case["Y"], rtol=1e-13)
    assert slot.dx is not None
    np.testing.assert_allclose(slot.dx, case["dX"], rtol=1e-13)


# Noise -------------------------------------------------------------------------------------------------------------


def first_output(spec: LayerSpec, X: Array, *, step: int = 3, **options: Any) -> Array:
    """What a first layer makes of X in a step."""
    net = network(spec, dense(3, "softmax"), n_in=X.shape[1])
    batch = placed(net, lively(net), X, targets("cross_entropy", len(X), 3), shared=False, **options)
    batch.workspace.at(seed=9, epoch=0, step=step)
    batch.forward()
    return batch.slots[0].y


@pytest.mark.parametrize("spec", [AlphaDropoutSpec(rate=0.3), GaussianNoiseSpec(std=0.5)], ids=lambda spec: spec.type)
def test_noise_follows_from_the_step_alone_and_is_off_outside(spec: LayerSpec) -> None:
    X = rows(20, 50)

    drawn = [first_output(spec, X, step=step, training=True) for step in (1, 2, 1)]

    assert np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(first_output(spec, X), X)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    Y = first_output(AlphaDropoutSpec(rate=0.4), rows(400, 200), training=True)

    assert Y.mean() == pytest.approx(0, abs=0.01)
    assert Y.var() == pytest.approx(1, abs=0.02)


def test_gaussian_noise_has_its_standard_deviation() -> None:
    X = rows(400, 200)

    noise = first_output(GaussianNoiseSpec(std=0.5), X, training=True) - X

    assert noise.mean() == pytest.approx(0, abs=0.005)
    assert noise.std() == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("spec", [AlphaDropoutSpec(rate=0), GaussianNoiseSpec(std=0)], ids=lambda spec: spec.type)
def test_no_noise_at_all_changes_nothing(spec: LayerSpec) -> None:
    np.testing.assert_allclose(first_output(spec, rows(20), training=True), rows(20), rtol=0, atol=1e-15)


# Batch normalization -----------------------------------------------------------------------------------------------


def test_a_batch_comes_out_with_mean_0_and_variance_1() -> None:
    Y = first_output(BatchNormSpec(affine=False), 1000 + 50 * rows(64), training=True)

    np.testing.assert_allclose(Y.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(Y.var(axis=0), 1, rtol=1e-6)


def test_one_row_alone_is_normal_and_leaves_the_running_variance() -> None:
    net = sequences(BatchNormSpec(momentum=0.5), shape=(4,))
    batch = batch_of(net, 1, shared=False, training=True, input_gradient=True)
    before = {name: values.copy() for name, values in net.views(batch.workspace.parameters).items()}
    batch.forward()
    batch.backward()

    after = net.views(batch.workspace.parameters)
    np.testing.assert_array_equal(batch.slots[0].y[0], after["beta.1"])
    np.testing.assert_array_equal(batch.slots[0].dx, 0)
    np.testing.assert_array_equal(after["running_var.1"], before["running_var.1"])
    np.testing.assert_allclose(after["running_mean.1"], (before["running_mean.1"] + batch.X[0]) / 2)


def test_statistics_stand_behind_what_is_learned_and_keep_their_layers_number() -> None:
    net = sequences(dense(5), BatchNormSpec(), BatchNormSpec(affine=False), shape=(4,))

    assert list(net.layout.shapes)[-4:] == ["running_mean.2", "running_var.2", "running_mean.3", "running_var.3"]
    assert net.layout.size == net.parameter_count + 20
    assert list(net.shapes) == ["W.1", "b.1", "gamma.2", "beta.2", "W.4", "b.4"]
    assert net.boundary_names == ("A.0", "Z.1", "A.1", "A.2", "A.3", "Z.4", "A.4")


def test_a_look_forward_leaves_the_statistics_as_they_are() -> None:
    net = sequences(BatchNormSpec(), shape=(4,))
    flat = lively(net)
    before = flat.copy()

    net.predict(flat, rows(9))
    inspect(net, flat, rows(9), targets("cross_entropy", 9, 3), quantities=["dW"])

    np.testing.assert_array_equal(flat, before)


def test_a_checkpoint_of_the_same_parameters_without_the_statistics_is_refused() -> None:
    layers, batches = (sequences(spec, shape=(4,)) for spec in (LayerNormSpec(), BatchNormSpec()))
    content = checkpoints.dump(start(layers, training()), layers)

    with pytest.raises(CheckpointError, match="running_mean"):
        checkpoints.load(content, batches)


# Embeddings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ids_that_are_none_crash_nothing(dtype: str) -> None:
    net = sequences(EmbeddingSpec(vocabulary_size=6, dim=2), LAST, shape=(9,))
    X = np.array([[np.nan, np.inf, -np.inf, -1, 6, 1e30, -1e30, 2.4, 2]], dtype=dtype)
    batch = placed(net, lively(net, dtype=dtype), X, targets("cross_entropy", 1, 3), shared=False, training=True)
    batch.forward()
    batch.backward()

    W = net.views(batch.workspace.parameters)["W.1"]
    np.testing.assert_array_equal(batch.slots[0].y[0], W[[0, 5, 0, 0, 5, 5, 0, 2, 2]])
    assert np.isfinite(batch.workspace.gradient).all()


@pytest.mark.parametrize("wrong", [-1, 6, 2.5, np.nan, np.inf])
def test_an_id_that_is_none_is_an_error_that_names_its_place(wrong: float) -> None:
    net = sequences(*IDS["a gru"], shape=(5,))
    X = ids(3)
    X[1, 4] = wrong

    with pytest.raises(DataError, match=r"X\[1\]\[4\]: expected an id from 0 to 5, got"):
        inspect(net, lively(net), X, targets("cross_entropy", 3, 3), quantities=["dW"])


def test_an_embeddings_gradient_is_a_dense_layers_on_ids_one_hot() -> None:
    net = sequences(EmbeddingSpec(vocabulary_size=6, dim=3), LSTM, shape=(5,))
    written_out = sequences(dense(3, "identity", use_bias=False), LSTM, shape=(5, 6))
    flat, Y = lively(net), targets("cross_entropy", 8, 3)
    X = ids(8)
    gradients = []
    for each, inputs in ((net, X), (written_out, one_hot(X.astype(int), 6).reshape(8, -1))):
        batch = placed(each, flat, inputs, Y)
        batch.forward()
        batch.backward()
        gradients.append(batch.workspace.gradient)

    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-12, atol=1e-14)


# Recurrence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GruSpec, LstmSpec])
def test_the_last_state_is_the_last_of_all_states(kind: Any) -> None:
    nets = sequences(kind(units=4)), sequences(kind(units=4, return_sequences=True), LAST)
    states = []
    for net in nets:
        flat = net.initial_parameters(seed=1, dtype="float64")
        batch = placed(net, flat, rows(6, 12), targets("cross_entropy", 6, 3), shared=False)
        batch.forward()
        states.append(batch.slots[0].y)

    np.testing.assert_array_equal(states[0], states[1][:, -1])


def test_the_forget_gate_starts_open() -> None:
    net = sequences(LSTM)

    b = net.views(net.initial_parameters(seed=1, dtype="float64"))["b.1"]

    assert b.tolist() == [0] * 4 + [1] * 4 + [0] * 8


@pytest.mark.parametrize("kind", [GruSpec, LstmSpec])
def test_vectors_are_no_sequences(kind: Any) -> None:
    with pytest.raises(SpecError, match=r"network\.layers\[1\]: expected sequences, .* got rows of shape \[5\]"):
        network(dense(5), kind(units=3), dense(3, "softmax"))


# Residual blocks ---------------------------------------------------------------------------------------------------


def test_every_boundary_of_a_residual_block_has_a_name_of_its_own() -> None:
    block = residual(DropoutSpec(rate=0.1), dense(5, "relu"), residual(RELU), dense(2))
    net = network(dense(5), block, dense(3, "softmax"))

    assert net.boundary_names == (
        *("A.0", "Z.1", "A.1", "layers.1.part.y", "layers.1.layers.0.y", "Z.2", "A.2"),
        *("layers.1.layers.2.part.y", "layers.1.layers.2.layers.0.y", "layers.1.layers.2.y"),
        *("Z.3", "A.3", "A.4", "Z.5", "A.5"),
    )
    assert net.shapes["W.4"] == (5, 2)


def test_a_residual_block_of_zeros_is_the_identity() -> None:
    net = network(residual(dense(4, "identity", init="zeros")), dense(3, "softmax"))

    flat = net.initial_parameters(seed=1, dtype="float64")

    found = inspect(net, flat, rows(5), targets("cross_entropy", 5, 3), quantities=["layers.0.y"])

    np.testing.assert_array_equal(found.tensors["layers.0.y"], rows(5))


def test_a_wrong_layer_inside_is_named_by_its_place() -> None:
    with pytest.raises(SpecError, match=r"network\.layers\[1\]\.layers\[0\]\.layers\[1\]: expected sequences"):
        network(dense(5), residual(residual(dense(5), GruSpec(units=2))), dense(3, "softmax"))


def test_a_block_that_changes_more_than_the_last_axis_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"network\.layers\[0\]\.layers: expected layers that keep every axis but the last"
    ):
        sequences(residual(GruSpec(units=3)))


@pytest.mark.parametrize(
    ("shape", "layer", "seen"),
    [
        ((7, 3), Conv1dSpec(filters=4, kernel_size=3, stride=2, padding="same", init="zeros"), np.s_[:, ::2]),
        ((9, 6, 2), Conv2dSpec(filters=5, kernel_size=3, stride=(3, 2), padding=1, init="zeros"), np.s_[:, ::3, ::2]),
    ],
)
def test_a_smaller_image_or_sequence_is_joined_by_a_one_by_one_convolution(
    shape: Shape, layer: LayerSpec, seen: Any
) -> None:
    net = sequences(residual(layer), FlattenSpec(), shape=shape)
    flat, X = lively(net), np.random.default_rng(3).normal(size=(4, *shape))
    views = net.views(flat)
    views["W.1"][...] = views["b.1"][...] = 0
    W = views["W.2"]

    found = inspect(net, flat, X.reshape(4, -1), targets("cross_entropy", 4, 3), quantities=["A.2"])

    np.testing.assert_allclose(found.tensors["A.2"], X[seen] @ W.reshape(W.shape[-2:]), rtol=1e-12)


def test_what_is_left_to_auto_inside_a_block_is_resolved() -> None:
    spec = residual(dense(5, "relu"), residual(GruSpec(units=2)))

    found = spec.resolved().model_dump_json()

    assert '"auto"' not in found
    assert "he_normal" in found


def test_layers_inside_count() -> None:
    spec = {"type": "residual", "layers": [{"type": "residual", "layers": ["batch_norm"] * 200}] * 2}

    assert item_count([residual(dense(5), residual(RELU, RELU)), dense(5)]) == 6
    with pytest.raises(ValueError, match="expected at most 256 layers"):
        NetworkSpec.model_validate({"layers": [spec]})


def test_endless_nesting_is_refused() -> None:
    spec: Any = "batch_norm"
    for _ in range(5000):
        spec = {"type": "residual", "layers": [spec]}

    with pytest.raises(ValueError, match="recursion"):
        NetworkSpec.model_validate({"layers": [spec]})


# All of them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*STACKS, *IDS])
def test_the_nudge_check_finds_nothing_wrong(name: str) -> None:
    shape, layers = STACKS[name] if name in STACKS else ((5,), IDS[name])
    net = sequences(*layers, shape=shape)
    X = ids(4) if name in IDS else rows(4, net.n_in)

    found = check(net, lively(net), X.reshape(4, *shape).reshape(4, -1), targets("cross_entropy", 4, 3), samples=3)

    assert set(found.verdicts) <= {"ok", "kink", "below_noise"}


def test_any_parameter_can_be_nudged_by_name() -> None:
    net = sequences(LayerNormSpec(), GruSpec(units=2))
    targets_ = ["gamma.1[2]", "U.2[1,5]", "c.2[0]", "A.0[3,2,1]"]

    found = check(net, lively(net), rows(4, 12), targets("cross_entropy", 4, 3), targets=targets_)

    assert [(nudge.address, nudge.verdict) for nudge in found.nudges] == [(address, "ok") for address in targets_]


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("size", [1000.0, -1000.0])
@pytest.mark.parametrize("is_training", [True, False])
def test_inputs_in_the_thousands_stay_finite(name: str, size: float, is_training: bool) -> None:
    shape, layers = STACKS[name]
    net = sequences(*layers, shape=shape)
    X = np.full((7, net.n_in), size, np.float32) * np.linspace(0.5, 1, 7, dtype=np.float32)[:, None]
    batch = batch_of(net, 7, X=X, dtype="float32", training=is_training)

    with np.errstate(all="ignore"):
        batch.forward()
        batch.backward(scale=1 / 7)

    assert np.isfinite(batch.workspace.gradient).all()


def trained(net: Network, data: TrainingData, spec: Any, *, every: int | None) -> tuple[list[str], TrainingState]:
    """The digests and the last state; with `every`, stopped after so many steps and taken up again from the bytes."""
    state, digests, is_over = start(net, spec), list[str](), False
    while not is_over:
        stops = chain(repeat(False, every - 1), repeat(True)) if every else repeat(False)
        is_over = True
        for report in train(net, data, spec, state, seed=7, interrupt=partial(next, stops), steps_at_once=every and 1):
            if isinstance(report, StepReport):
                is_over = False
                break
            digests.append(report.digest)
        state = checkpoints.load(checkpoints.dump(state, net), net)
    return digests, state


@pytest.mark.parametrize("name", [*STACKS, *IDS])
@pytest.mark.parametrize("shards", [1, 3])
def test_a_training_stopped_and_resumed_from_bytes_ends_with_the_same_bits(name: str, shards: int) -> None:
    shape, layers = STACKS[name] if name in STACKS else ((5,), IDS[name])
    net, spec = sequences(*layers, shape=shape), training(epochs=3, batch_size=7, shards=shards)
    X = ids(31, dtype="float32") if name in IDS else rows(31, net.n_in, dtype="float32")
    Y = targets("cross_entropy", 31, 3, dtype="float32")
    data = TrainingData(X[6:], Y[6:], X[:6], Y[:6])

    expected, undisturbed = trained(net, data, spec, every=None)
    found, state = trained(net, data, spec, every=2)

    assert found == expected
    assert len(set(found)) == 3
    assert state.parameters.tobytes() == undisturbed.parameters.tobytes()
    assert state.best is not None
    assert undisturbed.best is not None
    assert state.best.parameters.tobytes() == undisturbed.best.parameters.tobytes()
    assert state.best.parameters.size == net.layout.size


@pytest.mark.parametrize("name", [*STACKS, *IDS])
def test_training_brings_the_loss_down(name: str) -> None:
    shape, layers = STACKS[name] if name in STACKS else ((5,), IDS[name])
    net = sequences(*layers, shape=shape)
    classes = np.arange(60) % 3
    X = rows(60, net.n_in, dtype="float32") * 0.3 + np.resize(np.eye(3, dtype="float32"), (net.n_in, 3)).T[classes]
    X = np.rint(X * 2).clip(0, 5) if name in IDS else X
    data = TrainingData(X, one_hot(classes, dtype="float32"))
    spec = training(epochs=30, optimizer={"type": "adam", "learning_rate": 0.02})

    reports = list(train(net, data, spec, start(net, spec), seed=7))

    losses = [report.values["train.loss"] for report in reports if not isinstance(report, StepReport)]
    assert losses[-1] is not None
    assert losses[-1] < 0.6


@pytest.mark.parametrize("name", ["gru of a gru", "lstm of an lstm", "residual with norms", "batch_norm of sequences"])
def test_diverging_weights_are_named_by_their_layer(name: str) -> None:
    shape, layers = STACKS[name]
    net, spec = sequences(*layers, shape=shape), training(epochs=9, optimizer={"type": "sgd", "learning_rate": 1e9})
    data = TrainingData(rows(30, net.n_in, dtype="float32"), targets("cross_entropy", 30, 3, dtype="float32"))

    with pytest.raises(Diverged) as caught:
        list(train(net, data, spec, start(net, spec), seed=7))

    assert caught.value.layer.split()[0] in (*LAYERS, caught.value.layer)


@pytest.mark.parametrize("name", [*STACKS, *IDS])
def test_a_step_allocates_nothing_that_grows(name: str) -> None:
    shape, layers = STACKS[name] if name in STACKS else ((5,), IDS[name])
    net = sequences(*layers, shape=shape)
    m = 20_000
    X = ids(m, dtype="float32") if name in IDS else rows(m, net.n_in, dtype="float32")
    batch = batch_of(net, m, X=X, dtype="float32", training=True)
    step = batch.step(scale=1 / m)
    for each in step:
        each()

    tracemalloc.start()
    for each in step:
        each()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 150_000  # NumPy's own buffers, of 8192 numbers each
