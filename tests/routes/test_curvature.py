"""Curvature and attribution over HTTP: their options, of stateless networks and of runs."""

from typing import Any

import numpy as np
import pytest

from engine.losses import CrossEntropySpec
from engine.network import Network
from service.domain import inspections
from service.errors import TooLarge
from service.settings import Limits
from tests.engine.factories import dense, rows, targets
from tests.routes.test_inspections import HEADS, question
from tests.support import Api, Json, problem

CLASSES = HEADS[3]


def look(api: Api, *quantities: str, path: str = "/v1/inspect", body: Json | None = None, **options: Any) -> Json:
    sent = question(*CLASSES) if body is None else body
    answer = api.post(path, {**sent, "quantities": list(quantities), "options": options})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()["tensors"]
    return {name: np.array(tensor["values"]) for name, tensor in found.items()}


def test_a_product_is_with_the_vector_that_is_sent(shared: Api) -> None:
    one, two = (look(shared, "hessian_vector", vector={"b.2": [0, scale, 0]}) for scale in (1, 2))

    np.testing.assert_allclose(two["hessian_vector.W.1"], 2 * one["hessian_vector.W.1"], rtol=1e-12)
    assert one["hessian_vector.v.b.2"].tolist() == [0, 1, 0]
    assert one["hessian_vector"] == pytest.approx(one["hessian_vector.b.2"][1])


def test_columns_turn_the_vector_and_the_product(shared: Api) -> None:
    v = np.arange(20.0).reshape(4, 5)
    textbook = {**question(*CLASSES, columns=True), "orientation": "columns"}

    ours = look(shared, "hessian_vector", vector={"W.1": v.tolist()})
    turned = look(shared, "hessian_vector", body=textbook, vector={"W.1": v.T.tolist()})

    np.testing.assert_allclose(turned["hessian_vector.W.1"].T, ours["hessian_vector.W.1"], rtol=1e-10)


def test_eigenvalues_are_as_many_as_asked_for_at_each_end(shared: Api) -> None:
    found = look(shared, "ggn_eigenvalues", eigenvalues=2)

    assert found["ggn_eigenvalues.largest"].shape == found["ggn_eigenvalues.smallest"].shape == (2,)
    assert found["ggn_eigenvalues.largest"][0] > found["ggn_eigenvalues.largest"][1] > 0
    assert (np.abs(found["ggn_eigenvalues.smallest"]) < 1e-6).all()


@pytest.mark.parametrize("baseline", ["zeros", "mean", [1.0, 0.5, 0.0, -2.0]])
def test_integrated_gradients_close_from_any_baseline(shared: Api, baseline: Any) -> None:
    found = look(shared, "integrated_gradients", target=2, output="Z", baseline=baseline, rule="converged")

    difference = found["integrated_gradients.F"] - found["integrated_gradients.F_baseline"]
    np.testing.assert_allclose(found["integrated_gradients"].sum(axis=1), difference, atol=1e-5)


def test_a_penalty_counts_where_it_is_asked_for(shared: Api) -> None:
    plain = look(shared, "hessian_trace", l2=0.5)
    penalised = look(shared, "hessian_trace", l2=0.5, with_l2=True)

    assert penalised["hessian_trace"] == pytest.approx(plain["hessian_trace"] + 0.5 * 35)


WRONG: dict[str, tuple[Json, str]] = {
    "another split": ({"ggn_split": "W"}, "/options/ggn_split"),
    "no eigenvalues": ({"eigenvalues": 0}, "/options/eigenvalues"),
    "a target that is not there": ({"target": 3}, "/options/target"),
    "another target": ({"target": "class"}, "/options/target"),
    "a vector that does not fit": ({"vector": {"b.2": [1, 2]}}, "/options/vector/b.2"),
    "a vector of no parameter": ({"vector": {"b.7": [1, 2]}}, "/options/vector/b.7"),
    "a baseline that does not fit": ({"baseline": [1, 2]}, "/options/baseline"),
    "another rule": ({"rule": "simpson"}, "/options/rule"),
    "a penalty that is not given": ({"with_l2": True}, "/options/l2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_option_that_can_not_be_is_refused_at_its_place(shared: Api, name: str) -> None:
    options, pointer = WRONG[name]
    asked = ["hessian_vector", "integrated_gradients"]

    answer = problem(shared.post("/v1/inspect", {**question(*CLASSES), "quantities": asked, "options": options}), 422)

    assert answer["errors"][0]["pointer"] == pointer


def test_a_layer_without_known_curvature_is_named(shared: Api) -> None:
    body = question(*CLASSES)
    body["network"]["layers"].insert(1, {"type": "layer_norm"})
    body["parameters"] = {
        **{name: body["parameters"][name] for name in ("W.1", "b.1")},
        "gamma.2": [1] * 5,
        "beta.2": [0] * 5,
        "W.3": body["parameters"]["W.2"],
        "b.3": body["parameters"]["b.2"],
    }

    answer = problem(shared.post("/v1/inspect", {**body, "quantities": ["diag_ggn"]}), 422)

    assert answer["errors"][0]["pointer"] == "/network/layers/1"
    assert "layer_norm" in answer["detail"]


def test_what_takes_longer_than_the_limit_is_given_up() -> None:
    net = Network.build([dense(3, "softmax")], input_shape=(4,), loss=CrossEntropySpec())
    flat, X, Y = net.initial_parameters(seed=1, dtype="float64"), rows(5), targets("cross_entropy", 5, 3)
    asked = {"quantities": ["hessian_eigenvalues"], "convention": "mean", "orientation": "rows"}
    limits = Limits().model_copy(update={"inspect_seconds": -1})

    with pytest.raises(TooLarge) as caught:
        inspections.look(inspections.Subject(net, flat, X, Y, ""), {**asked, "head": "auto", "reduce": None}, limits)

    assert caught.value.extra["limit"] == "inspect_seconds"


# Under a run -------------------------------------------------------------------------------------------------------


def test_a_runs_curvature_and_attributions_are_asked_for_alike(shared: Api) -> None:
    run = shared.train(training={"epochs": 2, "batch_size": 8, "l2": 0.05})
    path = f"/v1/runs/{run['id']}/inspect"
    body: Json = {"dataset_rows": {"part": "train", "limit": 8}, "reduce": "full"}

    plain, penalised = (
        look(shared, "hessian_trace", "W", path=path, body=body, with_l2=counts) for counts in (False, True)
    )
    attributed = look(shared, "integrated_gradients", "A.0", path=path, body=body, target=0, baseline="mean")

    weights = sum(each.size for name, each in plain.items() if name.startswith("W."))
    assert penalised["hessian_trace"] == pytest.approx(plain["hessian_trace"] + 0.05 * weights)
    assert attributed["integrated_gradients"].shape == attributed["A.0"].shape
    assert (np.abs(attributed["integrated_gradients.residual"]) < 0.01).all()
