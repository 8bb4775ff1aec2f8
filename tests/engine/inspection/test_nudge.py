from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection import check, inspect
from engine.inspection.complex_forms import FORMS, LOSS_FORMS, PLAIN
from engine.inspection.forward import Forward
from engine.inspection.targets import Method, nudgeable
from engine.layers import ACTIVATIONS, LAYERS, FlattenSpec, MaxPoolSpec, ReshapeSpec, ResidualSpec
from engine.layers.activation import ActivationLayer
from engine.layers.base import Slot
from engine.layers.dense import Dense
from engine.layers.residual import Part
from engine.losses import LOSSES
from engine.network import Network
from engine.parameters import Array
from engine.plans import Plan, call
from tests.engine.factories import HEADS, dense, head_of, network, rows, targets
from tests.engine.reference import drawing
from tests.engine.test_random_networks import CASES, built


def case(activation: str = "tanh", head: str = "softmax") -> tuple[Network, Array, Array, Array]:
    net = network(dense(5, activation), dense(3, head), loss=HEADS[head])
    flat = net.initial_parameters(seed=3, dtype="float64")
    return net, flat, rows(6), targets(HEADS[head], 6, 3)


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("method", ["central", "complex"])
def test_a_right_gradient_is_ok_everywhere(activation: str, head: str, method: Method) -> None:
    found = check(*case(activation, head), samples=10, method=method)

    assert {each.method for each in found.nudges} == {method}
    assert set(found.verdicts) <= {"ok", "below_noise"}
    assert found.verdicts["ok"] >= 30
    assert found.is_complete


def test_away_from_noise_both_ways_agree_to_seven_digits() -> None:
    found = check(*case(), samples=100, method="central")

    worst = max(
        abs(each.analytic - each.numeric) / abs(each.analytic) for each in found.nudges if abs(each.analytic) > 1e-3
    )
    assert worst < 1e-7


def test_by_a_complex_step_both_ways_agree_to_fourteen_digits() -> None:
    found = check(*case(), targets="all", method="complex")

    largest = max(abs(each.analytic) for each in found.nudges)
    assert len(found.nudges) == 4 * 5 + 5 + 5 * 3 + 3 + 6 * 4
    assert max(abs(each.analytic - each.numeric) for each in found.nudges) < 1e-15 * largest
    assert min(each.digits for each in found.nudges if abs(each.analytic) > 0.1 * largest) > 14


def wrong_by_a_factor(layer: Dense, slot: Slot) -> Plan:
    yield from right(layer, slot)
    yield call(np.multiply, slot.grads["W"], 1 + 1e-6, slot.grads["W"])


def without_a_sum(layer: Dense, slot: Slot) -> Plan:
    yield from right(layer, slot)
    yield call(np.copyto, slot.grads["b"], slot.dy[0])


right = Dense.backward


@pytest.mark.parametrize(("backward", "tensor"), [(wrong_by_a_factor, "W"), (without_a_sum, "b")])
@pytest.mark.parametrize("method", ["central", "complex", "direction"])
def test_a_wrong_layer_is_a_mismatch(
    monkeypatch: pytest.MonkeyPatch, backward: Callable[[Dense, Slot], Plan], tensor: str, method: Method
) -> None:
    monkeypatch.setattr(LAYERS["dense"], "backward", backward)

    found = check(*case(), samples=10, method=method)

    wrong = {each.address.partition(".")[0] for each in found.nudges if each.verdict == "mismatch"}
    assert wrong == {tensor}


def wrong_in_the_twelfth_digit(layer: Dense, slot: Slot) -> Plan:
    yield from right(layer, slot)
    yield call(np.multiply, slot.dx, 1 + 1e-12, slot.dx)


def test_a_complex_step_sees_what_a_difference_can_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LAYERS["dense"], "backward", wrong_in_the_twelfth_digit)

    by_steps, by_differences = (check(*case(), targets=["A.1"], method=m).verdicts for m in ("complex", "central"))

    assert by_steps["mismatch"] > 25
    assert "mismatch" not in by_differences


@pytest.mark.parametrize("method", ["central", "complex"])
def test_a_kink_crossed_by_a_nudge_is_reported_and_names_its_unit(method: Method) -> None:
    net, flat, X, Y = case("relu")
    views = net.views(flat)
    views["b.1"][...] -= X[2] @ views["W.1"] + views["b.1"]  # every unit's Z is 0 for the third row

    found = check(net, flat, X, Y, targets=["b.1[1]", "W.1[0,4]"], method=method)

    assert [each.verdict for each in found.nudges] == ["kink", "kink"]
    assert found.nudges[0].flipped == ("Z.1[2,1]",)
    assert found.worst_relative_error is None


def test_a_kink_of_the_loss_is_reported_too() -> None:
    net = network(dense(3, "identity"), loss="absolute_error")
    flat, X = net.initial_parameters(seed=3, dtype="float64"), rows(6)
    Y = net.predict(flat, X)  # every residual is 0
    Y[:, 0] += 5

    for method in ("central", "complex"):
        found = check(net, flat, X, Y, targets=["b.1[0]", "b.1[1]", "A.1[2,1]"], method=method)

        assert [each.verdict for each in found.nudges] == ["ok", "kink", "kink"]
        assert found.nudges[1].flipped[0] == "A.1[0,1]"
        assert found.nudges[2].flipped == ("A.1[2,1]",)


def test_a_direction_that_crosses_a_kink_is_reported() -> None:
    net, flat, X, Y = case("relu")
    views = net.views(flat)
    views["b.1"][...] -= X[2] @ views["W.1"] + views["b.1"]

    found = check(net, flat, X, Y, targets=["b.1", "W.2"], method="direction")

    assert [each.verdict for each in found.nudges] == ["kink", "ok"]
    assert set(found.nudges[0].flipped) == {f"Z.1[2,{unit}]" for unit in range(5)}


def test_a_derivative_of_nothing_is_below_noise_or_exactly_nothing() -> None:
    net, flat, X, Y = case("relu")
    net.views(flat)["b.1"][...] = -100  # every unit is dead

    for method in ("central", "complex"):
        found = check(net, flat, X, Y, targets=["W.1[0,0]", "A.0[1,1]", "Z.1"], method=method)

        assert {each.verdict for each in found.nudges} <= {"ok", "below_noise"}
        assert all(each.analytic == 0 for each in found.nudges)


def test_next_to_nothing_a_loss_has_no_derivative_that_a_step_could_measure() -> None:
    net = network(dense(3, "relu"), loss="poisson")
    flat, X, Y = net.initial_parameters(seed=3, dtype="float64"), rows(6), targets("poisson", 6, 3)
    net.views(flat)["b.1"][...] = -100  # every output is 0

    found = check(net, flat, X, Y, targets=["A.1[0,0]"])

    assert found.nudges[0].analytic == -np.inf
    assert found.nudges[0].verdict == "below_noise"
    assert found.nudges[0].error_bar == np.inf


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", [0, 1, 100], ids=["exact zeros", "plain", "saturated"])
def test_every_activation_and_loss_passes_where_all_is_zero_and_where_all_is_saturated(
    activation: str, size: int
) -> None:
    for loss in LOSSES:
        net = network(dense(3, activation), dense(3, head_of(loss)), loss=loss)
        flat = net.initial_parameters(seed=3, dtype="float64") * size
        X, Y = rows(4), targets(loss, 4, 3)
        X[0] = 0

        found = check(net, flat, X, Y, targets=["W", "b", "Z", "A"], method="complex")

        assert set(found.verdicts) <= {"ok", "kink", "below_noise"}, loss
        assert size != 1 or found.verdicts["ok"] > len(found.nudges) / 2


# Every tensor, by every method -------------------------------------------------------------------------------------


def random_case(found: dict[str, Any]) -> tuple[Network, Array, Array, Array]:
    """A network of the random ones, with the numbers it is compared with PyTorch by."""
    net, seed, m = built(found), found["seed"], found["m"]
    named = {name: drawing.parameter(seed, name, tuple(shape)) for name, shape in found["shapes"].items()}
    X = drawing.inputs(seed, m, tuple(found["input_shape"]), found["levels"]).reshape(m, -1)
    return net, net.flatten(named, dtype="float64"), X, drawing.targets(seed, found["targets"], m, net.n_out)


@pytest.mark.parametrize("found", CASES, ids=lambda found: str(found["seed"]))
def test_random_networks_pass_at_every_boundary_by_every_method(found: dict[str, Any]) -> None:
    net, flat, X, Y = random_case(found)
    weights = drawing.weights(found["seed"], len(X))[:, 0] if found["weighted"] else None
    names = list(nudgeable(net, len(X)))

    by_steps, by_directions = (
        check(net, flat, X, Y, targets=names, method="direction", seed=seed, weights=weights) for seed in (1, 2)
    )
    by_differences = check(net, flat, X, Y, targets="random:1", method="central", weights=weights)

    for checked in (by_steps, by_directions, by_differences):
        assert set(checked.verdicts) <= {"ok", "kink", "below_noise"}
    assert [each.address for each in by_steps.nudges] == names
    largest = max(abs(each.analytic) for each in by_steps.nudges)
    far = [each for each in by_steps.nudges if each.verdict == "ok"]
    assert len(far) > len(names) / 2
    assert max(abs(each.analytic - each.numeric) for each in far) < 1e-14 * largest


def test_every_layer_and_loss_has_a_complex_form_and_no_layer_two() -> None:
    kinds = {*LAYERS.values(), *ACTIVATIONS.values(), Part} - {ActivationLayer}

    assert FORMS.keys() | PLAIN == kinds
    assert not FORMS.keys() & PLAIN
    assert LOSS_FORMS.keys() == set(LOSSES.values())


@pytest.mark.parametrize("found", CASES, ids=lambda found: str(found["seed"]))
def test_a_complex_forward_pass_is_the_real_one_at_real_points(found: dict[str, Any]) -> None:
    net, flat, X, Y = random_case(found)
    real, complex_ = (Forward(net, flat, X, Y, None, dtype=dtype) for dtype in (np.float64, np.complex128))

    for name in ("A.0", net.boundary_names[-1]):
        for each in (real, complex_):
            each.settle(name)
        expected, losses = real.losses(name), complex_.losses(name)

        np.testing.assert_allclose(losses.real, expected, rtol=1e-13, atol=1e-13)
        assert not losses.imag.any()


@pytest.mark.parametrize("method", ["central", "complex"])
@pytest.mark.parametrize("head", HEADS)
def test_derivatives_by_z_and_a_are_those_of_a_nudge_at_their_boundary(head: str, method: Method) -> None:
    found = check(*case("sigmoid", head), targets=["Z", "A"], method=method)

    names = {each.address.partition("[")[0] for each in found.nudges}
    assert names == {"A.0", "Z.1", "A.1", "Z.2", "A.2"}
    assert set(found.verdicts) <= {"ok", "below_noise"}
    assert found.verdicts["ok"] > 70


def test_the_order_of_the_targets_does_not_matter() -> None:
    addresses = ["W.2[1,1]", "A.0[3,2]", "Z.2[0,1]", "W.1[0,0]", "A.1[5,4]", "b.2[0]", "Z.1[2,2]", "A.2[1,0]"]

    for method in ("central", "complex"):
        together = check(*case(), targets=addresses, method=method).nudges

        assert together == tuple(check(*case(), targets=[each], method=method).nudges[0] for each in addresses)


def test_a_nudge_behind_a_max_pool_crosses_none_of_its_kinks() -> None:
    layers = (ReshapeSpec(shape=(2, 2, 1)), MaxPoolSpec(), FlattenSpec(), dense(3, "softmax"))
    net = network(*layers)
    flat = net.initial_parameters(seed=3, dtype="float64")

    for method in ("central", "complex"):
        found = check(net, flat, rows(6), targets("cross_entropy", 6, 3), targets=["layers.1.y"], method=method)

        assert found.verdicts == {"ok": 6}


def test_what_a_residual_block_parts_has_no_derivative_of_its_own() -> None:
    net = network(ResidualSpec(layers=(dense(4),)), dense(3, "softmax"))
    flat = net.initial_parameters(seed=3, dtype="float64")
    X, Y = rows(6), targets("cross_entropy", 6, 3)

    everything = check(net, flat, X, Y, targets=list(nudgeable(net, 6)), method="direction")

    assert everything.verdicts == {"ok": len(everything.nudges)}
    with pytest.raises(SpecError, match=r"targets\[0\]: expected a number"):
        check(net, flat, X, Y, targets=["layers.0.part.y[0,0]"])


# Which numbers -----------------------------------------------------------------------------------------------------


def test_all_numbers_are_those_of_the_parameters_and_of_x() -> None:
    net, flat, X, Y = case()

    found = check(net, flat, X, Y, targets="all")

    assert len({each.address for each in found.nudges}) == net.parameter_count + X.size


def test_the_largest_are_those_of_each_tensor() -> None:
    net, flat, X, Y = case()
    dW = np.abs(inspect(net, flat, X, Y, quantities=["dW.1"]).tensors["dW.1"])

    found = check(net, flat, X, Y, targets="topk:3")

    of_W = [each for each in found.nudges if each.address.startswith("W.1")]
    assert [abs(each.analytic) for each in of_W] == pytest.approx(sorted(dW.flat, reverse=True)[:3])
    assert len(found.nudges) == 5 * 3


def test_a_number_behind_random_says_how_many_of_each_tensor() -> None:
    assert [each.address for each in check(*case(), targets="random:3", seed=5).nudges] == [
        each.address for each in check(*case(), samples=3, seed=5).nudges
    ]


def test_a_direction_is_one_number_for_a_tensor_and_follows_from_the_seed() -> None:
    first, again, other = (check(*case(), targets=["W", "b"], method="direction", seed=seed) for seed in (1, 1, 2))

    assert [each.address for each in first.nudges] == ["W.1", "W.2", "b.1", "b.2"]
    assert first.nudges == again.nudges
    assert first.nudges != other.nudges
    assert first.forward_passes == 4 + 1  # one more to see the loss as it is


@pytest.mark.parametrize(
    ("targets_", "method", "message"),
    [
        ("every", "auto", "targets: expected a list of addresses, all, random"),
        ("random:0", "auto", "targets: expected a list of addresses, all, random"),
        (["W.1[0,0]"], "direction", r"targets\[0\]: expected a whole tensor for the method direction"),
        (["dW"], "auto", r"targets\[0\]: expected a number"),
    ],
)
def test_targets_that_can_not_be_are_refused(targets_: Any, method: Method, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check(*case(), targets=targets_, method=method)


def test_the_input_follows_the_convention_and_parameters_do_not() -> None:
    net, flat, X, Y = case()
    addresses = ["A.0[0,0]", "W.1[0,0]"]

    own, mean = (check(net, flat, X, Y, targets=addresses, convention=c) for c in ("per_example", "mean"))

    assert own.nudges[0].numeric == pytest.approx(6 * mean.nudges[0].numeric, rel=1e-6)
    assert own.nudges[1].numeric == mean.nudges[1].numeric
    assert own.nudges[1].analytic == pytest.approx(mean.nudges[1].analytic, rel=1e-12)


def test_columns_turn_addresses_of_matrices() -> None:
    net, flat, X, Y = case()

    ours = check(net, flat, X, Y, targets=["W.1[0,3]", "b.2[1]"])
    textbooks = check(net, flat, X, Y, targets=["W.1[3,0]", "b.2[1]"], orientation="columns")

    assert [each.numeric for each in ours.nudges] == [each.numeric for each in textbooks.nudges]
    assert textbooks.nudges[0].address == "W.1[3,0]"


def test_samples_follow_from_the_seed() -> None:
    first, again, other = (check(*case(), samples=3, seed=seed) for seed in (1, 1, 2))

    assert [each.address for each in first.nudges] == [each.address for each in again.nudges]
    assert [each.address for each in first.nudges] != [each.address for each in other.nudges]


def test_a_check_out_of_time_says_that_it_is_not_complete() -> None:
    asked = iter([False, False, True])

    found = check(*case(), samples=3, deadline=lambda: next(asked))

    assert len(found.nudges) == 2
    assert not found.is_complete


def test_parameters_and_inputs_are_left_as_they_were() -> None:
    net, flat, X, Y = case()
    before = flat.copy(), X.copy(), Y.copy()

    for method in ("central", "complex", "direction"):
        check(net, flat, X, Y, method=method)

    for array, copy in zip((flat, X, Y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("W.3[0,0]", r"targets\[0\]: expected a number such as"),
        ("dW.1[0,0]", r"targets\[0\]: expected a number such as"),
        ("W.1[0,0", r"targets\[0\]: expected a number such as"),
        ("W.1[٣,0]", r"targets\[0\]: expected a number such as"),
        ("W.1[0]", r"targets\[0\]: expected an index into W\.1 of shape \[4, 5\], got \[0\]"),
        ("W.1[4,0]", r"targets\[0\]: expected an index into W\.1 of shape \[4, 5\], got \[4, 0\]"),
        ("A.0[6,0]", r"targets\[0\]: expected an index into A\.0 of shape \[6, 4\], got \[6, 0\]"),
    ],
)
def test_an_address_that_is_not_there_is_refused(address: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check(*case(), targets=[address])
