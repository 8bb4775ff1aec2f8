"""Networks put together at random from everything the engine has, against PyTorch's outputs and derivatives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from engine.layers import LAYERS, LayerSpec
from engine.losses import LOSSES
from engine.network import Network
from engine.parameters import Array
from engine.workspace import Workspace
from tests.engine.factories import loss_of
from tests.engine.reference import drawing

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "random_networks.json").read_text(encoding="utf-8")
)["cases"]
LAYER_SPECS: TypeAdapter[list[LayerSpec]] = TypeAdapter(list[LayerSpec])


def built(case: dict[str, Any]) -> Network:
    loss = dict(case["loss"])
    return Network.build(
        LAYER_SPECS.validate_python(case["layers"]),
        input_shape=tuple(case["input_shape"]),
        loss=loss_of(loss.pop("type"), **loss),
    )


def passed(case: dict[str, Any], network: Network, *, shared: bool) -> Workspace:
    """A workspace after both passes of the case's batch, with the case's parameters."""
    seed, m = case["seed"], case["m"]
    flat = network.flatten(
        {name: drawing.parameter(seed, name, tuple(shape)) for name, shape in case["shapes"].items()}, dtype="float64"
    )
    options = {"training": case["training"], "weighted": case["weighted"], "shared": shared}
    workspace = Workspace(network, flat, rows=m, input_gradient=True, **options)
    batch = workspace.cut(m)
    batch.X[...] = drawing.inputs(seed, m, tuple(case["input_shape"]), case["levels"]).reshape(batch.X.shape)
    batch.Y[...] = drawing.targets(seed, case["targets"], m, network.n_out)
    if workspace.weights is not None:
        workspace.weights[...] = drawing.weights(seed, m)
    batch.forward()
    return workspace


def assert_agrees(case: dict[str, Any], *, shared: bool) -> None:
    network, m = built(case), case["m"]
    assert {name: list(shape) for name, shape in network.layout.shapes.items()} == case["shapes"]
    workspace = passed(case, network, shared=shared)
    batch = workspace.cut(m)
    assert batch.example_losses().mean() == pytest.approx(case["mean_loss"], rel=1e-10, abs=1e-12)
    assert_same(case, case["values"], {"A": batch.A, **network.views(workspace.parameters)})

    batch.backward(scale=1 / m)

    found = network.views(workspace.gradient) | {"A.0": workspace.derivatives[0]}
    assert_same(case, case["gradients"], {f"d{name}": gradient for name, gradient in found.items()}, prefix="d")


def assert_same(
    case: dict[str, Any], expected: dict[str, list[float]], found: dict[str, Array], *, prefix: str = ""
) -> None:
    """Every tensor's norm and product with a random direction, as precise as the largest of them."""
    size = max(norm for norm, _ in expected.values())
    for name, summary in expected.items():
        label = f"{prefix}{name}"
        mine = drawing.summary(case["seed"], label, found[label])
        np.testing.assert_allclose(mine, summary, rtol=1e-9, atol=1e-10 * size, err_msg=label)


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "unshared"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["seed"]))
def test_a_random_network_gives_what_pytorch_gives(case: dict[str, Any], shared: bool) -> None:
    assert_agrees(case, shared=shared)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["seed"]))
def test_a_backward_pass_reads_only_what_its_layer_says_it_reads(case: dict[str, Any]) -> None:
    network, m = built(case), case["m"]
    expected, found = (passed(case, network, shared=False) for _ in range(2))
    layers = network.layers
    for place in range(1, len(layers) - 1):
        if "x" not in layers[place].backward_reads and "y" not in layers[place - 1].backward_reads:
            found.outputs[place].fill(np.nan)

    for workspace in (expected, found):
        workspace.cut(m).backward(scale=1 / m)

    np.testing.assert_array_equal(found.gradient, expected.gradient)
    np.testing.assert_array_equal(found.derivatives[0], expected.derivatives[0])


def test_the_random_networks_hold_every_layer_and_loss() -> None:
    def kinds(layers: list[dict[str, Any]]) -> set[str]:
        return {each["type"] for each in layers}.union(*(kinds(each.get("layers", [])) for each in layers))

    assert set().union(*(kinds(case["layers"]) for case in CASES)) == set(LAYERS)
    assert {case["loss"]["type"] for case in CASES} == set(LOSSES)
