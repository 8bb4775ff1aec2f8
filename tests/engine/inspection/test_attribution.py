"""What an output or the loss owes to each input: against nudges of the forward pass, and the sums that must close."""

from typing import Any

import numpy as np
import pytest

from engine.errors import OutOfTime, SpecError
from engine.inspection import inspect
from engine.inspection.quantities import Options, paths
from engine.layers import LAYERS, DropoutSpec, FlattenSpec, LayerSpec
from engine.layers.residual import ResidualSpec
from engine.network import Network
from engine.parameters import Array
from engine.randomness import generator
from tests.engine.factories import dense, loss_of, network, rows, targets
from tests.engine.inspection.test_curvature import CASES, stored
from tests.engine.reference import drawing

ATTRIBUTIONS = (
    "input_gradient",
    "saliency",
    "input_x_gradient",
    "output_jacobian",
    "integrated_gradients",
    "smoothgrad",
)
Case = tuple[Network, Array, Array, Array]


def case_of(net: Network, *, m: int = 4, seed: int = 4) -> Case:
    flat = net.initial_parameters(seed=seed, dtype="float64")
    flat[: net.parameter_count] += np.random.default_rng(seed).normal(scale=0.3, size=net.parameter_count)
    return net, flat, rows(m, net.n_in, seed=seed), targets("cross_entropy", m, net.n_out)


def look(case: Case, *quantities: str, weights: Array | None = None, **options: Any) -> dict[str, Array]:
    return inspect(*case, quantities=quantities, weights=weights, options=Options(**options)).tensors


SMOOTH = network(dense(5), dense(4, "gelu"), dense(3, "softmax"))
KINKED = network(dense(30, "relu"), dense(20, "relu"), dense(3, "softmax"))
KINDS: dict[str, tuple[list[LayerSpec], tuple[int, ...]]] = {
    name: ([LAYERS[name].spec.model_validate({"type": name, **options})], shape)
    for name, options, shape in [
        ("dense", {"units": 3, "activation": "tanh"}, (4, 2)),
        ("conv1d", {"filters": 2, "kernel_size": 2, "activation": "tanh"}, (4, 2)),
        ("conv2d", {"filters": 2, "kernel_size": 2, "activation": "tanh"}, (4, 4, 1)),
        ("max_pool", {}, (4, 2)),
        ("average_pool", {}, (4, 2)),
        ("global_max_pool", {}, (4, 2)),
        ("global_average_pool", {}, (4, 2)),
        ("flatten", {}, (4, 2)),
        ("reshape", {"shape": (2, -1)}, (8,)),
        ("dropout", {"rate": 0.5}, (4,)),
        ("alpha_dropout", {"rate": 0.5}, (4,)),
        ("gaussian_noise", {"std": 1.0}, (4,)),
        ("batch_norm", {}, (4,)),
        ("layer_norm", {}, (4,)),
        ("rms_norm", {}, (4,)),
        ("gru", {"units": 3}, (4, 2)),
        ("lstm", {"units": 3}, (4, 2)),
        ("activation", {"activation": "softmax"}, (4, 2)),
    ]
}
KINDS["residual"] = ([ResidualSpec(layers=(dense(4, "tanh"),))], (4,))


def kind_of(name: str) -> Case:
    """A network that begins with a layer of this kind."""
    inside, shape = KINDS[name]
    return case_of(
        Network.build([*inside, FlattenSpec(), dense(3, "softmax")], input_shape=shape, loss=loss_of("cross_entropy"))
    )


# Gradients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_an_outputs_gradient_is_its_nudge_behind_every_layer(name: str) -> None:
    net, flat, X, Y = kind_of(name)

    found = look((net, flat, X, Y), "input_gradient", "output_jacobian", target=1)

    gradient = found["input_gradient"].reshape(X.shape)
    for k in range(net.n_in):
        step = np.eye(net.n_in)[k] * 1e-6
        nudged = (net.predict(flat, X + step) - net.predict(flat, X - step)) / 2e-6
        np.testing.assert_allclose(gradient[:, k], nudged[:, 1], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(
            found["output_jacobian"].reshape(*Y.shape, -1)[:, :, k], nudged, rtol=1e-6, atol=1e-9
        )
    np.testing.assert_array_equal(found["input_gradient.F"], net.predict(flat, X)[:, 1])
    assert found["input_gradient"].shape == (4, *net.input_shape)


def test_every_layer_that_has_a_gradient_by_its_input_is_among_them() -> None:
    assert set(KINDS) == set(LAYERS) - {"embedding", "category_embedding"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["seed"]))
def test_jacobians_are_pytorchs(case: dict[str, Any]) -> None:
    (net, flat, X, Y), _ = stored(case)

    for output in ("A", "Z"):
        found = look((net, flat, X, Y), "output_jacobian", output=output)["output_jacobian"]

        mine = drawing.summary(case["seed"], "jacobian", found.reshape(len(X), net.n_out, -1))
        np.testing.assert_allclose(mine, case["jacobian"][output], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("output", ["A", "Z"])
def test_a_rows_jacobian_holds_every_outputs_gradient(output: str) -> None:
    case = case_of(SMOOTH)

    jacobian = look(case, "output_jacobian", output=output)["output_jacobian"]

    for target in range(3):
        found = look(case, "input_gradient", target=target, output=output)
        np.testing.assert_allclose(jacobian[:, target], found["input_gradient"], rtol=1e-12, atol=1e-15)


def test_without_an_activation_on_top_z_is_a() -> None:
    case = case_of(network(dense(3), DropoutSpec(rate=0.5), loss="half_squared_error"))

    of_A, of_Z = (look(case, "input_gradient", target=2, output=output) for output in ("A", "Z"))

    np.testing.assert_array_equal(of_A["input_gradient"], of_Z["input_gradient"])


def test_the_losss_gradient_is_the_passs_own() -> None:
    case, weights = case_of(SMOOTH), np.array([1.0, 2, 0, 1])

    found = look(case, "input_gradient", "saliency", "input_x_gradient", "dA.0", weights=weights)

    np.testing.assert_array_equal(found["input_gradient"], found["dA.0"])
    np.testing.assert_array_equal(found["saliency"], np.abs(found["dA.0"]))
    np.testing.assert_array_equal(found["input_x_gradient"], case[2] * found["dA.0"])
    np.testing.assert_array_equal(
        found["saliency.F"], inspect(*case, quantities=["loss"], weights=weights).example_losses
    )


def test_the_pass_that_is_looked_into_stays_as_it_is() -> None:
    case = case_of(SMOOTH)
    plain = look(case, "dZ", "dA", "dW", "Z")

    beside = look(case, *ATTRIBUTIONS, "dZ", "dA", "dW", "Z", target=0)

    for name, tensor in plain.items():
        np.testing.assert_array_equal(beside[name], tensor)


# Integrated gradients ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["gauss_legendre", "midpoint", "converged"])
@pytest.mark.parametrize("target", [0, 2, "loss"])
def test_they_sum_to_the_difference_but_for_the_residual(rule: str, target: Any) -> None:
    net, flat, X, _ = case = case_of(SMOOTH)

    found = look(case, "integrated_gradients", rule=rule, target=target, baseline="mean")

    difference = found["integrated_gradients.F"] - found["integrated_gradients.F_baseline"]
    residual = found["integrated_gradients"].sum(axis=1) - difference
    np.testing.assert_allclose(found["integrated_gradients.residual"], residual, atol=1e-15)
    assert (np.abs(residual) < {"gauss_legendre": 1e-12, "midpoint": 1e-2, "converged": 1e-6}[rule]).all()
    if target != "loss":
        np.testing.assert_array_equal(found["integrated_gradients.F"], net.predict(flat, X)[:, target])
        at_mean = net.predict(flat, X.mean(axis=0)[None])[0, target]
        np.testing.assert_allclose(found["integrated_gradients.F_baseline"], at_mean, rtol=1e-12)


def test_the_rules_agree_input_by_input() -> None:
    case = case_of(SMOOTH)

    exact, coarse, converged = (
        look(case, "integrated_gradients", target=1, **options)["integrated_gradients"]
        for options in ({}, {"rule": "midpoint", "nodes": 400}, {"rule": "converged", "completeness": 1e-10})
    )

    np.testing.assert_allclose(coarse, exact, atol=1e-5)
    np.testing.assert_allclose(converged, exact, atol=1e-9)


def test_a_straight_networks_are_its_weights_times_the_way() -> None:
    net, flat, X, Y = case_of(network(dense(3, "identity"), loss="half_squared_error"))
    baseline = [0.5, -1.0, 2.0, 0.0]

    found = look((net, flat, X, Y), "integrated_gradients", target=1, nodes=1, baseline=baseline)

    expected = (X - baseline) * net.views(flat)["W.1"][:, 1]
    np.testing.assert_allclose(found["integrated_gradients"], expected, rtol=1e-12)
    assert found["integrated_gradients.nodes"].tolist() == [1] * 4


@pytest.mark.parametrize("name", KINDS)
def test_they_converge_behind_every_layer(name: str) -> None:
    case = kind_of(name)

    found = look(case, "integrated_gradients", rule="converged", target=0)

    assert (np.abs(found["integrated_gradients.residual"]) < 1e-6).all()
    assert found["integrated_gradients"].shape == (4, *case[0].input_shape)


def test_kinks_on_the_way_are_closed_in_on() -> None:
    case = case_of(KINKED)

    fixed, converged = (
        look(case, "integrated_gradients", target=0, baseline=[5.0, -5.0, 5.0, -5.0], **options)
        for options in ({"nodes": 200}, {"rule": "converged"})
    )

    assert np.abs(fixed["integrated_gradients.residual"]).max() > 1e-5
    assert np.abs(converged["integrated_gradients.residual"]).max() < 1e-6
    np.testing.assert_allclose(converged["integrated_gradients"], fixed["integrated_gradients"], atol=1e-2)
    assert converged["integrated_gradients.nodes"].min() > paths.PANEL


def test_what_does_not_converge_is_given_up_and_says_so() -> None:
    found = look(case_of(KINKED), "integrated_gradients", rule="converged", completeness=1e-30)

    assert (found["integrated_gradients.nodes"] <= 4 * paths.PANEL * paths.MOST_PANELS).all()
    assert found["integrated_gradients.residual"].any()


def test_a_few_places_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_of(SMOOTH)
    expected = [look(case, "integrated_gradients", rule=rule) for rule in ("midpoint", "converged")]

    monkeypatch.setattr(paths, "NUMBERS", 60)
    found = [look(case, "integrated_gradients", rule=rule) for rule in ("midpoint", "converged")]

    for mine, whole in zip(found, expected, strict=True):
        for name, tensor in whole.items():
            np.testing.assert_allclose(mine[name], tensor, rtol=1e-10, atol=1e-13)


def test_ids_owe_nothing_and_the_residual_says_so() -> None:
    embedding = LAYERS["embedding"].spec.model_validate({"type": "embedding", "vocabulary_size": 4, "dim": 2})
    net = Network.build(
        [embedding, FlattenSpec(), dense(3, "softmax")], input_shape=(2,), loss=loss_of("cross_entropy")
    )
    flat, X, Y = net.initial_parameters(seed=1, dtype="float64"), np.array([[3.0, 2.0]]), np.eye(3)[:1]

    found = look((net, flat, X, Y), "integrated_gradients", target=0)

    assert not found["integrated_gradients"].any()
    assert found["integrated_gradients.residual"] != 0


# SmoothGrad --------------------------------------------------------------------------------------------------------


def test_smoothgrad_is_the_mean_at_blurred_inputs() -> None:
    net, flat, X, Y = case_of(SMOOTH)

    found = look((net, flat, X, Y), "smoothgrad", target=1, noise=0.3, samples=3, seed=8)["smoothgrad"]

    blurred = [X + 0.3 * generator(8, "smoothing", step=step).standard_normal(X.shape) for step in range(3)]
    each = [look((net, flat, inputs, Y), "input_gradient", target=1)["input_gradient"] for inputs in blurred]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-12)


def test_smoothgrad_without_noise_is_the_gradient_and_follows_from_the_seed() -> None:
    case = case_of(SMOOTH)

    gradient, still = (look(case, name, noise=0.0)[name] for name in ("input_gradient", "smoothgrad"))
    first, again, other = (look(case, "smoothgrad", seed=seed, samples=5)["smoothgrad"] for seed in (1, 1, 2))

    np.testing.assert_allclose(still, gradient, rtol=1e-12)
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


# Questions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [name for name in ATTRIBUTIONS if name != "output_jacobian"])
@pytest.mark.parametrize("target", [3, -1])
def test_an_output_that_is_not_there_is_refused(quantity: str, target: int) -> None:
    with pytest.raises(SpecError, match=rf"options\.target: expected loss, or an output from 0 to 2, got {target}"):
        look(case_of(SMOOTH), quantity, target=target)


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ([1.0, 2.0], r"expected a row of 4 finite numbers, got shape \[2\]"),
        ([1.0, 2.0, 3.0, np.nan], "expected a row of 4 finite numbers"),
        (["x"] * 4, r"expected zeros, mean, or a row of numbers of shape \[4\]"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(baseline: list[Any], message: str) -> None:
    with pytest.raises(SpecError, match=rf"options\.baseline: {message}"):
        look(case_of(SMOOTH), "integrated_gradients", baseline=baseline)


def test_a_jacobian_too_large_is_refused() -> None:
    net = network(dense(1000, "identity"), n_in=1000, loss="half_squared_error")
    case = net, np.zeros(net.layout.size), np.zeros((40, 1000)), np.zeros((40, 1000))

    with pytest.raises(SpecError, match="expected an output_jacobian of at most 33554432 numbers, got 40000000"):
        look(case, "output_jacobian")


@pytest.mark.parametrize("quantity", ["output_jacobian", "integrated_gradients", "smoothgrad"])
def test_what_takes_too_long_is_given_up(quantity: str) -> None:
    with pytest.raises(OutOfTime):
        inspect(*case_of(SMOOTH), quantities=[quantity], deadline=lambda: True)
