from collections.abc import Callable

import numpy as np
import pytest

from engine.errors import SpecError
from engine.inspection import check
from engine.layers import LAYERS
from engine.layers.base import Slot
from engine.layers.dense import Dense
from engine.network import Network
from engine.parameters import Array
from engine.plans import Plan, call
from tests.engine.factories import HEADS, dense, network, rows, targets


def case(activation: str = "tanh", head: str = "softmax") -> tuple[Network, Array, Array, Array]:
    net = network(dense(5, activation), dense(3, head), loss=HEADS[head])
    flat = net.initial_parameters(seed=3, dtype="float64")
    return net, flat, rows(6), targets(HEADS[head], 6, 3)


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "tanh", "softmax"])
@pytest.mark.parametrize("head", HEADS)
def test_a_right_gradient_is_ok_everywhere(activation: str, head: str) -> None:
    found = check(*case(activation, head), samples=10)

    assert set(found.verdicts) <= {"ok", "below_noise"}
    assert found.verdicts["ok"] >= 30
    assert found.is_complete


def test_away_from_noise_both_ways_agree_to_seven_digits() -> None:
    found = check(*case(), samples=100)

    worst = max(
        abs(each.analytic - each.numeric) / abs(each.analytic) for each in found.nudges if abs(each.analytic) > 1e-3
    )
    assert worst < 1e-7


def wrong_by_a_factor(layer: Dense, slot: Slot) -> Plan:
    yield from right(layer, slot)
    yield call(np.multiply, slot.grads["W"], 1 + 1e-6, slot.grads["W"])


def without_a_sum(layer: Dense, slot: Slot) -> Plan:
    yield from right(layer, slot)
    yield call(np.copyto, slot.grads["b"], slot.dy[0])


right = Dense.backward


@pytest.mark.parametrize(("backward", "tensor"), [(wrong_by_a_factor, "W"), (without_a_sum, "b")])
def test_a_wrong_layer_is_a_mismatch(
    monkeypatch: pytest.MonkeyPatch, backward: Callable[[Dense, Slot], Plan], tensor: str
) -> None:
    monkeypatch.setattr(LAYERS["dense"], "backward", backward)

    found = check(*case(), samples=10)

    wrong = {each.address.partition(".")[0] for each in found.nudges if each.verdict == "mismatch"}
    assert wrong == {tensor}


def test_a_kink_crossed_by_a_nudge_is_reported_and_names_its_unit() -> None:
    net, flat, X, Y = case("relu")
    views = net.views(flat)
    views["b.1"][...] -= X[2] @ views["W.1"] + views["b.1"]  # every unit's Z is 0 for the third row

    found = check(net, flat, X, Y, targets=["b.1[1]", "W.1[0,4]"])

    assert [each.verdict for each in found.nudges] == ["kink", "kink"]
    assert found.nudges[0].flipped == ("Z.1[2,1]",)
    assert found.worst_relative_error is None


def test_a_kink_of_the_loss_is_reported_too() -> None:
    net = network(dense(3, "identity"), loss="absolute_error")
    flat, X = net.initial_parameters(seed=3, dtype="float64"), rows(6)
    Y = net.predict(flat, X)  # every residual is 0
    Y[:, 0] += 5

    found = check(net, flat, X, Y, targets=["b.1[0]", "b.1[1]"])

    assert [each.verdict for each in found.nudges] == ["ok", "kink"]
    assert found.nudges[1].flipped[0] == "A.1[0,1]"


def test_a_derivative_of_nothing_is_below_noise_or_exactly_nothing() -> None:
    net, flat, X, Y = case("relu")
    net.views(flat)["b.1"][...] = -100  # every unit is dead

    found = check(net, flat, X, Y, targets=["W.1[0,0]", "A.0[1,1]"])

    assert {each.verdict for each in found.nudges} <= {"ok", "below_noise"}
    assert all(each.analytic == 0 for each in found.nudges)


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

    check(net, flat, X, Y)

    for array, copy in zip((flat, X, Y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("W.3[0,0]", r"targets\[0\]: expected an element such as"),
        ("Z.1[0,0]", r"targets\[0\]: expected an element such as"),
        ("W.1", r"targets\[0\]: expected an element such as"),
        ("W.1[0]", r"targets\[0\]: expected an index into W\.1 of shape \[4, 5\], got \[0\]"),
        ("W.1[4,0]", r"targets\[0\]: expected an index into W\.1 of shape \[4, 5\], got \[4, 0\]"),
        ("A.0[6,0]", r"targets\[0\]: expected an index into A\.0 of shape \[6, 4\], got \[6, 0\]"),
    ],
)
def test_an_address_that_is_not_there_is_refused(address: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check(*case(), targets=[address])
