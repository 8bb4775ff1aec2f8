"""Second derivatives of the loss: PyTorch's numbers, nudges of the gradient, and what must hold of any matrix."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from engine.errors import OutOfTime, SpecError
from engine.inspection import inspect
from engine.inspection.quantities import Options, Pass, run_pass
from engine.inspection.quantities import chain as chains
from engine.inspection.quantities.chain import Split
from engine.inspection.quantities.curvature import operator
from engine.layers import ACTIVATIONS, LAYERS, ActivationLayerSpec, DropoutSpec, FlattenSpec, LayerSpec, ReshapeSpec
from engine.layers.residual import ResidualSpec
from engine.losses import LOSSES, Loss
from engine.network import Network
from engine.parameters import Array
from tests.engine.factories import dense, head_of, loss_of, network, rows, targets
from tests.engine.reference import drawing
from tests.engine.test_activations import VARIANTS
from tests.engine.test_gradients import DEFINED

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "curvature.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = REFERENCE["cases"]
LAYER_SPECS: TypeAdapter[list[LayerSpec]] = TypeAdapter(list[LayerSpec])
SECOND_ORDER = (
    "diag_ggn",
    "diag_hessian",
    "ggn_trace",
    "hessian_trace",
    "hessian_vector",
    "ggn_vector",
    "hessian_eigenvalues",
    "ggn_eigenvalues",
    "kronecker_factors",
)
NOT_CONVEX = {"focal", "binary_focal", "gamma"}
"""Losses that are not, of Z or of A."""


def case_of(net: Network, *, m: int = 5, seed: int = 4, dtype: str = "float64") -> tuple[Network, Array, Array, Array]:
    flat = net.initial_parameters(seed=seed, dtype="float64")
    flat += np.random.default_rng(seed).normal(scale=0.3, size=flat.size)
    X, Y = rows(m, net.n_in, seed=seed), targets(net.loss.spec.model_fields["type"].default, m, net.n_out)
    return net, *(array.astype(dtype) for array in (flat, X, Y))


def look(
    case: tuple[Network, Array, Array, Array], *quantities: str, weights: Array | None = None, **options: Any
) -> Any:
    return inspect(*case, quantities=quantities, weights=weights, options=Options(**options)).tensors


def matrix(
    case: tuple[Network, Array, Array, Array],
    *,
    split: Split | None = None,
    weights: Array | None = None,
    **options: Any,
) -> Array:
    """The whole matrix, column by column."""
    passed = Pass(run_pass(*case, weights), Options(**options))
    product = operator(passed, "matrix", split=split)
    return np.stack([product(column) for column in np.eye(case[0].parameter_count)], axis=1)


def flat_of(found: dict[str, Array], quantity: str, net: Network) -> Array:
    """What belongs to the parameters, as one vector."""
    return np.concatenate([found[f"{quantity}.{name}"].ravel() for name in net.shapes])


# PyTorch's numbers -------------------------------------------------------------------------------------------------


def stored(case: dict[str, Any]) -> tuple[tuple[Network, Array, Array, Array], Array | None]:
    seed, m, loss = case["seed"], case["m"], dict(case["loss"])
    specs = LAYER_SPECS.validate_python(case["layers"])
    net = Network.build(specs, input_shape=(case["n_in"],), loss=loss_of(loss.pop("type"), **loss))
    assert list(net.shapes) == case["parameters"]
    values = {name: drawing.parameter(seed, name, shape) for name, shape in net.shapes.items()}
    flat = net.flatten(
        {name: each * case["factor"] if name.startswith("W") else each for name, each in values.items()},
        dtype="float64",
    )
    X, Y = drawing.inputs(seed, m, (case["n_in"],), []), drawing.targets(seed, case["targets"], m, net.n_out)
    X[0] *= not case["starts_at_0"]
    return (net, flat, X, Y), drawing.weights(seed, m)[:, 0] if case["weighted"] else None


def assert_said(seed: int, expected: dict[str, list[float]], found: dict[str, Array], prefix: str, size: float) -> None:
    for name, summary in expected.items():
        mine = drawing.summary(seed, name, found[f"{prefix}.{name}"])
        np.testing.assert_allclose(mine, summary, rtol=1e-8, atol=1e-10 * size + 1e-13, err_msg=f"{prefix}.{name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["seed"]))
def test_the_hessian_is_pytorchs(case: dict[str, Any]) -> None:
    subject, weights = stored(case)
    expected, seed = case["hessian"], case["seed"]
    size = max(abs(expected["largest"]), abs(expected["smallest"]))
    v = {name: drawing.drawn(seed, f"v.{name}", shape) for name, shape in subject[0].shapes.items()}

    found = look(
        subject, "diag_hessian", "hessian_vector", "hessian_eigenvalues", "hessian_trace", weights=weights, vector=v
    )

    assert_said(seed, expected["diagonal"], found, "diag_hessian", size)
    assert_said(seed, expected["product"], found, "hessian_vector", size)
    for end in ("largest", "smallest"):
        np.testing.assert_allclose(found[f"hessian_eigenvalues.{end}"], [expected[end]], rtol=1e-7, atol=1e-6 * size)
        assert found[f"hessian_eigenvalues.{end}_residual"] <= 1e-6 * size + 1e-12
    np.testing.assert_allclose(
        found["hessian_trace"], flat_of(found, "diag_hessian", subject[0]).sum(), rtol=1e-9, atol=1e-12 * size
    )


@pytest.mark.parametrize(
    ("case", "split"),
    [pytest.param(case, split, id=f"{case['seed']}-{split}") for case in CASES for split in case["ggn"]],
)
def test_the_gauss_newton_matrix_is_pytorchs(case: dict[str, Any], split: Split) -> None:
    subject, weights = stored(case)
    expected, seed = case["ggn"][split], case["seed"]
    size = max(abs(expected["largest"]), abs(expected["smallest"]))
    v = {name: drawing.drawn(seed, f"v.{name}", shape) for name, shape in subject[0].shapes.items()}

    found = look(
        subject, "diag_ggn", "ggn_vector", "ggn_eigenvalues", "ggn_trace", weights=weights, vector=v, ggn_split=split
    )

    assert_said(seed, expected["diagonal"], found, "diag_ggn", size)
    assert_said(seed, expected["product"], found, "ggn_vector", size)
    for end in ("largest", "smallest"):
        np.testing.assert_allclose(found[f"ggn_eigenvalues.{end}"], [expected[end]], rtol=1e-7, atol=1e-6 * size)
    np.testing.assert_allclose(
        found["ggn_trace"], flat_of(found, "diag_ggn", subject[0]).sum(), rtol=1e-9, atol=1e-12 * size
    )


def test_the_stored_networks_hold_every_activation_and_loss() -> None:
    layers = [layer for case in CASES for layer in case["layers"]]
    activations = [layer["activation"] for layer in layers if "activation" in layer]

    assert {each if isinstance(each, str) else each["type"] for each in activations} == set(ACTIVATIONS)
    assert {case["loss"]["type"] for case in CASES} == set(LOSSES)
    assert {sum(layer["type"] == "dense" for layer in case["layers"]) for case in CASES} == {1, 2, 3, 4, 5}


# Nudges of the gradient --------------------------------------------------------------------------------------------


def gradient(net: Network, flat: Array, X: Array, Y: Array) -> Array:
    return run_pass(net, flat, X, Y, None, scale=1 / len(X)).workspace.gradient.copy()


def assert_products_are_nudges(net: Network) -> None:
    """H·v is how the gradient changes along v: four points cancel every error up to h⁴."""
    case = case_of(net)
    _, flat, X, Y = case
    v = np.random.default_rng(2).normal(size=flat.size)
    h = 1e-4 if type(net.loss).pieces is Loss.pieces else 1e-5

    found = look(case, "hessian_vector", vector=net.views(v))

    at = {step: gradient(net, flat + step * h * v, X, Y) for step in (-2, -1, 1, 2)}
    nudged = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    size = np.abs(nudged).max()
    np.testing.assert_allclose(flat_of(found, "hessian_vector", net), nudged, rtol=1e-6, atol=1e-7 * size + 1e-9)
    for name, each in net.views(v).items():
        np.testing.assert_array_equal(found[f"hessian_vector.v.{name}"], each)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_activation_under_every_loss(activation: str, loss: str) -> None:
    assert_products_are_nudges(network(dense(5, activation), dense(3, head_of(loss)), loss=loss))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_activation_with_its_options(name: str) -> None:
    assert_products_are_nudges(network(dense(5, VARIANTS[name]), dense(4, VARIANTS[name]), dense(3, "softmax")))


@pytest.mark.parametrize(("head", "loss"), DEFINED)
def test_every_head_under_every_loss_it_is_defined_for(head: str, loss: str) -> None:
    assert_products_are_nudges(network(dense(5), dense(3, head), loss=loss))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_any_depth(depth: int) -> None:
    assert_products_are_nudges(network(*[dense(4, "gelu") for _ in range(depth - 1)], dense(3, "softmax")))


# What must hold ----------------------------------------------------------------------------------------------------

STACKS: dict[str, Network] = {
    "softmax within": network(dense(4, "softmax"), dense(4, "tanh"), dense(3, "softmax")),
    "softmax on softmax": network(
        dense(4), dense(4, "softmax"), dense(3, "softmax"), dense(3, "sigmoid"), loss="log_cosh"
    ),
    "a shared slope": network(dense(4, {"type": "prelu", "shared": True}), dense(4, "tanh"), dense(3, "softmax")),
    "a slope on top": network(dense(4, "tanh"), dense(2, "prelu"), loss="half_squared_error"),
    "a slope first": network(ActivationLayerSpec(activation="prelu"), dense(4, "tanh"), dense(3, "softmax")),  # type: ignore[arg-type]
    "an activation first": network(ActivationLayerSpec(activation="tanh"), dense(4, "relu"), dense(3, "softmax")),  # type: ignore[arg-type]
    "no b": network(dense(4, "tanh", use_bias=False), dense(3, "softmax", use_bias=False)),
    "dropout last": network(dense(4, "tanh"), dense(3), DropoutSpec(rate=0.5), loss="squared_error"),
    "other axes": network(
        dense(4), ReshapeSpec(shape=(2, 2)), ActivationLayerSpec(activation="prelu"), FlattenSpec(), dense(3, "softmax")
    ),  # type: ignore[arg-type]
    "deep": network(dense(4), dense(3, "gelu"), dense(4, "sigmoid"), dense(3, "silu"), dense(2, "softmax")),
    "straight": network(dense(4, "relu"), dense(3, "leaky_relu"), dense(3, "softmax")),
    "not canonical": network(dense(4, "tanh"), dense(3, "softmax"), loss="half_squared_error"),
    "not convex": network(dense(4, "tanh"), dense(3, "softmax"), loss="focal"),
}


@pytest.mark.parametrize("name", STACKS)
def test_diagonals_and_traces_are_those_of_the_whole_matrices(name: str) -> None:
    case, weights = case_of(STACKS[name]), np.array([1.0, 0, 2, 3, 0.5])

    found = look(case, "diag_hessian", "diag_ggn", "hessian_trace", "ggn_trace", weights=weights, with_l2=True, l2=0.3)

    for quantity, trace, split in (("diag_hessian", "hessian_trace", None), ("diag_ggn", "ggn_trace", "auto")):
        whole = matrix(case, split=split, weights=weights, with_l2=True, l2=0.3)
        size = np.abs(whole).max()
        np.testing.assert_allclose(whole, whole.T, atol=1e-12 * size)
        np.testing.assert_allclose(flat_of(found, quantity, case[0]), whole.diagonal(), atol=1e-12 * size)
        np.testing.assert_allclose(found[trace], whole.trace(), atol=1e-11 * size)
        for parameter in case[0].shapes:
            np.testing.assert_allclose(
                found[f"{trace}.{parameter}"], found[f"{quantity}.{parameter}"].sum(), atol=1e-12 * size
            )


@pytest.mark.parametrize(("head", "loss"), DEFINED)
def test_the_gauss_newton_matrix_is_positive_semi_definite_where_the_loss_is_convex(head: str, loss: str) -> None:
    net = network(dense(3), dense(3, head), loss=loss)

    values = np.linalg.eigvalsh(matrix(case_of(net), split="auto"))

    if loss not in NOT_CONVEX or (loss == "gamma" and net.has_canonical_head):
        assert values[0] >= -1e-12 * max(values[-1], 1e-3)
    assert values[-1] > 0 or not net.loss.ddA(run_pass(*case_of(net), None).head).any()


def test_behind_straight_layers_both_diagonals_are_one() -> None:
    case = case_of(network(dense(6, "relu"), dense(5, "leaky_relu"), dense(3, "softmax")))

    found = look(case, "diag_hessian", "diag_ggn")

    for name in case[0].shapes:
        np.testing.assert_array_equal(found[f"diag_hessian.{name}"], found[f"diag_ggn.{name}"])
    assert np.abs(matrix(case) - matrix(case, split="auto")).max() > 1e-3  # though the matrices differ


def test_a_row_of_weight_2_counts_as_two_rows() -> None:
    net, flat, X, Y = case_of(network(dense(4), dense(3, "softmax")))
    twice = (net, flat, np.vstack([X, X[:1]]), np.vstack([Y, Y[:1]]))

    once = look((net, flat, X, Y), *SECOND_ORDER, weights=np.array([2.0, 1, 1, 1, 1]))

    for name, expected in look(twice, *SECOND_ORDER).items():
        rtol = 1e-6 if "eigenvalues" in name else 1e-10
        if not name.endswith(("residual", "products")):
            np.testing.assert_allclose(once[name], expected, rtol=rtol, atol=1e-9, err_msg=name)


def test_a_penalty_adds_to_the_diagonal_by_weights_alone() -> None:
    case = case_of(network(dense(4), dense(3, "softmax")))
    v = {name: np.ones(shape) for name, shape in case[0].shapes.items()}

    plain, penalised = (look(case, *SECOND_ORDER, l2=0.25, with_l2=counts, vector=v) for counts in (False, True))

    for quantity in ("diag_ggn", "diag_hessian", "hessian_vector", "ggn_vector"):
        np.testing.assert_allclose(penalised[f"{quantity}.W.1"], plain[f"{quantity}.W.1"] + 0.25, rtol=1e-12)
        np.testing.assert_array_equal(penalised[f"{quantity}.b.1"], plain[f"{quantity}.b.1"])
    assert penalised["hessian_trace.W.2"] == pytest.approx(plain["hessian_trace.W.2"] + 0.25 * 12)
    assert penalised["ggn_trace"] == pytest.approx(plain["ggn_trace"] + 0.25 * 28)
    np.testing.assert_array_equal(penalised["kronecker_factors.out.1"], plain["kronecker_factors.out.1"])


def test_kronecker_factors_of_one_example_are_exact() -> None:
    case = case_of(network(dense(4), dense(3, "sigmoid"), dense(2, "softmax")), m=1)
    whole = matrix(case, split="auto")

    found, slices = look(case, "kronecker_factors"), case[0].layout.slices()

    for layer in ("1", "2", "3"):
        out, block = found[f"kronecker_factors.out.{layer}"], slices[f"W.{layer}"]
        np.testing.assert_allclose(
            np.kron(found[f"kronecker_factors.in.{layer}"], out), whole[block, block], atol=1e-14
        )
        np.testing.assert_allclose(out, whole[slices[f"b.{layer}"], slices[f"b.{layer}"]], atol=1e-14)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_kronecker_factors_are_the_means_over_the_examples(loss: str) -> None:
    net, flat, X, Y = case_of(network(dense(4), dense(3, "softmax"), loss=loss))

    found = look((net, flat, X, Y), "kronecker_factors")

    alone = [look((net, flat, X[i : i + 1], Y[i : i + 1]), "kronecker_factors") for i in range(len(X))]
    for name, factor in found.items():
        np.testing.assert_allclose(factor, np.mean([each[name] for each in alone], axis=0), atol=1e-14)


def test_a_few_examples_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(STACKS["deep"], m=7)
    expected = look(case, *SECOND_ORDER)

    monkeypatch.setattr(chains, "BUDGET", 100)
    found = look(case, *SECOND_ORDER)

    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, rtol=1e-10, atol=1e-12)


def test_layers_too_wide_for_the_budget_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "BUDGET", 30)

    with pytest.raises(SpecError, match=r"network\.layers: diag_hessian would hold 48 numbers of second derivatives"):
        look(case_of(STACKS["deep"]), "diag_hessian")


def test_saturated_logits_keep_their_curvature() -> None:
    net = network(dense(1, "sigmoid"), n_in=1, loss="binary_cross_entropy")
    X, Y = np.array([[40.0], [-700.0]]), np.array([[1.0], [0.0]])

    found = look((net, np.array([1.0, 0]), X, Y), "diag_ggn", "diag_hessian")

    bend = np.exp(-40.0) / (1 + np.exp(-40.0)) ** 2  # σ(Z)·σ(−Z), that of −700 being 0 beside it
    for quantity in ("diag_ggn", "diag_hessian"):
        np.testing.assert_allclose(found[f"{quantity}.b.1"], [bend / 2], rtol=1e-14)
        np.testing.assert_allclose(found[f"{quantity}.W.1"], [[bend * 1600 / 2]], rtol=1e-14)


def test_saturated_shares_keep_their_curvature() -> None:
    net = network(dense(3, "softmax"), n_in=1)
    flat = net.flatten({"W.1": [[50.0, 0.0, 1.0]], "b.1": [0.0, 0.0, 0.0]}, dtype="float64")
    others = np.exp([-50.0, -49.0]) / (1 + np.exp(-50.0) + np.exp(-49.0))

    found = look(
        (net, flat, np.ones((1, 1)), np.eye(3)[:1]), "diag_hessian", "hessian_vector", vector={"b.1": [1, 0, 0]}
    )

    np.testing.assert_allclose(found["diag_hessian.b.1"], [others.sum(), *others], rtol=1e-14)
    np.testing.assert_allclose(found["hessian_vector.b.1"], [others.sum(), *-others], rtol=1e-14)


def test_a_float32_pass_is_looked_into_in_float64() -> None:
    single = case_of(network(dense(4), dense(3, "softmax")), dtype="float32")
    double = (single[0], *(array.astype("float64") for array in single[1:]))

    found, expected = look(single, *SECOND_ORDER), look(double, *SECOND_ORDER)

    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor)


# Eigenvalues -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("split", [None, "auto"])
def test_eigenvalues_are_those_of_the_whole_matrix(count: int, split: Split | None) -> None:
    case = case_of(network(dense(5), dense(4, "gelu"), dense(3, "softmax")), m=9)
    quantity = "ggn_eigenvalues" if split else "hessian_eigenvalues"

    found = look(case, quantity, eigenvalues=count)

    values = np.linalg.eigvalsh(matrix(case, split=split))
    np.testing.assert_allclose(found[f"{quantity}.largest"], values[: -count - 1 : -1], rtol=1e-8)
    np.testing.assert_allclose(found[f"{quantity}.smallest"], values[:count], rtol=1e-8, atol=1e-8)
    assert (found[f"{quantity}.largest_residual"] <= 1e-6 * values[-1]).all()
    assert found[f"{quantity}.products"] <= 100 + 2 * count


def test_too_few_products_show_in_the_residual() -> None:
    case = case_of(network(dense(5), dense(4, "gelu"), dense(3, "softmax")), m=9)

    found = look(case, "hessian_eigenvalues", products=4)

    whole, value = matrix(case), found["hessian_eigenvalues.largest"][0]
    residual = found["hessian_eigenvalues.largest_residual"][0]
    assert residual > 1e-3
    assert np.abs(np.linalg.eigvalsh(whole) - value).min() <= residual


def test_a_loss_without_curvature_has_eigenvalues_0() -> None:
    found = look(case_of(network(dense(3, "identity"), loss="absolute_error")), "hessian_eigenvalues")

    assert found["hessian_eigenvalues.largest"].tolist() == found["hessian_eigenvalues.smallest"].tolist() == [0]


# Questions ---------------------------------------------------------------------------------------------------------


def test_a_vector_that_is_not_given_is_drawn_from_the_seed() -> None:
    case = case_of(network())

    first, again, other = (look(case, "hessian_vector", seed=seed) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first["hessian_vector.v.W.1"], again["hessian_vector.v.W.1"])
    assert (first["hessian_vector.v.W.1"] != other["hessian_vector.v.W.1"]).all()
    v, product = (flat_of(first, name, case[0]) for name in ("hessian_vector.v", "hessian_vector"))
    assert first["hessian_vector"] == pytest.approx(v @ product)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ({"W.9": [[1.0]]}, r"options\.vector\.W\.9: there is no such parameter"),
        ({"b.1": [1.0]}, r"options\.vector\.b\.1: expected shape \[5\], got \[1\]"),
        ({"b.1": "x"}, r"options\.vector\.b\.1: expected numbers"),
    ],
)
def test_a_vector_that_does_not_fit_is_refused(vector: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        look(case_of(network()), "ggn_vector", vector=vector)


def test_a_penalty_that_is_not_given_is_missed() -> None:
    with pytest.raises(SpecError, match=r"options\.l2: diag_ggn wants an l2 from 0 on where with_l2 is true"):
        look(case_of(network()), "diag_ggn", with_l2=True)


REFUSED: dict[str, tuple[list[LayerSpec], tuple[int, ...]]] = {
    name: ([LAYERS[name].spec.model_validate({"type": name, **options})], shape)
    for name, options, shape in [
        ("conv1d", {"filters": 2, "kernel_size": 2}, (4, 2)),
        ("conv2d", {"filters": 2, "kernel_size": 2}, (4, 4, 1)),
        ("max_pool", {}, (4, 2)),
        ("average_pool", {}, (4, 2)),
        ("global_max_pool", {}, (4, 2)),
        ("global_average_pool", {}, (4, 2)),
        ("batch_norm", {}, (4,)),
        ("layer_norm", {}, (4,)),
        ("rms_norm", {}, (4,)),
        ("embedding", {"vocabulary_size": 3, "dim": 2}, (4,)),
        ("category_embedding", {"levels": [3], "dim": 2}, (4,)),
        ("gru", {"units": 2}, (4, 2)),
        ("lstm", {"units": 2}, (4, 2)),
        ("dense", {"units": 2}, (4, 2)),
        ("activation", {"activation": "softmax"}, (4, 2)),
    ]
}


@pytest.mark.parametrize("quantity", SECOND_ORDER)
@pytest.mark.parametrize("kind", [*REFUSED, "residual"])
def test_a_layer_it_is_not_known_for_is_refused_by_name(kind: str, quantity: str) -> None:
    inside, shape = ([ResidualSpec(layers=(dense(4),))], (4,)) if kind == "residual" else REFUSED[kind]
    net = Network.build([*inside, FlattenSpec(), dense(3, "softmax")], input_shape=shape, loss=loss_of("cross_entropy"))
    X = np.abs(rows(2, net.n_in)).round() * 0

    with pytest.raises(
        SpecError, match=rf"network\.layers\[0.*{quantity} is not known for layers of type \w+ on"
    ) as caught:
        look((net, net.initial_parameters(seed=1, dtype="float64"), X, targets("cross_entropy", 2, 3)), quantity)

    assert f"of type {'softmax' if kind == 'activation' else kind} on inputs of shape" in caught.value.message


def test_kronecker_factors_are_not_known_for_learned_slopes() -> None:
    with pytest.raises(SpecError, match="kronecker_factors is not known for layers of type prelu"):
        look(case_of(network(dense(4, "prelu"), dense(3, "softmax"))), "kronecker_factors")


@pytest.mark.parametrize("quantity", SECOND_ORDER)
def test_a_network_that_learns_nothing_has_no_curvature(quantity: str) -> None:
    net = network(ActivationLayerSpec(activation="tanh"), loss="squared_error")  # type: ignore[arg-type]

    with pytest.raises(SpecError, match=f"{quantity} wants a layer that learns"):
        look((net, np.empty(0), rows(2), rows(2)), quantity)


@pytest.mark.parametrize("quantity", SECOND_ORDER)
def test_what_takes_too_long_is_given_up(quantity: str) -> None:
    with pytest.raises(OutOfTime):
        inspect(*case_of(network()), quantities=[quantity], deadline=lambda: True)


# Takeuchi's criterion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quantity", "split"), [("tic_ggn", "auto"), ("tic_hessian", None)])
def test_takeuchis_criterion_is_the_noise_beside_the_whole_matrixs_diagonal(quantity: str, split: Split | None) -> None:
    case, weights = case_of(network(dense(4), dense(3, "softmax"))), np.array([1.0, 2, 0, 1, 3])
    curvature = matrix(case, split=split, weights=weights).diagonal()

    found = look(case, quantity, "second_moment", weights=weights)

    moments = flat_of(found, "second_moment", case[0])
    np.testing.assert_allclose(found[f"{quantity}.diagonal"], (moments / (curvature + 1e-7)).sum(), rtol=1e-6)
    np.testing.assert_allclose(found[f"{quantity}.trace"], moments.sum() / (curvature.sum() + 1e-7), rtol=1e-10)
