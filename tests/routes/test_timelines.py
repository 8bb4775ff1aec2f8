"""Timelines, searches and comparisons over the steps of runs."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.routes.test_steps import step, train_in_pieces
from tests.support import QUICK, Api, Json, problem

ARROW = "application/vnd.apache.arrow.stream"
RELU = {"network": {"layers": [{"type": "dense", "units": 6, "activation": "relu"}]}}


def timeline(api: Api, run: Json, **options: Any) -> Json:
    answer = api.get(f"/v1/runs/{run['id']}/timeline", params=options)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def bisect(api: Api, run: Json, quantity: str, comparison: str, value: float, **options: Any) -> Json:
    body = {"quantity": quantity, "comparison": comparison, "value": value, **options}
    answer = api.post(f"/v1/runs/{run['id']}/bisect", body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_a_timeline_has_the_numbers_of_every_step(api: Api) -> None:
    run = api.train()

    found = timeline(api, run, quantities="loss;dW.1.norm;update_ratio.W.*;A.1[:,2].max")

    assert found["replay"]["status"] == "exact"
    columns = found["columns"]
    assert columns["step"] == list(range(1, 13))
    assert columns["epoch"] == [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert set(columns) == {
        "step", "epoch", "loss", "dW.1.norm", "update_ratio.W.1", "update_ratio.W.2", "A.1[:,2].max",
    }  # fmt: skip
    seen = step(api, run, 6)
    assert columns["loss"][5] == seen["loss"]
    assert columns["dW.1.norm"][5] == pytest.approx(seen["parameters"][0]["gradient_norm"], rel=1e-6)


def test_what_was_logged_is_given_as_it_was_without_a_replay(api: Api) -> None:
    run = api.train()
    losses = api.get(f"/v1/runs/{run['id']}/losses").json()

    found = timeline(api, run, quantities="train.loss;validation.loss", points=3)

    assert found["replay"]["status"] == "stored"
    assert found["columns"]["train.loss"] == losses["train.loss"][:1] + losses["train.loss"][1:]


def test_points_are_evenly_apart_and_hop_over_what_lies_between(api: Api) -> None:
    run = train_in_pieces(api, training={"epochs": 40, "batch_size": 1, "early_stopping": None})

    found = timeline(api, run, quantities="loss", points=4)

    steps = found["columns"]["step"]
    assert (steps[0], steps[-1], len(steps)) == (1, step(api, run, "last")["number"], 4)
    assert found["replay"]["status"] == "exact"
    assert found["replay"]["steps"] < steps[-1] / 2
    assert found["columns"]["loss"][2] == step(api, run, steps[2])["loss"]


def test_numbers_that_are_not_finite_are_null_and_named(api: Api) -> None:
    training = {"epochs": 30, "batch_size": 8, "optimizer": {"type": "sgd", "learning_rate": 1e18}}
    run = api.train(training=training, network={"layers": [{"type": "dense", "units": 4}]})
    assert run["status"] == "failed"

    found = timeline(api, run, quantities="W.1.norm;after.W.1.largest;train.loss")

    assert found["columns"]["W.1.norm"][0] is not None
    assert found["columns"]["train.loss"] == [None] * len(found["columns"]["step"])
    assert "train.loss" not in found["non_finite"], "it was not measured"


DIVERGING: Json = {"network": {"layers": [{"type": "dense", "units": 4}]}}


def diverged(api: Api, learning_rate: float) -> Json:
    sgd = {"type": "sgd", "learning_rate": learning_rate}
    run = api.train(training={"epochs": 30, "batch_size": 8, "optimizer": sgd}, **DIVERGING)
    assert (run["status"], run["reason"]["code"]) == ("failed", "diverged")
    return run


def test_the_step_that_diverged_is_the_last_of_a_timeline_and_is_found(api: Api) -> None:
    run = diverged(api, 1e30)
    assert "infinite" in run["reason"]["found"]
    number = (run["reason"]["epoch"] - 1) * step(api, run, 1)["steps_per_epoch"] + run["reason"]["step"]

    found = timeline(api, run, quantities="loss;gradient_norm")
    searches = [bisect(api, run, "dW.1.non_finite", ">", 0, search=search) for search in ("scan", "halve")]

    assert found["columns"]["step"][-1] == number
    assert found["columns"]["gradient_norm"][-1] is None
    assert found["columns"]["gradient_norm"][-2] is not None
    assert {each["step"] for each in searches} == {number}
    assert {each["replay"]["status"] for each in [found, *searches]} == {"exact"}


def test_steps_behind_a_loss_that_exploded_are_gone_through(api: Api) -> None:
    """A run whose loss explodes has taken some steps more before it sees that."""
    run = diverged(api, 1e18)
    assert "the batch's loss is" in run["reason"]["found"]

    found = timeline(api, run, quantities="loss")
    search = bisect(api, run, "loss", ">", 1e5, search="halve")

    assert search["step"] == run["reason"]["step"] <= found["columns"]["step"][-1]
    assert search["replay"]["status"] == found["replay"]["status"] == "exact"


def test_a_timeline_comes_as_an_arrow_stream_with_its_numbers_as_they_are(api: Api) -> None:
    run = diverged(api, 1e30)
    asked = {"quantities": "dW.1.largest;train.loss"}
    plain = timeline(api, run, **asked)

    by_header = api.get(f"/v1/runs/{run['id']}/timeline", params=asked, headers={"Accept": ARROW})
    by_name = api.get(f"/v1/runs/{run['id']}/timeline", params={**asked, "format": "arrow"})

    assert by_header.headers["content-type"] == by_name.headers["content-type"] == ARROW
    table = pa.ipc.open_stream(by_header.content).read_all()
    about = json.loads(table.schema.metadata[b"chainrule"])
    assert (about["run"], about["replay"]["status"]) == (run["id"], plain["replay"]["status"])
    columns = table.to_pydict()
    assert columns["step"] == plain["columns"]["step"]
    assert columns["train.loss"] == plain["columns"]["train.loss"], "none was measured"
    largest = columns["dW.1.largest"]
    assert [value if np.isfinite(value) else None for value in largest] == plain["columns"]["dW.1.largest"]
    assert not np.isfinite(largest[-1])
    problem(api.get(f"/v1/runs/{run['id']}/timeline", headers={"Accept": "text/html"}), 406)


@pytest.mark.parametrize("search", ["scan", "halve"])
def test_a_search_finds_the_first_step_where_a_number_passes_a_value(api: Api, search: str) -> None:
    run = api.train(training={**QUICK["training"], "epochs": 10})
    rates = timeline(api, run, quantities="learning_rate", points=100)["columns"]["learning_rate"]
    value = rates[22]

    found = bisect(api, run, "learning_rate", "<=", value, search=search)

    assert found["step"] == 1 + next(place for place, rate in enumerate(rates) if rate <= value)
    assert (found["value"], found["search"], found["replay"]["status"]) == (value, search, "exact")
    assert found["before"] > value
    assert found["evaluations"] == (found["step"] if search == "scan" else pytest.approx(6, abs=2))


def test_a_search_for_what_never_is_says_so(api: Api) -> None:
    run = api.train()

    found = bisect(api, run, "loss", "<", 0)

    assert (found["step"], found["value"], found["evaluations"]) == (None, None, 12)


def test_a_dead_unit_is_found_at_the_step_that_killed_it(api: Api) -> None:
    training = {"epochs": 6, "batch_size": 8, "optimizer": {"type": "sgd", "learning_rate": 3.0}}
    run = api.train(**RELU, training=training)
    columns = timeline(api, run, quantities=";".join(f"A.1[:,{unit}].max" for unit in range(6)))["columns"]
    died = {unit: columns[f"A.1[:,{unit}].max"] for unit in range(6)}
    unit, values = next((unit, values) for unit, values in died.items() if values[-1] == 0 and values[0] > 0)

    found = bisect(api, run, f"A.1[:,{unit}].max", "==", 0)

    assert found["step"] == 1 + values.index(0)
    assert found["before"] > 0


@pytest.mark.parametrize(
    ("quantity", "code"),
    [("dW.1", "not_one_number"), ("dW.7.norm", "unknown_quantity"), ("dW.1.size", "unknown_quantity")],
)
def test_a_number_that_is_not_there_is_refused_by_its_words(api: Api, quantity: str, code: str) -> None:
    run = api.train()

    body = {"quantity": quantity, "comparison": ">", "value": 0}
    problem(api.post(f"/v1/runs/{run['id']}/bisect", body), 422, code)
    problem(api.get(f"/v1/runs/{run['id']}/timeline", params={"quantities": quantity}), 422, code)


@pytest.mark.parametrize("place", [{"first": 13}, {"last": 13}, {"first": 5, "last": 4}])
def test_a_range_without_steps_is_refused(api: Api, place: Json) -> None:
    run = api.train()

    answer = problem(api.get(f"/v1/runs/{run['id']}/timeline", params={**place, "quantities": "loss"}), 422)

    assert "expected steps from 1 to 12" in answer["detail"]


# Comparisons -------------------------------------------------------------------------------------------------------


def diff(api: Api, a: Json, b: Json) -> Json:
    answer = api.post("/v1/diff", {"a": a, "b": b})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_two_moments_of_a_run_differ_by_what_it_learned_between(api: Api) -> None:
    run = api.train()

    found = diff(api, {"run": run["id"], "at": 3}, {"run": run["id"], "at": 4})

    seen = {each["name"]: each for each in step(api, run, 4)["parameters"]}
    assert found["moments"] == [3, 4]
    assert [each["name"] for each in found["parameters"]] == ["W.1", "b.1", "W.2", "b.2"]
    for each in found["parameters"]:
        assert each["distance"] == pytest.approx(seen[each["name"]]["update_norm"], rel=1e-5)
        assert not each["is_equal"]
    assert (found["spec"], found["unlike"]) == ({}, [])


def test_a_moment_does_not_differ_from_itself(api: Api) -> None:
    run = api.train()

    found = diff(api, {"run": run["id"], "at": 4}, {"run": run["id"], "at": "epoch:1"})

    assert all(each["is_equal"] and each["sign_flips"] == 0 for each in found["parameters"])
    np.testing.assert_allclose([each["cosine"] for each in found["parameters"]], 1)


def test_two_runs_part_at_the_first_step_that_went_another_way(api: Api) -> None:
    parent = train_in_pieces(api)
    overrides = {"at": "epoch:1", "training": {"optimizer": {"type": "adam", "learning_rate": 0.5}}}
    fork = api.post(f"/v1/runs/{parent['id']}/fork", overrides).json()
    api.work()

    found = diff(api, {"run": parent["id"], "at": "last"}, {"run": fork["id"], "at": "last"})

    assert (found["began_alike"], found["first_difference"]) == (True, 5)
    assert found["spec"]["training.optimizer.learning_rate"][1] == 0.5


def test_two_runs_of_one_spec_never_part(api: Api) -> None:
    dataset = api.upload()
    a, b = (api.train(dataset=dataset, seed=3) for _ in range(2))

    found = diff(api, {"run": a["id"]}, {"run": b["id"]})

    assert (found["began_alike"], found["first_difference"]) == (True, None)


def test_two_runs_with_other_seeds_differ_from_the_first_moment(api: Api) -> None:
    dataset = api.upload()
    a, b = (api.train(dataset=dataset, seed=seed) for seed in (3, 4))

    found = diff(api, {"run": a["id"]}, {"run": b["id"]})

    assert (found["began_alike"], found["first_difference"], found["spec"]["seed"]) == (False, 0, [3, 4])


def test_networks_of_other_shapes_are_compared_where_they_can_be(api: Api) -> None:
    dataset = api.upload()
    a = api.train(dataset=dataset)
    b = api.train(dataset=dataset, network={"layers": [{"type": "dense", "units": 5, "activation": "tanh"}]})

    found = diff(api, {"run": a["id"]}, {"run": b["id"]})

    assert found["unlike"] == ["W.1", "W.2", "b.1"]
    assert [each["name"] for each in found["parameters"]] == ["b.2"]


def test_a_run_that_is_not_there_is_not_found(api: Api) -> None:
    problem(api.post("/v1/diff", {"a": {"run": "run_none"}, "b": {"run": "run_none"}}), 404)
