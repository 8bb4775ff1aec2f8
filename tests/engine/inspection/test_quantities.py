"""The catalogue's quantities, each against the plain way to compute it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import DataError, SpecError
from engine.inspection import inspect
from engine.inspection.quantities import QUANTITIES, Options, Pass, examples, gradients, run_pass
from engine.inspection.quantities.tic import criterion
from engine.inspection.quantities.units import STEEPEST
from engine.layers import ACTIVATIONS, LayerNormSpec
from engine.losses import LOSSES
from engine.network import Network
from engine.parameters import Array
from engine.training import TrainingData, train
from tests.engine.factories import HEADS, dense, head_of, loss_of, network, rows, start, targets, training
from tests.engine.inspection.naive import Naive, alpha
from tests.engine.reference import drawing
from tests.engine.test_random_networks import CASES, built

NAMES = (
    "example_loss",
    "example_gradient",
    "example_norm",
    "example_share",
    "gram",
    "cosine",
    "second_moment",
    "variance",
    "gsnr",
    "norm_test",
    "inner_product_test",
    "orthogonality_test",
    "cabs",
    "stopping_evidence",
    "cancellation",
)
"""Those the naive loop tells from gradients at one point."""
UNITS = ("dead_share", "saturated_share", "dead_units", "saturated_units", "mean_slope", "zero_share")
FIRST_ORDER = (*NAMES, "alpha", *UNITS, "penalty")
WEIGHTS = np.array([2.0, 0, 1, 3, 0.5, 1])


def assert_naive(net: Network, X: Array, Y: Array, *, weights: Array | None = None, seed: int = 3) -> None:
    """Every quantity of a pass is that of the examples' own gradients, formed one by one."""
    flat = net.initial_parameters(seed=seed, dtype="float64")
    flat += np.random.default_rng(seed).normal(scale=0.1, size=flat.shape)
    expected = Naive.of(net, flat, X, Y, weights).expected(learning_rate=0.1)

    found = inspect(net, flat, X, Y, quantities=NAMES, weights=weights, options=Options(learning_rate=0.1)).tensors

    assert set(found) == set(expected)
    for name, value in expected.items():
        size = np.abs(value)[np.isfinite(value)].max(initial=0)
        rounding = 1e-7 if name.endswith("_test") else 1e-11 * size  # a test is the root of a difference
        np.testing.assert_allclose(found[name], value, rtol=1e-8, atol=rounding, err_msg=name)


# Dense networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_every_activation_gives_the_naive_loops_numbers(activation: str, weights: Array | None) -> None:
    net = network(dense(5, activation), dense(4, activation, use_bias=False), dense(3, "softmax"))

    assert_naive(net, rows(6), targets("cross_entropy", 6, 3), weights=weights)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_every_loss_gives_the_naive_loops_numbers(loss: str, weights: Array | None) -> None:
    net = network(dense(5), dense(3, head_of(loss)), loss=loss)

    assert_naive(net, rows(6), targets(loss, 6, 3), weights=weights)


@pytest.mark.parametrize("depth", range(1, 6))
@pytest.mark.parametrize("head", HEADS)
def test_every_depth_gives_the_naive_loops_numbers(depth: int, head: str) -> None:
    net = network(*[dense(5, "relu")] * (depth - 1), dense(3, head), loss=HEADS[head])

    assert_naive(net, rows(9), targets(HEADS[head], 9, 3), seed=depth)


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
@pytest.mark.parametrize("size", [30.0, 2000.0], ids=["rounded", "beyond all doubt"])
def test_saturated_logits_give_the_naive_loops_numbers(head: str, size: float) -> None:
    net = network(dense(5, "relu"), dense(3, head), loss=HEADS[head])

    assert_naive(net, rows(6) * size, targets(HEADS[head], 6, 3))


def test_exact_zeros_give_the_naive_loops_numbers() -> None:
    net, X = network(dense(6, "relu"), dense(3, "softmax")), rows(6)
    X[:2], X[:, 3] = 0, 0

    assert_naive(net, X, targets("cross_entropy", 6, 3))


def test_a_variance_is_never_below_zero() -> None:
    net = network(dense(50), dense(3, "softmax"))
    X, Y = np.repeat(rows(1), 7, axis=0), np.repeat(targets("cross_entropy", 1, 3), 7, axis=0)
    flat = net.initial_parameters(seed=3, dtype="float64")

    found = inspect(net, flat, X, Y, quantities=["variance", "norm_test"]).tensors

    assert min(tensor.min() for tensor in found.values()) >= 0
    assert found["norm_test"] < 1e-7


def test_an_example_without_a_gradient_has_no_cosine() -> None:
    found = look(["cosine", "example_norm"], weights=WEIGHTS)

    assert found["example_norm"][1] == 0
    assert np.isnan(found["cosine"][1]).all()
    assert np.isfinite(found["cosine"][2:, 2:]).all()


def look(quantities: list[str], net: Network | None = None, *, m: int = 6, **more: Any) -> dict[str, Array]:
    net = net or network()
    flat = net.initial_parameters(seed=3, dtype="float64")
    return inspect(net, flat, rows(m), targets("cross_entropy", m, 3), quantities=quantities, **more).tensors


# Every other layer --------------------------------------------------------------------------------------------------

OTHERS = [case for case in CASES if case["m"] > 1][::4]


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: str(case["seed"]))
def test_every_kind_of_layer_gives_the_naive_loops_numbers(case: dict[str, Any]) -> None:
    net, seed, m = built(case), case["seed"], case["m"]
    X = drawing.inputs(seed, m, tuple(case["input_shape"]), case["levels"]).reshape(m, -1)

    assert_naive(net, X, drawing.targets(seed, case["targets"], m, net.n_out))


def test_those_networks_hold_every_layer_that_learns() -> None:
    def kinds(layers: list[dict[str, Any]]) -> set[str]:
        return {each["type"] for each in layers}.union(*(kinds(each.get("layers", [])) for each in layers))

    learning = {"batch_norm", "layer_norm", "rms_norm", "embedding", "category_embedding", "conv1d", "conv2d"}
    assert learning | {"dense", "gru", "lstm", "residual"} <= set().union(*(kinds(case["layers"]) for case in OTHERS))
    assert any(built(case).layers[place].start for case in OTHERS for place in built(case).learning)  # a projection


def test_a_gram_matrix_that_is_made_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(dense(3), LayerNormSpec(), dense(3, "softmax"))
    whole = look(["gram"], net)["gram"]

    monkeypatch.setattr(gradients, "MAXIMUM_NUMBERS", 2 * 6)  # two of the norm's γ and β at once

    np.testing.assert_allclose(look(["gram"], net)["gram"], whole, rtol=1e-12, atol=1e-15)


# PyTorch ------------------------------------------------------------------------------------------------------------

REFERENCE = json.loads((Path(drawing.__file__).parent / "quantities.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(REFERENCE["cases"])))
def test_every_quantity_is_what_pytorchs_gradients_say(number: int) -> None:
    case, rate = REFERENCE["cases"][number], REFERENCE["rate"]
    net, seed, m, shape = built(case), case["seed"], case["m"], tuple(case["input_shape"])
    flat = net.flatten(
        {name: drawing.parameter(seed, name, tuple(s)) for name, s in case["shapes"].items()}, dtype=float
    )
    X = drawing.inputs(seed, m, shape, case["levels"]) * case.get("size", 1)
    if case.get("zeros"):
        X[:2], X[:, -1] = 0, 0
    Y = drawing.targets(seed, case["targets"], m, net.n_out)
    weights = drawing.weights(seed, m)[:, 0] if case["weighted"] else None
    X = X.reshape(m, -1)
    learned = [f"d{name}" for name in net.shapes]
    gradient = inspect(net, flat, X, Y, quantities=learned, weights=weights).tensors
    after = flat.copy()
    after[: net.parameter_count] -= rate * np.concatenate([gradient[name].ravel() for name in learned])

    names = {"mean_gsnr": "gsnr"}
    quantities = [name for name in case["values"] if name not in names]
    options = Options(learning_rate=rate, after=after)
    found = inspect(net, flat, X, Y, quantities=quantities, weights=weights, options=options).tensors

    for name, expected in case["values"].items():
        mine = found.get(names.get(name, name))
        if name in ("second_moment", "variance", "gsnr"):
            mine = np.concatenate([found[f"{name}.{parameter}"].ravel() for parameter in net.shapes])
        if isinstance(expected, list):
            np.testing.assert_allclose(
                drawing.summary(seed, name, mine), expected, rtol=1e-9, atol=1e-9 * abs(expected[0]), err_msg=name
            )
        else:
            assert float(mine) == pytest.approx(expected, rel=1e-6, abs=1e-7), name


# What the passes themselves do not tell ----------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("rate", [0.01, 1.0, 8.0])
def test_alpha_is_that_of_the_parabola_through_both_ends(rate: float, weights: Array | None) -> None:
    net, X, Y = network(), rows(6), targets("cross_entropy", 6, 3)
    flat = net.initial_parameters(seed=3, dtype="float64")
    start = Naive.of(net, flat, X, Y, weights)
    step = -rate * start.g.mean(axis=0)
    end = Naive.of(net, flat + step, X, Y, weights)

    options = Options(after=flat + step)
    found = inspect(net, flat, X, Y, quantities=["alpha"], weights=weights, options=options).tensors["alpha"]

    assert found == pytest.approx(alpha(start, end, step), rel=1e-7)


def test_alpha_of_a_parabola_tells_floor_and_other_wall() -> None:
    """½(w − y)² has its floor at the mean of y, and falls towards it along a line."""
    net, X = network(dense(1, "identity", use_bias=False), n_in=1, loss="half_squared_error"), np.ones((3, 1))
    Y = np.array([[1.0], [2.0], [3.0]])

    def at(after: float) -> float:
        options = Options(after=np.array([after]))
        return float(inspect(net, np.zeros(1), X, Y, quantities=["alpha"], options=options).tensors["alpha"])

    assert at(0) == -1
    assert at(2) == pytest.approx(0, abs=1e-8)
    assert at(4) == pytest.approx(1, rel=1e-8)


def test_alpha_takes_examples_that_agree_as_very_sure() -> None:
    net = network(dense(1, "sigmoid", use_bias=False), n_in=1, loss="half_squared_error")
    X, Y, after = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]]), np.array([3.0])
    start, end = (Naive.of(net, flat, X, Y) for flat in (np.zeros(1), after))

    found = inspect(net, np.zeros(1), X, Y, quantities=["alpha"], options=Options(after=after)).tensors

    assert start.losses.var() == 0
    assert found["alpha"] == pytest.approx(alpha(start, end, after), rel=1e-6)


def test_alpha_of_a_step_over_a_ridge_is_no_move() -> None:
    net = network(dense(1, "sigmoid", use_bias=False), n_in=1, loss="half_squared_error")
    X, Y = np.array([[1.0], [1.1]]), np.zeros((2, 1))

    options = Options(after=np.array([3.0]))
    found = inspect(net, np.array([2.0]), X, Y, quantities=["alpha"], options=options).tensors

    assert found["alpha"] == -1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_steepest_slope_is_that_of_a_nudge(activation: str) -> None:
    layer = ACTIVATIONS[activation]((2,), ACTIVATIONS[activation].spec())
    Z = np.linspace(-9, 9, 36_001)
    net = Network((layer,), LOSSES["half_squared_error"](loss_of("half_squared_error")), (2,))
    flat = net.initial_parameters(seed=1, dtype="float64")
    A = net.predict(flat, np.stack([Z, np.zeros_like(Z)], axis=1))[:, 0]

    steepest = np.abs(np.gradient(A, Z)).max()

    assert min(1, steepest) == pytest.approx(STEEPEST.get(activation, 1.0), rel=1e-3)


def test_dead_saturated_and_zero_are_counted_by_unit_and_element() -> None:
    net = network(dense(4, "relu"), dense(2, "tanh"), dense(2, "sigmoid"), n_in=1, loss="binary_cross_entropy")
    flat = np.zeros(net.parameter_count)
    views = net.views(flat)
    views["W.1"][...] = [[0, 1, 1, -1]]
    views["b.1"][...] = [-1, -1, 0.5, 0]  # dead; alive for one of four; alive for three; alive for one
    views["b.2"][...] = [30, 0]  # beyond rounding, so dead; in the middle
    views["b.3"][...] = [5, 0]  # flat, but not dead; in the middle
    X = np.array([[2.0], [0.5], [0.25], [-1.0]])

    found = inspect(net, flat, X, np.zeros((4, 2)), quantities=["dead_share", "saturated_share", "zero_share"]).tensors

    assert {name: float(value) for name, value in found.items()} == {
        "dead_share.A.1": 0.25,
        "dead_share.A.2": 0.5,
        "dead_share.A.3": 0,
        "saturated_share.A.1": 0.25,
        "saturated_share.A.2": 0.5,
        "saturated_share.A.3": 0.5,
        "zero_share.A.1": 11 / 16,
        "zero_share.A.2": 0.5,
        "zero_share.A.3": 0,
    }
    units = inspect(net, flat, X, np.zeros((4, 2)), quantities=["dead_units", "saturated_units", "mean_slope"]).tensors
    assert units["dead_units.A.1"].tolist() == [1, 0, 0, 0]
    assert units["dead_units.A.2"].tolist() == [1, 0]
    assert units["saturated_units.A.3"].tolist() == [1, 0]
    assert units["mean_slope.A.1"].tolist() == [0, 0.25, 0.75, 0.25]
    np.testing.assert_allclose(units["mean_slope.A.2"], [0, 1], atol=1e-12)


@pytest.mark.parametrize(("l1", "l2"), [(0.1, None), (None, 0.2), (0.1, 0.2)])
def test_the_gradient_and_the_penalty_are_what_an_update_is_made_of(l1: float | None, l2: float | None) -> None:
    net, X, Y = network(), rows(6), targets("cross_entropy", 6, 3)
    flat = net.initial_parameters(seed=3, dtype="float64")
    spec = training(
        optimizer={"type": "sgd", "learning_rate": 0.5}, epochs=1, batch_size=6, dtype="float64", l1=l1 or 0, l2=l2 or 0
    )
    state = start(net, spec)
    state.parameters[...] = flat

    list(train(net, TrainingData(X, Y), spec, state, seed=1))
    found = inspect(net, flat, X, Y, quantities=["dW", "db", "penalty"], options=Options(l1=l1, l2=l2)).tensors

    moved = net.views((flat - state.parameters) / 0.5)
    assert {"penalty.W.1", "penalty.W.2"} == set(found) - {"dW.1", "dW.2", "db.1", "db.2"}
    for name, value in moved.items():
        np.testing.assert_allclose(found[f"d{name}"] + found.get(f"penalty.{name}", 0), value, rtol=1e-9, atol=1e-12)


def test_the_input_gradient_is_each_examples_own_in_both_conventions() -> None:
    own = look(["dA.0", "input_gradient"])
    mean = look(["dA.0", "input_gradient"], convention="mean")

    np.testing.assert_array_equal(own["input_gradient"], own["dA.0"])
    np.testing.assert_allclose(mean["input_gradient"], mean["dA.0"] * 6, rtol=1e-12)


def test_takeuchis_criterion_of_least_squares_is_its_textbooks() -> None:
    """Of Y = X·W with half squared errors the Hessian's diagonal is the mean of X²."""
    net = network(dense(1, "identity", use_bias=False), loss="half_squared_error")
    flat, X, Y = net.initial_parameters(seed=3, dtype="float64"), rows(6), targets("half_squared_error", 6, 1)
    squares = ((X @ flat[:, None] - Y) * X) ** 2
    curvature = np.mean(X**2, axis=0)

    found = criterion("tic", Pass(run_pass(net, flat, X, Y, None)), {"W.1": curvature[:, None]})

    assert found["tic.diagonal"] == pytest.approx((squares.mean(axis=0) / (curvature + 1e-7)).sum(), rel=1e-12)
    assert found["tic.trace"] == pytest.approx(squares.mean(axis=0).sum() / (curvature.sum() + 1e-7), rel=1e-12)


# Questions ----------------------------------------------------------------------------------------------------------


def test_the_convention_changes_no_quantity() -> None:
    options = Options(learning_rate=0.1)
    own, mean = (look([*NAMES], convention=convention, options=options) for convention in ("per_example", "mean"))

    for name, value in own.items():
        np.testing.assert_allclose(mean[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_columns_reverse_the_axes_so_that_examples_come_last() -> None:
    ours, textbooks = (
        look(["example_gradient", "gram"], orientation=orientation) for orientation in ("rows", "columns")
    )

    assert textbooks["example_gradient.W.1"].shape == (5, 4, 6)
    np.testing.assert_array_equal(textbooks["example_gradient.W.1"][:, :, 2], ours["example_gradient.W.1"][2].T)
    np.testing.assert_array_equal(textbooks["example_gradient.b.1"], ours["example_gradient.b.1"].T)
    np.testing.assert_array_equal(textbooks["gram"], ours["gram"])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["variance.W.2"], {"variance.W.2"}),
        (["variance.b"], {"variance.b.1", "variance.b.2"}),
        (["variance.W.1", "dW.1", "gsnr.b.2"], {"variance.W.1", "dW.1", "gsnr.b.2"}),
        (["example_gradient.b.2"], {"example_gradient.b.2"}),
    ],
)
def test_a_part_of_a_quantity_can_be_asked_for(asked: list[str], found: set[str]) -> None:
    assert set(look(asked)) == found


@pytest.mark.parametrize("name", ["variance.W.3", "variance.gamma", "variance.", "norm_test.W.1"])
def test_a_part_that_is_not_there_lists_what_there_is(name: str) -> None:
    with pytest.raises(SpecError, match=r"quantities\[1\]: there is no") as caught:
        look(["dW", name])

    assert {"variance", "norm_test"} & set(caught.value.allowed)


@pytest.mark.parametrize(
    "name", ["norm_test", "inner_product_test", "orthogonality_test", "stopping_evidence", "alpha"]
)
def test_what_compares_examples_wants_two(name: str) -> None:
    with pytest.raises(DataError, match=rf"X: {name} compares examples: expected at least 2 rows, got 1"):
        look([name], m=1)


@pytest.mark.parametrize(("name", "option"), [("cabs", "learning_rate"), ("alpha", "after"), ("penalty", "l2")])
def test_an_option_that_is_missing_is_named(name: str, option: str) -> None:
    assert option in QUANTITIES[name].options
    with pytest.raises(SpecError, match=rf"options\.{option}: {name} wants .*, got none"):
        look([name])


def test_parameters_after_the_step_must_be_as_many() -> None:
    with pytest.raises(SpecError, match=r"options\.after: expected shape \[43\], got \[3\]"):
        look(["alpha"], options=Options(after=np.zeros(3)))


def test_gradients_that_are_too_many_are_refused_and_what_is_known_without_them_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examples, "MAXIMUM_NUMBERS", 6 * 20)

    with pytest.raises(SpecError, match="expected example_gradient of at most 120 numbers, got 258") as caught:
        look(["example_gradient"])

    assert {"example_norm", "gram"} <= set(caught.value.allowed)
    assert look(["example_gradient.W.1"])["example_gradient.W.1"].shape == (6, 4, 5)


def test_quantities_are_of_the_parameters_dtype() -> None:
    net = network()
    flat = net.initial_parameters(seed=1, dtype="float32")
    Y = targets("cross_entropy", 3, 3)
    options = Options(learning_rate=0.1, after=flat * 2, l1=0.1, l2=0.1)

    found = inspect(net, flat, rows(3), Y, quantities=[*FIRST_ORDER], options=options).tensors

    assert {tensor.dtype.name for tensor in found.values()} == {"float32"}
