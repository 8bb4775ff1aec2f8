"""A head's b that starts at the base rate: an input of zeros is answered with what is so on average."""

from typing import Any

import numpy as np
import pytest

from engine.base_rate import LINKS, base_rate_bias
from engine.errors import SpecError
from engine.layers import ACTIVATIONS
from engine.network import Network
from engine.parameters import Array
from engine.spec import RunSpec, TargetFacts, resolve
from engine.training import TrainingData, TrainingState
from tests.engine.factories import dense, network, one_hot, rows

FACTS = {
    "binary": TargetFacts("binary", 1),
    "multiclass": TargetFacts("multiclass", 3),
    "multilabel": TargetFacts("multilabel", 2),
    "regression": TargetFacts("regression", 1),
}
RARE = (np.arange(200) % 20 == 0) * 1.0
TARGETS = {
    "binary": RARE[:, None],
    "multiclass": one_hot(np.minimum(np.arange(200) % 10, 2)),
    "multilabel": np.stack([RARE, 1 - RARE], axis=1),
    "regression": np.linspace(-1, 2, 200)[:, None],
}


def resolved(kind: str, **output: Any) -> RunSpec:
    spec = RunSpec.model_validate({"target": "y", "network": {"layers": [], "output": output}, "seed": 5})
    return resolve(spec, FACTS[kind], features=("a",), has_validation=False)


def started(spec: RunSpec, Y: Array) -> tuple[Network, TrainingState]:
    net = Network.of(spec, n_in=4)
    return net, TrainingState.of(spec, net, TrainingData(rows(len(Y)), Y))


@pytest.mark.parametrize("kind", FACTS)
def test_an_input_of_zeros_is_answered_with_the_mean_target(kind: str) -> None:
    net, state = started(resolved(kind, bias_init="base_rate"), TARGETS[kind])

    A = net.predict(state.parameters, np.zeros((1, 4), "float32"))

    np.testing.assert_allclose(A[0], TARGETS[kind].mean(axis=0), rtol=1e-5)


def test_two_classes_behind_a_softmax_too() -> None:
    Y = np.hstack([1 - RARE[:, None], RARE[:, None]])
    net, state = started(resolved("binary", activation="softmax", bias_init="base_rate"), Y)

    A = net.predict(state.parameters, np.zeros((1, 4), "float32"))

    np.testing.assert_allclose(A[0], [0.95, 0.05], rtol=1e-5)


@pytest.mark.parametrize("kind", FACTS)
def test_only_b_differs_and_without_being_asked_it_is_zero(kind: str) -> None:
    (net, asked), (_, plain) = (
        started(resolved(kind, **more), TARGETS[kind]) for more in ({"bias_init": "base_rate"}, {})
    )

    np.testing.assert_array_equal(net.views(asked.parameters)["W.1"], net.views(plain.parameters)["W.1"])
    assert net.views(asked.parameters)["b.1"].all()
    assert not net.views(plain.parameters)["b.1"].any()


@pytest.mark.parametrize("activation", LINKS)
def test_a_link_undoes_its_activation(activation: str) -> None:
    A = np.array([[0.2, 0.7, 0.1]])
    net = network(dense(3, activation), n_in=3, loss="half_squared_error")
    flat = net.flatten({"W.1": np.eye(3), "b.1": np.zeros(3)}, dtype="float64")

    np.testing.assert_allclose(net.predict(flat, LINKS[activation](A)), A, rtol=1e-14)


@pytest.mark.parametrize("activation", LINKS)
@pytest.mark.parametrize("m", [1, 2, 7])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_never_or_always_happens_leaves_b_finite(activation: str, m: int, value: float) -> None:
    b = base_rate_bias(activation, np.full((m, 3), value, "float32"))

    assert b.shape == (3,)
    assert np.isfinite(b).all()


def test_a_class_that_no_training_row_has_is_as_rare_as_half_a_row() -> None:
    b = base_rate_bias("sigmoid", np.zeros((50, 1)))

    assert 1 / (1 + np.exp(-b[0])) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("kind", "activation"), [("regression", "tanh"), ("regression", "sigmoid"), ("regression", "relu")]
)
def test_a_head_without_a_link_for_its_targets_is_refused(kind: str, activation: str) -> None:
    with pytest.raises(SpecError, match=r"network\.output\.bias_init: expected zeros behind .*identity, exponential"):
        resolved(kind, activation=activation, bias_init="base_rate")


def test_every_link_is_an_activations() -> None:
    assert set(LINKS) <= set(ACTIVATIONS)


@pytest.mark.parametrize("kind", FACTS)
def test_a_resolved_base_rate_sent_again_is_the_same(kind: str) -> None:
    once = resolved(kind, bias_init="base_rate")

    again = resolve(
        RunSpec.model_validate(once.model_dump(mode="json")), FACTS[kind], features=("a",), has_validation=False
    )

    assert again == once
    assert '"auto"' not in once.network.model_dump_json()
