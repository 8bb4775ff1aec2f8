"""Watchpoints, and paused runs that go on with another training."""

from typing import Any

import pytest

from tests.routes.test_steps import step
from tests.routes.test_timelines import bisect, timeline
from tests.support import QUICK, Api, Json, problem

SPEC: Json = {
    "network": {"layers": [{"type": "dense", "units": 6, "activation": "relu"}, {"type": "dropout", "rate": 0.2}]},
    "training": {**QUICK["training"], "epochs": 6},
}


def watch(quantity: str, comparison: str, value: float) -> Json:
    return {"quantity": quantity, "comparison": comparison, "value": value}


def test_a_watched_run_pauses_at_the_first_step_where_it_holds(api: Api) -> None:
    free = api.train(**SPEC)
    norms = timeline(api, free, quantities="after.W.2.norm")["columns"]["after.W.2.norm"]
    value = sorted(norms)[len(norms) // 2]
    first = bisect(api, free, "after.W.2.norm", ">", value, search="scan")

    run_id = api.create(**SPEC, watchpoints=[watch("after.W.2.norm", ">", value)])["id"]
    api.work()

    run = api.run(run_id)
    assert (run["status"], run["reason"]["code"], run["reason"]["step"]) == ("paused", "watchpoint", first["step"])
    [point] = api.get(f"/v1/runs/{run_id}/watchpoints").json()["items"]
    assert (point["hit_step"], point["hit_value"]) == (first["step"], pytest.approx(first["value"]))
    assert step(api, run, "last")["number"] == first["step"]
    assert step(api, run, "last")["replay"]["status"] == "exact"


def test_a_watchpoint_met_at_the_very_last_step_is_told_though_the_run_is_over(api: Api) -> None:
    free = api.train(**SPEC)
    last = timeline(api, free, quantities="learning_rate")["columns"]["learning_rate"][-1]

    run_id = api.create(**SPEC, watchpoints=[watch("learning_rate", "<=", last)])["id"]
    api.work()

    run = api.run(run_id)
    [point] = api.get(f"/v1/runs/{run_id}/watchpoints").json()["items"]
    assert run["status"] == "succeeded"
    assert (point["hit_step"], point["hit_value"]) == (step(api, run, "last")["number"], last)


def test_a_run_pauses_before_the_step_that_would_end_it(api: Api) -> None:
    """Watched for numbers that are not finite, it stands before that step, and can be looked at and mended."""
    spec = {
        "network": {"layers": [{"type": "dense", "units": 4}]},
        "training": {"epochs": 30, "batch_size": 8, "optimizer": {"type": "sgd", "learning_rate": 1e30}},
    }
    failed = api.train(**spec)["reason"]
    assert failed["code"] == "diverged"

    run_id = api.create(**spec, watchpoints=[watch("dW.1.non_finite", ">", 0)])["id"]
    api.work()

    run = api.run(run_id)
    assert (run["status"], run["reason"]["code"]) == ("paused", "watchpoint")
    number = run["reason"]["step"]
    bad = step(api, run, number)
    assert number == (failed["epoch"] - 1) * bad["steps_per_epoch"] + failed["step"]
    assert (bad["gradient_norm"], bad["replay"]["status"]) == (None, "exact")
    assert step(api, run, "last")["number"] == number - 1
    api.post(f"/v1/runs/{run_id}/resume")
    api.work()
    assert api.run(run_id)["reason"] == failed


def test_a_run_pauses_at_a_loss_that_would_end_it(api: Api) -> None:
    spec = {
        "network": {"layers": [{"type": "dense", "units": 4}]},
        "training": {"epochs": 30, "batch_size": 8, "optimizer": {"type": "sgd", "learning_rate": 1e18}},
    }
    failed = api.train(**spec)["reason"]

    run_id = api.create(**spec, watchpoints=[watch("loss", ">", 1e5)])["id"]
    api.work()

    run = api.run(run_id)
    assert (run["status"], run["reason"]["code"], run["reason"]["step"]) == ("paused", "watchpoint", failed["step"])
    assert step(api, run, "last")["loss"] > 1e5


def test_a_run_that_was_watched_and_resumed_ends_with_the_same_bits(api: Api) -> None:
    free = api.train(**SPEC)
    run_id = api.create(**SPEC, watchpoints=[watch("loss", "<", 10), watch("learning_rate", "<", 0.001)])["id"]
    api.work()

    assert api.run(run_id)["reason"]["step"] == 1
    for _ in range(2):
        api.post(f"/v1/runs/{run_id}/resume")
        api.work()

    run = api.run(run_id)
    assert run["status"] == "succeeded"
    assert run["weights_digest"] == free["weights_digest"]
    assert {point["hit_step"] is None for point in api.get(f"/v1/runs/{run_id}/watchpoints").json()["items"]} == {False}


def test_a_watchpoint_that_no_step_can_meet_is_told_and_does_not_stop_the_run(api: Api) -> None:
    run_id = api.create(**SPEC, watchpoints=[watch("dW.9.norm", ">", 0)])["id"]
    api.work()

    assert api.run(run_id)["status"] == "succeeded"


def test_a_deleted_watchpoint_is_not_looked_for(api: Api) -> None:
    run_id = api.create(**SPEC)["id"]
    point = api.post(f"/v1/runs/{run_id}/watchpoints", watch("loss", "<", 10)).json()
    assert api.delete(f"/v1/runs/{run_id}/watchpoints/{point['id']}").status_code == 204
    api.work()

    assert api.run(run_id)["status"] == "succeeded"
    problem(api.delete(f"/v1/runs/{run_id}/watchpoints/{point['id']}"), 404)


def test_words_for_no_number_and_finished_runs_are_refused(api: Api) -> None:
    run = api.train()

    answer = problem(api.post(f"/v1/runs/{run['id']}/watchpoints", watch("loss?", ">", 0)), 422, "unknown_quantity")
    assert "expected a number of a step" in answer["detail"]
    problem(api.post(f"/v1/runs/{run['id']}/watchpoints", watch("loss", ">", 0)), 409, "not_allowed_now")
    body = {"dataset": api.upload(), "target": "label", "watchpoints": [watch("loss", ">", 0)]}
    plain = {"network": {"layers": [{"type": "dense", "units": 4}]}, "training": {"optimizer": "lbfgs"}}
    problem(api.post("/v1/runs", {**body, **plain}), 422, "no_watchpoints")


# Changed on the way ------------------------------------------------------------------------------------------------


def paused_at_step(api: Api, number: int, **spec: Any) -> str:
    """A run that stands where so many steps are done."""
    run_id = str(api.create(**{**SPEC, **spec}, watchpoints=[watch("loss", ">", -1)])["id"])
    for _ in range(number - 1):
        api.work()
        api.post(f"/v1/runs/{run_id}/watchpoints", watch("loss", ">", -1))
        api.post(f"/v1/runs/{run_id}/resume")
    api.work()
    assert api.run(run_id)["reason"]["step"] == number
    return run_id


def test_a_paused_run_goes_on_with_another_learning_rate(api: Api) -> None:
    free = api.train(**SPEC)
    run_id = paused_at_step(api, 2)

    answer = api.post(f"/v1/runs/{run_id}/resume", {"training": {"optimizer": {"learning_rate": 0.1}}})
    assert answer.status_code == 202, answer.text
    api.work()

    run = api.run(run_id)
    assert run["status"] == "succeeded"
    assert run["resolved"]["training"]["optimizer"]["learning_rate"] == 0.1
    rates = timeline(api, run, quantities="learning_rate")
    usual = timeline(api, free, quantities="learning_rate")["columns"]["learning_rate"]
    assert rates["replay"]["status"] == "exact"
    assert rates["columns"]["learning_rate"][:2] == usual[:2]
    factor = 0.1 / free["resolved"]["training"]["optimizer"]["learning_rate"]
    assert rates["columns"]["learning_rate"][2:] == pytest.approx([factor * rate for rate in usual[2:]])
    assert step(api, run, 2)["digest_after"] == step(api, free, 2)["digest_after"]
    assert {step(api, run, number)["replay"]["status"] for number in (1, 3, "last")} == {"exact"}


def test_a_fork_from_before_a_change_goes_on_as_the_run_did_then(api: Api) -> None:
    free = api.train(**SPEC)
    run_id = paused_at_step(api, 2)
    api.post(f"/v1/runs/{run_id}/resume", {"training": {"optimizer": {"learning_rate": 0.1}}})
    api.work()

    twin = api.post(f"/v1/runs/{run_id}/fork", {"at": 1}).json()
    api.work()

    assert api.run(twin["id"])["weights_digest"] == free["weights_digest"]


@pytest.mark.parametrize(
    ("training", "pointer"),
    [
        ({"batch_size": 4}, "/training/batch_size"),
        ({"epochs": 0}, "/training/epochs"),
        ({"dtype": "float64"}, "/training/dtype"),
        ({"optimizer": {"learning_rate": -1}}, "/training/optimizer/learning_rate"),
    ],
)
def test_a_change_that_can_not_be_is_refused_and_the_run_stays_paused(api: Api, training: Json, pointer: str) -> None:
    run_id = paused_at_step(api, 1)

    answer = problem(api.post(f"/v1/runs/{run_id}/resume", {"training": training}), 422)

    assert answer["errors"][0]["pointer"] == pointer
    assert api.run(run_id)["status"] == "paused"


def test_only_a_paused_run_can_be_changed(api: Api) -> None:
    run_id = api.create(**SPEC)["id"]

    problem(
        api.post(f"/v1/runs/{run_id}/resume", {"training": {"optimizer": {"learning_rate": 0.1}}}),
        409,
        "not_allowed_now",
    )
