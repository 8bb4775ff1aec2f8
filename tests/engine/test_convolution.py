"""Layers of images and sequences: against nudges, against PyTorch, and whatever shape one asks for."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine import checkpoints
from engine import plans as calls
from engine.errors import SpecError
from engine.inspection import check
from engine.layers import LAYERS, Layer, LayerSpec, Slot, stack
from engine.layers.convolutions import base
from engine.layers.convolutions.base import Convolution
from engine.layers.windows import Axis, axes_of
from engine.network import Network
from engine.parameters import Array, Shape
from engine.training import TrainingData, train
from engine.workspace import Workspace
from tests.engine.factories import dense, loss_of, rows, start, targets, training
from tests.engine.test_gradients import assert_gradients_are_nudges, passed

IMAGE, SEQUENCE = (5, 4, 2), (9, 2)


def layer(type: str, **options: Any) -> LayerSpec:
    return LAYERS[type].spec.model_validate({"type": type, **options})


def apart(m: int, n_in: int) -> Array:
    """Rows whose numbers lie further from each other than a nudge reaches: the largest stays the largest."""
    return np.random.default_rng(m).permutation(m * n_in).reshape(m, n_in) / (m * n_in) * 4 - 2.0


def shaped(shape: Shape, *layers: LayerSpec, loss: str = "cross_entropy", head: str = "softmax") -> Network:
    """A network on rows of this shape, with a dense head of three."""
    return Network.build([*layers, layer("flatten"), dense(3, head)], input_shape=shape, loss=loss_of(loss))


CASES: dict[str, tuple[Shape, list[LayerSpec]]] = {
    "conv2d": (IMAGE, [layer("conv2d", filters=3, kernel_size=3)]),
    "conv2d, same": (IMAGE, [layer("conv2d", filters=3, kernel_size=(3, 2), padding="same")]),
    "conv2d, same with a stride": (IMAGE, [layer("conv2d", filters=3, kernel_size=3, padding="same", stride=2)]),
    "conv2d, padded": (IMAGE, [layer("conv2d", filters=2, kernel_size=2, padding=(2, 1), stride=(1, 3))]),
    "conv2d, dilated": (IMAGE, [layer("conv2d", filters=2, kernel_size=2, dilation=(3, 2))]),
    "conv2d in groups": ((4, 3, 4), [layer("conv2d", filters=6, kernel_size=2, groups=2, padding="same")]),
    "conv2d, each channel alone": ((4, 3, 4), [layer("conv2d", filters=4, kernel_size=3, groups=4)]),
    "conv2d, one pixel": (IMAGE, [layer("conv2d", filters=3, kernel_size=1)]),
    "conv2d of one channel": ((5, 4, 1), [layer("conv2d", filters=3, kernel_size=3, padding="same")]),
    "conv2d without a bias": (IMAGE, [layer("conv2d", filters=2, kernel_size=2, use_bias=False)]),
    "conv2d on conv2d": (
        IMAGE,
        [
            layer("conv2d", filters=3, kernel_size=2, activation="tanh"),
            layer("conv2d", filters=2, kernel_size=2, padding="same", activation="sigmoid"),
        ],
    ),
    "conv1d": (SEQUENCE, [layer("conv1d", filters=3, kernel_size=3, activation="tanh")]),
    "conv1d, same": (SEQUENCE, [layer("conv1d", filters=3, kernel_size=4, padding="same", stride=2)]),
    "conv1d, dilated in groups": (SEQUENCE, [layer("conv1d", filters=4, kernel_size=3, dilation=2, groups=2)]),
    "max_pool": (IMAGE, [layer("max_pool")]),
    "max_pool, overlapping": (IMAGE, [layer("max_pool", size=3, stride=(1, 2), padding=1)]),
    "max_pool of a sequence": (SEQUENCE, [layer("max_pool", size=3, stride=2)]),
    "average_pool": (IMAGE, [dense(3), layer("average_pool")]),
    "average_pool, overlapping": (IMAGE, [dense(3), layer("average_pool", size=(3, 2), stride=1, padding=1)]),
    "average_pool of a sequence": (SEQUENCE, [dense(3), layer("average_pool", size=4, padding=2)]),
    "global_max_pool": (IMAGE, [layer("global_max_pool")]),
    "global_max_pool of a sequence": (SEQUENCE, [layer("global_max_pool")]),
    "global_average_pool": (IMAGE, [dense(3), layer("global_average_pool")]),
    "global_average_pool of a sequence": (SEQUENCE, [dense(3), layer("global_average_pool")]),
    "flatten": (IMAGE, [dense(3), layer("flatten"), dense(4)]),
    "reshape": (IMAGE, [layer("reshape", shape=[-1, 8]), dense(3), layer("reshape", shape=[3, -1]), dense(2)]),
    "a layer first": (IMAGE, [layer("max_pool", padding=1), layer("conv2d", filters=2, kernel_size=2)]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("m", [1, 2, 7])
def test_every_derivative_is_the_nudges(name: str, m: int) -> None:
    shape, layers = CASES[name]
    net = shaped(shape, *layers)

    assert_gradients_are_nudges(net, m=m, X=apart(m, net.n_in))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shared_and_unshared_workspaces_give_the_same_bits(name: str, dtype: str) -> None:
    shape, layers = CASES[name]
    net = shaped(shape, *layers)
    flat, X = net.initial_parameters(seed=1, dtype=dtype), rows(7, net.n_in, dtype=dtype)
    Y = targets("cross_entropy", 7, 3, dtype=dtype)

    shared, unshared = (passed(net, flat, X, Y, shared=is_shared) for is_shared in (True, False))

    np.testing.assert_array_equal(shared.gradient, unshared.gradient)


# Beside PyTorch ----------------------------------------------------------------------------------------------------

REFERENCE = json.loads((Path(__file__).parent / "reference" / "convolution.json").read_text())["layers"]


@pytest.mark.parametrize("name", REFERENCE)
def test_outputs_and_gradients_are_pytorchs(name: str) -> None:
    case = {key: np.array(value) if key[-1] in "XYWb" else value for key, value in REFERENCE[name].items()}

    [first, *_] = stack([layer(case["type"], **case["options"])], case["X"].shape[1:])
    found = alone(first, case["X"], case["dY"], {key: case[key] for key in first.parameters()})

    for key, array in found.items():
        np.testing.assert_allclose(array, case[key], rtol=1e-12, atol=1e-13, err_msg=key)


def alone(first: Layer, X: Array, dY: Array, params: dict[str, Array]) -> dict[str, Array]:
    """Y, dX and the gradients of a layer on its own."""
    slot = Slot(
        x=X,
        y=np.full((len(X), *first.output_shape), np.nan),
        dx=np.full_like(X, np.nan),
        dy=dY,
        params=params,
        grads={key: np.full_like(array, np.nan) for key, array in params.items()},
        state={},
        scratch={
            **{key: np.zeros((len(X), *shape)) for key, shape in first.scratch().items()},
            **{key: np.zeros(shape) for key, shape in first.fixed_scratch().items()},
        },
        draw=None,
    )
    calls.run(first.forward(slot))
    calls.run(first.backward(slot))
    assert slot.dx is not None
    return {"Y": slot.y, "dX": slot.dx, **{f"d{key}": array for key, array in slot.grads.items()}}


# Whatever shape ----------------------------------------------------------------------------------------------------


def written_out(X: Array, W: Array, b: Array, axes: Sequence[Axis], groups: int) -> Array:
    """A convolution as its definition says, number by number."""
    filters, depth = W.shape[-1], W.shape[-2]
    Z = np.zeros((len(X), *(axis.outputs for axis in axes), filters)) + b
    for place in np.ndindex(Z.shape[1:-1]):
        for offset in np.ndindex(W.shape[:-2]):
            at = [
                axis.stride * p + axis.dilation * o - axis.before
                for axis, p, o in zip(axes, place, offset, strict=True)
            ]
            if all(0 <= i < axis.size for i, axis in zip(at, axes, strict=True)):
                for f in range(filters):
                    start = f // (filters // groups) * depth
                    Z[:, *place, f] += X[:, *at, start : start + depth] @ W[*offset, :, f]
    return Z


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Shape, dict[str, Any]]:
    """A shape, and the options of a convolution that fits it."""
    count = draw(st.sampled_from([1, 2]))
    each = st.lists(st.integers(1, 3), min_size=count, max_size=count)
    groups = draw(st.integers(1, 3))
    options = {
        "filters": groups * draw(st.integers(1, 2)),
        "kernel_size": draw(each),
        "stride": draw(each),
        "dilation": draw(each),
        "groups": groups,
        "padding": draw(
            st.sampled_from(["valid", "same"]) | st.lists(st.integers(0, 3), min_size=count, max_size=count)
        ),
        "use_bias": draw(st.booleans()),
    }
    spans = [d * (k - 1) + 1 for d, k in zip(options["dilation"], options["kernel_size"], strict=True)]
    sizes = [span + draw(st.integers(0, 4)) for span in spans]
    return (*sizes, groups * draw(st.integers(1, 2))), options


@settings(max_examples=80, deadline=None)
@given(convolutions(), st.integers(1, 4), st.sampled_from([1, 200, 2**18]))
def test_any_convolution_is_its_definition_and_its_gradients_are_the_adjoint(
    case: tuple[Shape, dict[str, Any]], m: int, block: int
) -> None:
    """⟨dY, Z(X)⟩ is linear in X and in W, so each gradient is checked by the number it must give back."""
    shape, options = case
    random = np.random.default_rng(m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "BLOCK_NUMBERS", block)
        [first, _] = stack([layer(f"conv{len(shape) - 1}d", **options)], shape)
    assert isinstance(first, Convolution)
    X, dY = random.normal(size=(m, *shape)), random.normal(size=(m, *first.output_shape))
    params = {key: random.normal(size=size) for key, size in first.parameters().items()}
    b = params.get("b", np.zeros(options["filters"]))

    found = alone(first, X, dY, params)

    Z = written_out(X, params["W"], b, first.axes, options["groups"])
    np.testing.assert_allclose(found["Y"], Z, rtol=1e-10, atol=1e-11)
    for index in [tuple(random.integers(X.shape)) for _ in range(4)]:
        one = np.zeros_like(X)
        one[index] = 1
        expected = (written_out(one, params["W"], 0 * b, first.axes, options["groups"]) * dY).sum()
        assert found["dX"][index] == pytest.approx(expected, rel=1e-10, abs=1e-11)
    for index in [tuple(random.integers(params["W"].shape)) for _ in range(4)]:
        one = np.zeros_like(params["W"])
        one[index] = 1
        expected = (written_out(X, one, 0 * b, first.axes, options["groups"]) * dY).sum()
        assert found["dW"][index] == pytest.approx(expected, rel=1e-10, abs=1e-11)
    if "b" in params:
        np.testing.assert_allclose(found["db"], dY.reshape(-1, len(b)).sum(axis=0), rtol=1e-10, atol=1e-11)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from(["max_pool", "average_pool"]), st.integers(1, 3), st.sampled_from([1, 2]))
def test_any_pool_is_its_definition(data: st.DataObject, kind: str, m: int, count: int) -> None:
    size = data.draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    stride = data.draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    padding = [data.draw(st.integers(0, each // 2)) for each in size]
    shape = (*(each + data.draw(st.integers(0, 5)) for each in size), data.draw(st.integers(1, 3)))
    [pool] = stack([layer(kind, size=size, stride=stride, padding=padding)], shape)
    X = np.random.default_rng(m).integers(-3, 4, size=(m, *shape)) * 1.0
    dY = np.random.default_rng(1).normal(size=(m, *pool.output_shape))

    found = alone(pool, X, dY, {})

    Y, dX = np.empty_like(dY), np.zeros_like(X)
    fill = -np.inf if kind == "max_pool" else 0
    padded = np.pad(X, [(0, 0), *((p, p) for p in padding), (0, 0)], constant_values=fill)
    own = tuple(slice(p, p + n) for p, n in zip(padding, shape[:-1], strict=True))
    gradient = np.zeros_like(padded)
    for row, *place, channel in np.ndindex(*dY.shape):
        window = tuple(slice(s * p, s * p + k) for s, p, k in zip(stride, place, size, strict=True))
        seen, back = padded[row, *window, channel], gradient[row, *window, channel]
        Y[row, *place, channel] = seen.max() if kind == "max_pool" else seen.mean()
        if kind == "max_pool":
            back[np.unravel_index(seen.argmax(), seen.shape)] += dY[row, *place, channel]
        else:
            back += dY[row, *place, channel] / seen.size
    dX = gradient[:, *own]
    np.testing.assert_allclose(found["Y"], Y, rtol=1e-12)
    np.testing.assert_allclose(found["dX"], dX, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("size", "stride", "count"), [(7, 1, 7), (7, 2, 4), (8, 3, 3), (3, 5, 1)], ids=["1", "2", "3", "over"]
)
def test_same_makes_as_many_windows_as_strides_fit(size: int, stride: int, count: int) -> None:
    [conv, _] = stack([layer("conv1d", filters=2, kernel_size=4, padding="same", stride=stride)], (size, 3))

    assert conv.output_shape == (count, 2)


def test_same_puts_the_odd_zero_behind() -> None:
    [axis] = axes_of([6], window=[4], stride=[1], dilation=[1], padding="same", option="kernel_size")

    assert (axis.before, axis.after) == (1, 2)


@pytest.mark.parametrize("kind", ["max_pool", "global_max_pool"])
def test_among_equals_the_first_gets_it_all(kind: str) -> None:
    [pool] = stack([layer(kind)], (2, 2, 1))

    found = alone(pool, np.full((1, 2, 2, 1), 3.0), np.full((1, *pool.output_shape), 5.0), {})

    assert found["dX"].ravel().tolist() == [5, 0, 0, 0]


@pytest.mark.parametrize("kind", ["max_pool", "global_max_pool"])
def test_a_nudge_that_changes_the_largest_is_a_kink(kind: str) -> None:
    net = shaped((2, 2, 1), layer(kind), loss="half_squared_error", head="identity")
    flat, X, Y = net.initial_parameters(seed=1, dtype="float64"), np.array([[1.0, 1.00001, 0, 0]]), np.ones((1, 3))

    found = check(net, flat, X, Y, targets=["A.0[0,0,0,0]", "A.0[0,1,1,0]"], method="central")

    assert [nudge.verdict for nudge in found.nudges] == ["kink", "ok"]


def test_nan_goes_through_every_pool() -> None:
    X = np.ones((1, 4, 4, 1))
    X[0, 1, 1] = np.nan
    for kind in ("max_pool", "average_pool", "global_max_pool", "global_average_pool"):
        [pool] = stack([layer(kind)], (4, 4, 1))

        assert np.isnan(alone(pool, X, np.ones((1, *pool.output_shape)), {})["Y"]).any(), kind


# Training ----------------------------------------------------------------------------------------------------------

STACK = [
    layer("conv2d", filters=3, kernel_size=3, padding="same", activation="relu"),
    layer("max_pool"),
    layer("conv2d", filters=4, kernel_size=2, groups=1, activation="tanh"),
    layer("average_pool", size=2, stride=1, padding=1),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shards", [1, 3])
def test_a_training_stopped_and_resumed_from_bytes_ends_with_the_same_bits(dtype: str, shards: int) -> None:
    net = shaped((6, 6, 2), *STACK)
    spec = training(dtype=dtype, shards=shards, epochs=2, batch_size=8)
    X, Y = rows(30, net.n_in, dtype=dtype), targets("cross_entropy", 30, 3, dtype=dtype)
    data = TrainingData(X, Y)
    undisturbed, state = start(net, spec), start(net, spec)
    for _ in train(net, data, spec, undisturbed, seed=7):
        pass

    for _ in range(20):
        next(train(net, data, spec, state, seed=7, interrupt=lambda: True, steps_at_once=1), None)
        state = checkpoints.load(checkpoints.dump(state, net), net)

    assert state.epoch == 2
    assert state.parameters.tobytes() == undisturbed.parameters.tobytes()


def test_a_step_on_images_allocates_nothing_that_grows_with_the_batch() -> None:
    net = shaped((12, 12, 2), *STACK, layer("conv2d", filters=2, kernel_size=2), layer("global_max_pool"))
    workspace = Workspace(net, net.initial_parameters(seed=1, dtype="float32"), rows=512, input_gradient=True)
    plan = workspace.cut(512).step(scale=1 / 512)
    calls.run(plan)

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    calls.run(plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak - before < 100_000 < 512 * 12 * 12 * 4  # NumPy's own buffers


def test_a_networks_scratch_is_known_before_it_is_there() -> None:
    net = shaped(IMAGE, layer("conv2d", filters=3, kernel_size=3, padding="same", activation="relu"), layer("max_pool"))
    workspace = Workspace(net, net.initial_parameters(seed=1, dtype="float32"), rows=5)

    by_row = sum(array.size for arrays in workspace.scratch for array in arrays.values())
    fixed = sum(array.size for arrays in workspace.fixed_scratch for array in arrays.values())

    assert by_row == 5 * net.scratch_width
    assert fixed == net.fixed_scratch_size
    assert fixed < 8 * base.BLOCK_NUMBERS


@pytest.mark.parametrize("shape", [(64, 64, 3), (1, 50_000, 1), (512, 2, 2)])
@pytest.mark.parametrize("options", [{"kernel_size": 1, "stride": 60, "padding": 1}, {"kernel_size": 3, "padding": 4}])
def test_scratch_keeps_to_its_room_whatever_the_shape(shape: Shape, options: dict[str, Any]) -> None:
    [conv, _] = stack([layer("conv2d", filters=2, **options)], shape)
    assert isinstance(conv, Convolution)

    one = sum(np.prod(each) for each in conv.fixed_scratch().values()) / conv.block
    assert one * conv.block <= max(5 * base.BLOCK_NUMBERS, one)


# What can't be -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "spec", "message"),
    [
        (
            (64,),
            layer("conv2d", filters=2, kernel_size=3),
            r"\[0\]: expected an input of shape \[height, width, channels",
        ),
        ((8, 8, 1), layer("conv1d", filters=2, kernel_size=3), r"\[0\]: .* \[time, channels\], got \[8, 8, 1\]"),
        ((4, 4, 1), layer("conv2d", filters=2, kernel_size=5), r"kernel_size: .* 4 × 4 .* reaches over 5 × 5"),
        ((4, 1), layer("conv1d", filters=2, kernel_size=3, dilation=2), r"kernel_size: .* input of 4 .* over 5"),
        ((4, 4, 3), layer("conv2d", filters=2, kernel_size=1, groups=2), "groups: .* 3 channels of the input, got 2"),
        ((4, 4, 4), layer("conv2d", filters=3, kernel_size=1, groups=2), "groups: .* 3 filters, got 2"),
        ((7,), layer("max_pool"), r"\[0\]: expected an input of shape .*, got \[7\]"),
        ((8, 8, 1), layer("max_pool", size=[2]), "size: expected one number, or 2"),
        ((8, 1), layer("average_pool", size=2, stride=[1, 1]), "stride: expected one number, or 1"),
        ((8, 1), layer("max_pool", size=9), "size: expected a window that fits"),
        ((8, 1), layer("max_pool", size=3, padding=2), r"padding: expected at most half of the size \[3\], got \[2\]"),
        ((7,), layer("global_max_pool"), r"\[0\]: expected an input of shape"),
        ((6,), layer("reshape", shape=[4, -1]), r"shape: .* the 6 numbers of \[6\], got \[4, -1\]"),
        ((6,), layer("reshape", shape=[5]), r"shape: .* the 6 numbers of \[6\], got \[5\]"),
        ((6,), layer("reshape", shape=[-1, -1]), "shape: expected sizes from 1, at most one of them −1"),
        ((6,), layer("reshape", shape=[0, 6]), "shape: expected sizes from 1"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_by_name(shape: Shape, spec: LayerSpec, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        stack([spec], shape)


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 0},
        {"kernel_size": 0},
        {"kernel_size": [1, 2, 3]},
        {"stride": 0},
        {"padding": "full"},
        {"padding": -1},
    ],
)
def test_an_option_that_can_not_be_right_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        layer("conv2d", **{"filters": 2, "kernel_size": 2, **options})


@pytest.mark.parametrize("init", ["he_normal", "glorot_normal", "lecun_normal"])
def test_a_filters_fan_is_its_window(init: str) -> None:
    [conv, _] = stack([layer("conv2d", filters=40, kernel_size=5, groups=2, init=init)], (8, 8, 20))
    values = {key: np.zeros(shape) for key, shape in conv.parameters().items()}

    conv.initialize(values, np.random.default_rng(0))

    n_in, n_out = 5 * 5 * 10, 5 * 5 * 20
    variance = {"he_normal": 2 / n_in, "glorot_normal": 2 / (n_in + n_out), "lecun_normal": 1 / n_in}[init]
    assert values["W"].std() == pytest.approx(np.sqrt(variance), rel=0.03)
