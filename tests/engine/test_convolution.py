"""Layers of images and sequences: against nudges, against PyTorch, and whatever shape one asks for."""

from typing import Any

import numpy as np
import pytest

from engine.layers import LAYERS, LayerSpec
from engine.network import Network
from engine.parameters import Array, Shape
from tests.engine.factories import dense, loss_of, rows, targets
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
