import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.errors import DataError
from engine.inspection import inspect
from engine.losses import LOSSES
from engine.options import Choice
from engine.plans import run
from engine.spec import RunSpec
from engine.workspace import Batch, Workspace
from tests.engine.factories import dense, head_of, loss_of, network, rows, targets

REFERENCE = json.loads((Path(__file__).parent / "reference" / "losses.json").read_text())
CASES = {f"{case['loss']} of {case['targets']}": case for case in REFERENCE["cases"]}
OPTIONS: list[dict[str, Any]] = [
    *({"type": name} for name in LOSSES),
    {"type": "huber", "delta": 0.3},
    {"type": "quantile", "quantile": 0.9},
    {"type": "binary_cross_entropy", "pos_weight": 3.5, "label_smoothing": 0.1},
    {"type": "cross_entropy", "label_smoothing": 0.1},
    {"type": "binary_focal", "gamma": 0.5, "alpha": None},
    {"type": "binary_focal", "gamma": 0},
    {"type": "focal", "gamma": 0.5},
    {"type": "focal", "gamma": 0},
]
"""Every loss, and those with options once more with others."""


def spec_of(options: dict[str, Any]) -> Choice:
    return loss_of(**{"name": options["type"], **options})


def headed(loss: str | Choice, activation: str, Z: Any, Y: Any, dtype: str = "float64", **more: Any) -> Batch:
    """A batch of a head whose Z is given, after its forward pass: one dense layer with W = I."""
    n = len(Z[0])
    net = network(dense(n, activation), n_in=n, loss=loss)
    parameters = net.flatten({"W.1": np.eye(n), "b.1": np.zeros(n)}, dtype=dtype)
    batch = Workspace(net, parameters, rows=len(Z), **more).cut(len(Z))
    batch.X[...], batch.Y[...] = Z, Y
    with np.errstate(all="ignore"):
        batch.forward()
    return batch


def head_losses(loss: str, activation: str, Z: list[list[float]], Y: list[list[float]], dtype: str) -> np.ndarray:
    """The example losses of a head whose Z is given."""
    batch = headed(loss, activation, Z, Y, dtype, gradients=False)
    with np.errstate(all="ignore"):
        return batch.example_losses().copy()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("head", ["shortcut", "general"])
def test_values_and_derivatives_are_pytorchs(name: str, head: Any) -> None:
    case = CASES[name]
    net = network(dense(3, case["head"]), n_in=3, loss=spec_of(case["loss"]))
    flat = net.flatten({"W.1": np.eye(3), "b.1": np.zeros(3)}, dtype="float64")

    found = inspect(net, flat, np.array(case["Z"]), np.array(case["Y"]), quantities=["dA", "dZ"], head=head)

    np.testing.assert_allclose(found.example_losses, case["losses"], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.tensors["dA.1"], case["dA"], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.tensors["dZ.1"], case["dZ"], rtol=1e-11, atol=1e-13)


def test_every_loss_has_its_numbers_from_pytorch() -> None:
    assert {case["loss"]["type"] for case in REFERENCE["cases"]} == set(LOSSES)


FAR = {
    "half_squared_error": ([1000, -1000], [0, 0], [5e5, 5e5], [1000, -1000]),
    "squared_error": ([1000, -1000], [0, 0], [1e6, 1e6], [2000, -2000]),
    "absolute_error": ([1000, -1000], [0, 0], [1000, 1000], [1, -1]),
    "huber": ([1000, -1000], [0, 0], [999.5, 999.5], [1, -1]),
    "log_cosh": ([1000, -1000], [0, 0], [1000 - np.log(2), 1000 - np.log(2)], [1, -1]),
    "quantile": ([1000, -1000], [0, 0], [500, 500], [0.5, -0.5]),
    "poisson": ([-1000, 0, 80], [2, 0, 2], [2000, 1, np.exp(80) - 160], [-2, 1, np.exp(80) - 2]),
    "gamma": ([1000, -80], [2, 2], [1000, 2 * np.exp(80) - 80], [1, 1 - 2 * np.exp(80)]),
    "binary_cross_entropy": ([1000, -1000, 1000, -1000], [0, 1, 1, 0], [1000, 1000, 0, 0], [1, -1, 0, 0]),
    "binary_focal": ([1000, -1000, 1000, -1000], [0, 1, 1, 0], [750, 250, 0, 0], [0.75, -0.25, 0, 0]),
    "hinge": ([1000, -1000, 1000, -1000], [0, 1, 1, 0], [1001, 1001, 0, 0], [1, -1, 0, 0]),
    "squared_hinge": ([1000, -1000, 1000, -1000], [0, 1, 1, 0], [1001**2, 1001**2, 0, 0], [2002, -2002, 0, 0]),
}
"""Z, Y, loss and dZ of one output each, far from zero."""
FAR_ROWS = {
    "cross_entropy": ([0, 0, 1], 2000, [1, 0, -1]),
    "kullback_leibler": ([0, 0, 1], 2000, [1, 0, -1]),
    "focal": ([0, 0, 1], 2000, [1, 0, -1]),
}
"""Y, loss and dZ of a row with Z = 1000, 0, −1000."""


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_loss_is_exact_far_from_zero(loss: str, dtype: str) -> None:
    if loss in FAR:
        Z, Y, losses, dZ = (np.array(values, float)[:, None] for values in FAR[loss])
    else:
        Y, losses, dZ = (np.atleast_2d(np.array(values, float)) for values in FAR_ROWS[loss])
        Z = np.array([[1000.0, 0.0, -1000.0]])
    batch = headed(loss, head_of(loss), Z, Y, dtype)

    with np.errstate(all="ignore"):
        found = batch.example_losses().copy()
        batch.backward()

    tolerance = 1e-14 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(found, losses.ravel(), rtol=tolerance)
    np.testing.assert_allclose(batch.head.dZ, dZ, rtol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("option", "loss"), [("pos_weight", 3000.0), ("label_smoothing", 900.0)])
def test_options_keep_binary_cross_entropy_exact_far_from_zero(option: str, loss: float, dtype: str) -> None:
    spec = loss_of("binary_cross_entropy", **{option: 3.0 if option == "pos_weight" else 0.2})
    batch = headed(spec, "sigmoid", [[-1000.0]], [[1.0]], dtype)

    batch.backward()

    assert batch.example_losses() == pytest.approx([loss], rel=1e-6)
    assert batch.head.dZ[0] == pytest.approx([-loss / 1000], rel=1e-6)


@pytest.mark.parametrize(("loss", "expected"), [("log_cosh", 5e-9), ("huber", 5e-9), ("squared_hinge", 0)])
def test_a_small_miss_keeps_its_small_loss(loss: str, expected: float) -> None:
    found = head_losses(loss, "identity", [[1.0001]], [[1.0]], "float64")

    assert found[0] == pytest.approx(expected, rel=1e-4)


def test_log_cosh_keeps_small_losses_in_float32() -> None:
    found = head_losses("log_cosh", "identity", [[0.001]], [[0.0]], "float32")

    assert found[0] == pytest.approx(5e-7, rel=1e-3)


@pytest.mark.parametrize(
    "options",
    [{"type": "quantile", "quantile": 0.9}, *({"type": name} for name in ("absolute_error", "huber", "log_cosh"))],
    ids=str,
)
def test_an_exact_fit_has_no_loss_and_no_slope(options: dict[str, Any]) -> None:
    batch = headed(spec_of(options), "identity", [[3.0]], [[3.0]])

    batch.backward()

    assert batch.example_losses().tolist() == [0.0]
    assert batch.head.dZ.tolist() == [[0.0]]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "binary_focal", "cross_entropy", "focal", "kullback_leibler"])
def test_a_certain_right_answer_costs_nothing_on_the_general_path(loss: str) -> None:
    head = "sigmoid" if loss.startswith("binary") else "softmax"
    batch = headed(loss, head, [[2000.0, -2000.0]], [[1.0, 0.0]], shared=False)

    with np.errstate(all="ignore"):
        run(batch.workspace.network.loss.from_A(batch.head))
        batch.backward(shortcut=False)

    assert batch.head.examples.tolist() == [0.0]
    assert batch.head.dZ.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m", [1, 2, 7])
def test_both_ways_agree_in_both_dtypes_for_any_number_of_rows(options: dict[str, Any], dtype: str, m: int) -> None:
    name = options["type"]
    Y = targets(name, m, 3, dtype=dtype)
    batch = headed(spec_of(options), head_of(name), rows(m, 3), Y, dtype, shared=False)
    loss = batch.workspace.network.loss
    short = batch.example_losses().copy()
    batch.backward()
    dZ = batch.head.dZ.copy()

    run(loss.from_A(batch.head))
    batch.backward(shortcut=False)

    tolerance = {"rtol": 1e-12, "atol": 1e-14} if dtype == "float64" else {"rtol": 3e-5, "atol": 1e-6}
    np.testing.assert_allclose(batch.head.examples, short, **tolerance)
    np.testing.assert_allclose(batch.head.dZ, dZ, **tolerance)
    assert batch.head.dZ.dtype == dtype


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_shared_and_unshared_workspaces_give_the_same_bits(options: dict[str, Any]) -> None:
    name, found = options["type"], []
    for shared in (True, False):
        batch = headed(spec_of(options), head_of(name), rows(7, 3), targets(name, 7, 3), "float32", shared=shared)
        losses = batch.example_losses().tobytes()
        batch.backward()
        found.append((losses, batch.workspace.gradient.tobytes()))

    assert found[0] == found[1]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shortcut", [True, False])
def test_no_call_allocates_what_grows_with_the_rows(options: dict[str, Any], shortcut: bool) -> None:
    m, name = 20_000, options["type"]
    batch = headed(spec_of(options), head_of(name), rows(m, 3), targets(name, m, 3))
    loss = batch.workspace.network.loss
    plan = [*loss.from_Z(batch.head), *loss.dZ(batch.head)] if shortcut else None
    plan = plan or [*loss.from_A(batch.head), *loss.dA(batch.head)]
    run(plan)

    tracemalloc.start()
    run(plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < m * 8


@settings(max_examples=60, deadline=None)
@given(
    options=st.sampled_from(OPTIONS),
    Z=st.lists(st.floats(-1000, 1000, width=32), min_size=3, max_size=3),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_a_loss_is_a_number_wherever_the_head_is_finite(options: dict[str, Any], Z: list[float], dtype: str) -> None:
    name = options["type"]
    if head_of(name) == "exponential":
        Z = [max(-80, min(80, number)) for number in Z]
    batch = headed(spec_of(options), head_of(name), [Z], targets(name, 1, 3), dtype)

    with np.errstate(all="ignore"):
        losses = batch.example_losses().copy()
        batch.backward()

    assert np.isfinite(losses).all()
    assert np.isfinite(batch.head.dZ).all()
    if name not in ("poisson", "gamma"):
        assert losses[0] >= -1e-6 * np.abs(Z).max()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_is_exact_far_from_zero(dtype: str) -> None:
    found = head_losses("binary_cross_entropy", "sigmoid", [[1000.0], [-1000.0], [1000.0]], [[0], [1], [1]], dtype)

    assert found.tolist() == [1000.0, 1000.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_is_exact_far_from_zero(dtype: str) -> None:
    Z, Y = [[1000.0, 0.0, -1000.0], [1000.0, 0.0, -1000.0]], [[0, 0, 1], [1, 0, 0]]

    assert head_losses("cross_entropy", "softmax", Z, Y, dtype).tolist() == [2000.0, 0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_confident_right_answer_keeps_its_tiny_loss(dtype: str) -> None:
    found = head_losses("binary_cross_entropy", "sigmoid", [[30.0]], [[1]], dtype)

    assert found[0] == pytest.approx(np.log1p(np.exp(-30.0)), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_out", [2, 5])
def test_both_ways_to_the_loss_agree(loss: str, n_out: int) -> None:
    net = network(dense(6), dense(n_out, head_of(loss)), loss=loss)
    batch = Workspace(net, net.initial_parameters(seed=1, dtype="float64"), rows=9, shared=False).cut(9)
    batch.X[...], batch.Y[...] = rows(9), targets(loss, 9, n_out)
    batch.forward()
    from_z = batch.example_losses().copy()

    run(net.loss.from_A(batch.head))

    np.testing.assert_allclose(batch.head.examples, from_z, rtol=1e-13)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_shortcut_and_the_general_path_give_the_same_gradient(loss: str) -> None:
    net = network(dense(6), dense(3, head_of(loss)), loss=loss)
    batch = Workspace(net, net.initial_parameters(seed=1, dtype="float64"), rows=9).cut(9)
    batch.X[...], batch.Y[...] = rows(9), targets(loss, 9, 3)
    batch.forward()

    batch.backward(shortcut=True)
    short = batch.workspace.gradient.copy()
    batch.backward(shortcut=False)

    np.testing.assert_allclose(batch.workspace.gradient, short, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "Y", "place"),
    [
        ("binary_cross_entropy", [[0.5, 1.0], [0.0, -0.1]], r"Y\[1\]\[1\]: expected a share from 0 to 1, got -0.1"),
        ("cross_entropy", [[1.0, 0.0], [0.5, 0.6]], r"Y\[1\]: expected shares .* sum of 1.1"),
        ("cross_entropy", [[np.nan, 0.0]], r"Y\[0\]\[0\]"),
        ("kullback_leibler", [[0.5, 0.6]], r"Y\[0\]: expected shares"),
        ("focal", [[0.5, 0.6]], r"Y\[0\]: expected shares"),
        ("poisson", [[0.0, -1.0]], r"Y\[0\]\[1\]: expected a number from 0 on, got -1"),
        ("gamma", [[2.0], [0.0]], r"Y\[1\]\[0\]: expected a number above 0, got 0"),
        ("hinge", [[-1.0]], r"Y\[0\]\[0\]: expected 0 or 1, got -1"),
        ("squared_hinge", [[0.5]], r"Y\[0\]\[0\]: expected 0 or 1, got 0.5"),
        ("binary_focal", [[0.5]], r"Y\[0\]\[0\]: expected 0 or 1, got 0.5"),
    ],
)
def test_targets_a_loss_is_not_defined_for_are_named(loss: str, Y: list[list[float]], place: str) -> None:
    with pytest.raises(DataError, match=place):
        LOSSES[loss](loss_of(loss)).check(np.array(Y))


@pytest.mark.parametrize(
    "loss",
    [
        {"type": "huber", "delta": 0},
        {"type": "quantile", "quantile": 1},
        {"type": "binary_cross_entropy", "pos_weight": 0},
        {"type": "binary_cross_entropy", "label_smoothing": 1},
        {"type": "cross_entropy", "label_smoothing": -0.1},
        {"type": "focal", "gamma": -1},
        {"type": "binary_focal", "alpha": 1},
        {"type": "hinge", "margin": 2},
    ],
)
def test_an_option_out_of_bounds_is_refused_by_its_place(loss: dict[str, Any]) -> None:
    option = next(name for name in loss if name != "type")

    with pytest.raises(ValidationError, match=rf"training\.loss\.{loss['type']}\.{option}"):
        RunSpec.model_validate({"target": "y", "training": {"loss": loss}})
