"""Every activation on its own: PyTorch's numbers, the tails, the kinks, and how few passes it takes."""

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine import checkpoints
from engine.inspection.nudge import check
from engine.layers import ACTIVATIONS, Activation, ActivationLayerSpec, Slot
from engine.parameters import Array, Shape
from engine.plans import run
from engine.training import EpochReport, StepReport, train
from tests.engine.factories import clusters, dense, network, rows, start, targets, training
from tests.engine.test_gradients import passed

REFERENCE = json.loads((Path(__file__).parent / "reference" / "activations.json").read_text())
GRID = np.array(REFERENCE["Z"])
VARIANTS: dict[str, dict[str, Any]] = {
    **{name: {"type": name} for name in ACTIVATIONS},
    "elu, alpha 0.5": {"type": "elu", "alpha": 0.5},
    "elu, alpha 1.7": {"type": "elu", "alpha": 1.7},
    "gelu, tanh": {"type": "gelu", "approximate": "tanh"},
    "prelu, shared": {"type": "prelu", "shared": True},
}
ELEMENTWISE = [name for name in VARIANTS if name != "softmax"]
PASSES = {
    "identity": (1, 1),
    "relu": (1, 2),
    "relu6": (1, 4),
    "leaky_relu": (2, 4),
    "prelu": (4, 7),
    "elu": (4, 2),
    "selu": (6, 5),
    "gelu": (40, 4),
    "gelu, tanh": (8, 9),
    "silu": (5, 4),
    "mish": (7, 8),
    "softplus": (4, 4),
    "exponential": (1, 1),
    "sigmoid": (4, 3),
    "hard_sigmoid": (3, 4),
    "tanh": (1, 3),
    "hard_tanh": (1, 3),
    "softsign": (3, 2),
}
"""How many calls a forward and a backward pass make in float64."""
KINKS = {
    "relu": [0],
    "leaky_relu": [0],
    "prelu": [0],
    "relu6": [0, 6],
    "prelu, shared": [0],
    "elu": [0],
    "elu, alpha 0.5": [0],
    "elu, alpha 1.7": [0],
    "selu": [0],
    "softsign": [0],
    "hard_sigmoid": [-3, 3],
    "hard_tanh": [-1, 1],
}


def activation(spec: dict[str, Any], shape: Shape) -> Activation:
    kind = ACTIVATIONS[spec["type"]]
    return kind(shape, kind.spec.model_validate(spec))


def slot_of(layer: Activation, Z: Array, dA: Array, *, in_place: bool = False, **params: Any) -> Slot:
    """A slot of a batch's own arrays; in place, of as few as the layer allows."""
    m, dtype = len(Z), Z.dtype
    overwrites = in_place and "x" not in layer.backward_reads
    x, dy = Z.copy(), dA.copy()
    values = {letter: np.zeros(shape, dtype) for letter, shape in layer.parameters().items()}
    layer.initialize(values, np.random.default_rng(0))
    values = {letter: -each for letter, each in values.items()}  # so that A does not show the sign of Z
    return Slot(
        x=x,
        y=x if overwrites else np.full_like(Z, np.nan),
        dx=dy if in_place else np.full_like(Z, np.nan),
        dy=dy,
        params=values | {letter: np.array(each, dtype) for letter, each in params.items()},
        grads={letter: np.full(shape, np.nan, dtype) for letter, shape in layer.parameters().items()},
        state={},
        scratch={name: np.full((m, *shape), np.nan, dtype) for name, shape in layer.scratch().items()}
        | {name: np.full(shape, np.nan, dtype) for name, shape in layer.fixed_scratch().items()},
        draw=None,
    )


def through(layer: Activation, slot: Slot) -> tuple[Array, Array | None]:
    """A and dZ after both passes, A as it was before the backward one."""
    with np.errstate(all="ignore"):
        run(layer.forward(slot))
        A = slot.y.copy()
        run(layer.backward(slot))
    return A, slot.dx


def both(spec: dict[str, Any], Z: Array, dA: Array | None = None, **options: Any) -> tuple[Array, Array]:
    layer = activation(spec, Z.shape[1:])
    A, dZ = through(layer, slot_of(layer, Z, np.ones_like(Z) if dA is None else dA, **options))
    assert dZ is not None
    return A, dZ


# PyTorch's numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFERENCE["elementwise"])
def test_every_value_and_slope_is_pytorchs(name: str) -> None:
    case = REFERENCE["elementwise"][name]

    A, dZ = both(case["spec"], GRID[:, None])

    np.testing.assert_allclose(A[:, 0], case["A"], rtol=1e-14, atol=4e-15)  # PyTorch's 1 + tanh loses the tail
    np.testing.assert_allclose(dZ[:, 0], case["slope"], rtol=1e-14, atol=4e-15)


@pytest.mark.parametrize("name", REFERENCE["elementwise"])
def test_single_precision_is_as_good_as_it_can_be(name: str) -> None:
    case = REFERENCE["elementwise"][name]
    near = (np.abs(GRID) <= 80) & (np.abs(GRID - np.round(GRID)) != 1e-9)  # what rounds onto a kink is on it
    Z = GRID[near].astype("float32")[:, None]
    expected = both(case["spec"], Z.astype("float64"))

    for found, exact in zip(both(case["spec"], Z), expected, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, exact, rtol=6e-6 if name == "exponential" else 6e-7, atol=2e-6)


@pytest.mark.parametrize("name", REFERENCE["prelu"])
def test_a_learned_slope_and_its_derivative_are_pytorchs(name: str) -> None:
    case = REFERENCE["prelu"][name]
    layer = activation({"type": "prelu", "shared": case["shared"]}, (4,))
    slot = slot_of(layer, np.array(case["Z"]), np.array(case["dA"]), slope=case["slope"])

    A, dZ = through(layer, slot)

    np.testing.assert_allclose(A, case["A"], rtol=1e-15)
    np.testing.assert_allclose(dZ, case["dZ"], rtol=1e-15)
    np.testing.assert_allclose(slot.grads["slope"], case["dslope"], rtol=1e-14)


# Tails -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [100.0, 1000.0, 1e6])
def test_far_out_nothing_becomes_undefined(name: str, dtype: str, size: float) -> None:
    Z = np.array([[-size, size, 0.0]], dtype)

    A, dZ = both(VARIANTS[name], Z)

    if name == "exponential":
        assert A[0, 0] == dZ[0, 0] < 1e-40
    else:
        assert np.isfinite(A).all()
        assert np.isfinite(dZ).all()
        assert (np.abs(dZ) <= 2).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_undefined_stays_visible(name: str) -> None:
    A, _ = both(VARIANTS[name], np.array([[np.nan]]))

    assert np.isnan(A).all()


@pytest.mark.parametrize("name", VARIANTS)
def test_outputs_keep_to_their_range(name: str) -> None:
    A, _ = both(VARIANTS[name], np.linspace(-30, 30, 241)[:, None] * np.array([1.0, -0.5]))

    kind = ACTIVATIONS[VARIANTS[name]["type"]]
    if kind.range == "positive":
        assert (A > 0).all()
    elif kind.range == "any":
        assert A.min() < 0 or A.max() > 1 or name == "relu"
    else:
        assert ((A >= 0) & (A <= 1)).all()


def test_the_exact_gelu_has_a_small_relative_error_also_in_its_tail() -> None:
    Z = np.linspace(-6, 6, 4801)

    A, _ = both({"type": "gelu"}, Z[:, None])

    expected = np.array([0.5 * z * math.erfc(-z / math.sqrt(2)) for z in Z.tolist()])
    relative = np.abs(A[:, 0] - expected)[Z != 0] / np.abs(expected[Z != 0])
    assert (relative <= 1e-15 * (1 + 0.25 * Z[Z != 0] ** 2)).all()  # Z² is rounded before the exponential


def test_softplus_keeps_its_relative_accuracy_where_it_is_small() -> None:
    A, dZ = both({"type": "softplus"}, np.array([[-30.0, -100.0, -700.0]]))

    np.testing.assert_allclose(A[0], np.exp([-30.0, -100.0, -700.0]), rtol=1e-12)
    np.testing.assert_allclose(dZ[0], np.exp([-30.0, -100.0, -700.0]), rtol=1e-12)


# Kinks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_pieces_change_where_the_derivative_jumps_or_bends_and_nowhere_else(name: str) -> None:
    layer = activation(VARIANTS[name], (1,))
    Z = np.linspace(-8, 8, 1601)[:, None] + 0.005

    slot = slot_of(layer, Z, np.ones_like(Z))
    _, dZ = through(layer, slot)

    pieces, jumps = layer.pieces(slot), np.flatnonzero(np.abs(np.diff(dZ[:, 0])) > 0.1)
    changes = [] if pieces is None else np.flatnonzero(np.diff(pieces[:, 0].astype(int))).tolist()
    np.testing.assert_allclose(Z[changes, 0] + 0.005, KINKS.get(name, []), atol=1e-9)
    if name != "exponential":
        assert set(jumps) <= set(changes)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_nudge_check_finds_no_mismatch(name: str) -> None:
    net = network(dense(6, VARIANTS[name]), dense(3, "softmax"))
    X = rows(9, seed=3) * 3
    X[0] = 0  # and with it the first row's Z, where many an activation bends

    found = check(net, net.initial_parameters(seed=1, dtype="float64"), X, targets("cross_entropy", 9, 3), samples=30)

    assert set(found.verdicts) <= {"ok", "kink", "below_noise"}
    assert found.verdicts["ok"] > 30


# As a part of a network --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PASSES)
def test_no_pass_makes_more_calls_than_it_needs(name: str) -> None:
    layer = activation(VARIANTS[name], (3,))
    slot = slot_of(layer, rows(2, 3), rows(2, 3))

    assert (len(list(layer.forward(slot))), len(list(layer.backward(slot)))) == PASSES[name]


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(ELEMENTWISE),
    m=st.integers(1, 7),
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 1000),
)
def test_any_shape_and_any_sharing_of_arrays_gives_the_same_bits(
    name: str, m: int, shape: tuple[int, ...], seed: int
) -> None:
    random = np.random.default_rng(seed)
    Z, dA = random.normal(size=(m, *shape)) * 4, random.normal(size=(m, *shape))

    apart, in_place = both(VARIANTS[name], Z, dA), both(VARIANTS[name], Z, dA, in_place=True)
    flat = both(VARIANTS[name], Z.reshape(-1, shape[-1]), dA.reshape(-1, shape[-1]))

    for left, right, in_rows in zip(apart, in_place, flat, strict=True):
        assert left.tobytes() == right.tobytes()
        np.testing.assert_allclose(left, in_rows.reshape(left.shape), rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("m", [1, 2, 7])
def test_shared_and_unshared_workspaces_give_the_same_bits(name: str, m: int) -> None:
    own = ActivationLayerSpec.model_validate({"activation": VARIANTS[name]})
    net = network(own, dense(5, VARIANTS[name]), own, dense(4, VARIANTS[name]), dense(3, "softmax"))
    flat, X = net.initial_parameters(seed=1, dtype="float32"), rows(m, dtype="float32")
    Y = targets("cross_entropy", m, 3)
    flat *= -0.1  # four exponentials stand on each other; and where slopes are negative, A does not show Z's sign

    shared, unshared = (passed(net, flat, X, Y, shared=is_shared) for is_shared in (True, False))

    assert shared.gradient.any()
    np.testing.assert_array_equal(shared.gradient, unshared.gradient)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_pass_allocates_nothing(name: str) -> None:
    layer = activation(VARIANTS[name], (64,))
    slot = slot_of(layer, rows(512, 64), rows(512, 64))
    plan = [*layer.forward(slot), *layer.backward(slot)]
    run(plan)

    tracemalloc.start()
    run(plan)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < slot.x.nbytes / 2  # NumPy's own buffer for mixed types, of fixed size, is allowed


def test_nothing_goes_back_where_nobody_asks() -> None:
    for name, spec in VARIANTS.items():
        layer = activation(spec, (3,))
        slot = slot_of(layer, rows(4, 3), rows(4, 3))
        slot.dx = None

        through(layer, slot)

        assert all(np.isfinite(gradient).all() for gradient in slot.grads.values()), name


# The learned slope -------------------------------------------------------------------------------------------------


def test_a_dense_layers_own_slopes_share_its_number_and_another_layers_have_their_own() -> None:
    alone = ActivationLayerSpec.model_validate({"activation": {"type": "prelu", "shared": True}})
    net = network(dense(5, "prelu"), alone, dense(3, "softmax"))

    assert net.shapes == {"W.1": (4, 5), "b.1": (5,), "slope.1": (5,), "slope.2": (1,), "W.3": (5, 3), "b.3": (3,)}
    assert net.boundary_names == ("A.0", "Z.1", "A.1", "A.2", "Z.3", "A.3")


def test_slopes_start_where_they_are_told_and_the_penalty_leaves_them_alone() -> None:
    net = network(dense(5, {"type": "prelu", "slope": 0.1}), dense(3, "softmax"))
    spec = training(epochs=1, l2=1000.0, dtype="float64", optimizer={"type": "sgd", "learning_rate": 1e-6})
    state = start(net, spec)
    before = net.views(state.parameters.copy())

    list(train(net, clusters(dtype="float64"), spec, state, seed=7))

    after = net.views(state.parameters)
    assert before["slope.1"].tolist() == [0.1] * 5
    np.testing.assert_allclose(after["slope.1"], 0.1, rtol=1e-3)
    assert np.abs(after["W.1"]).sum() < 0.999 * np.abs(before["W.1"]).sum()


def test_a_slope_can_be_nudged_by_its_address() -> None:
    net = network(dense(5, "prelu"), dense(3, "softmax"))

    found = check(
        net,
        net.initial_parameters(seed=1, dtype="float64"),
        rows(9),
        targets("cross_entropy", 9, 3),
        targets=["slope.1[2]"],
    )

    assert found.nudges[0].verdict == "ok"
    assert found.nudges[0].analytic != 0


def test_a_training_of_slopes_stopped_and_resumed_ends_with_the_same_bits() -> None:
    net = network(dense(8, "prelu"), dense(6, {"type": "prelu", "shared": True}), dense(3, "softmax"))
    spec, data = training(shards=3), clusters()
    undisturbed, state = start(net, spec), start(net, spec)

    list(train(net, data, spec, undisturbed, seed=7))
    last: EpochReport | StepReport | None = None
    while not (isinstance(last, EpochReport) and last.reason):
        last = next(train(net, data, spec, state, seed=7, interrupt=lambda: True, steps_at_once=1))
        state = checkpoints.load(checkpoints.dump(state, net), net)

    assert state.parameters.tobytes() == undisturbed.parameters.tobytes()
    assert (net.views(state.parameters)["slope.1"] != 0.25).all()


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "elu", "alpha": 0},
        {"type": "prelu", "slope": 2},
        {"type": "prelu", "shared": 3},
        {"type": "gelu", "approximate": "sigmoid"},
        {"type": "relu6", "slope": 0.1},
    ],
)
def test_a_bad_option_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        dense(5, spec)
