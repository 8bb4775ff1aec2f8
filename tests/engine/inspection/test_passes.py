from typing import Any

import numpy as np
import pytest

from engine.errors import DataError, SpecError
from engine.inspection import inspect, quantity_names, shape_of
from engine.layers import DropoutSpec
from tests.engine.factories import HEADS, dense, network, rows, targets


def look(*, head: str = "softmax", loss: str | None = None, **questions: Any) -> Any:
    net = network(dense(5), DropoutSpec(rate=0.5), dense(3, head), loss=loss or HEADS[head])
    flat = net.initial_parameters(seed=3, dtype="float64")
    return inspect(net, flat, rows(6), targets(loss or HEADS[head], 6, 3), **{"quantities": ["dW"], **questions})


def test_a_bare_name_asks_for_every_layers() -> None:
    net = network(dense(5), DropoutSpec(rate=0.5), dense(3, "softmax"))

    assert quantity_names(net, ["dZ", "A", "dW.2", "layers.1.y", "loss"]) == (
        "dZ.1",
        "dZ.2",
        "A.0",
        "A.1",
        "A.2",
        "dW.2",
        "layers.1.y",
    )


def test_every_name_has_the_shape_it_says() -> None:
    net = network(dense(5), DropoutSpec(rate=0.5), dense(3, "softmax"))
    names = quantity_names(net, ["Z", "A", "dZ", "dA", "W", "b", "dW", "db", "layers.1.y", "layers.1.dy"])

    found = look(quantities=names)

    assert {name: shape_of(net, name, 6) for name in names} == {n: t.shape for n, t in found.tensors.items()}


@pytest.mark.parametrize("name", ["dQ", "W.3", "layers.0.y", "dloss", "Z.0", ""])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match=r"quantities\[1\]: there is no") as caught:
        look(quantities=["dW", name])

    assert {"dW", "layers.1.dy"} <= set(caught.value.allowed)


@pytest.mark.parametrize("head", HEADS)
def test_both_ways_through_the_head_give_the_same_gradient(head: str) -> None:
    shortcut, general = (look(head=head) if way == "auto" else look_general(head) for way in ("auto", "general"))

    assert (shortcut.head, general.head) == ("shortcut", "general")
    for name in shortcut.tensors:
        np.testing.assert_allclose(shortcut.tensors[name], general.tensors[name], rtol=1e-9, atol=1e-14)


def look_general(head: str) -> Any:
    net = network(dense(5), DropoutSpec(rate=0.5), dense(3, head), loss=HEADS[head])
    flat = net.initial_parameters(seed=3, dtype="float64")
    return inspect(net, flat, rows(6), targets(HEADS[head], 6, 3), quantities=["dW"], head="general")


def test_a_shortcut_where_there_is_none_is_refused() -> None:
    net = network(dense(3, "tanh"), loss="half_squared_error")

    with pytest.raises(DataError, match="head: expected a last layer of identity, behind which dZ comes from Z alone"):
        inspect(
            net,
            net.initial_parameters(seed=1, dtype="float64"),
            rows(2),
            rows(2, 3),
            quantities=["dW"],
            head="shortcut",
        )


def test_da_of_the_output_takes_its_components_as_independent() -> None:
    found = look(quantities=["A.2", "dA.2"])
    Y = targets("cross_entropy", 6, 3)

    np.testing.assert_allclose(found.tensors["dA.2"], -Y / found.tensors["A.2"], rtol=1e-12)


def test_float32_stays_float32() -> None:
    net = network()
    flat = net.initial_parameters(seed=1, dtype="float32")

    found = inspect(net, flat, rows(3, dtype="float32"), targets("cross_entropy", 3, 3), quantities=["dW"])

    assert {tensor.dtype.name for tensor in found.tensors.values()} == {"float32"}
