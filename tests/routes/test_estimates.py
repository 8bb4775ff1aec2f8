"""What requests would cost, told before they are made."""

from typing import Any

import pytest
from sqlalchemy import select

from service.schemas.inspections import NETWORK_EXAMPLE
from service.store.tables import EpochRow
from tests.routes.test_steps import step, train_in_pieces
from tests.routes.test_timelines import bisect, timeline
from tests.support import Api, Json, problem

ONLY = {"estimate_only": True}


def estimate(api: Api, run: Json, **question: Any) -> Json:
    answer = api.post(f"/v1/runs/{run['id']}/inspect", {**question, **ONLY})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def run_of_pieces(api: Api) -> Json:
    return train_in_pieces(api, training={"epochs": 40, "batch_size": 1, "early_stopping": None})


@pytest.mark.parametrize("at", [1, 7, 90, "last"])
def test_the_steps_before_a_step_are_counted_as_they_are_gone(api: Api, at: Any) -> None:
    run = run_of_pieces(api)

    told, done = step(api, run, at, **ONLY), step(api, run, at)

    assert told["replayed_steps"] == done["number"] - 1 - done["replay"]["start"]["moment"]
    assert told["seconds"] == told["replay_seconds"] > 0
    assert not told["is_long"]


def test_a_timeline_counts_what_it_goes_through_and_what_was_logged_costs_nothing(api: Api) -> None:
    run = run_of_pieces(api)

    told = {points: timeline(api, run, quantities="loss", points=points, **ONLY) for points in (2, 5, 10_000)}
    logged = timeline(api, run, quantities="train.loss", **ONLY)

    whole = timeline(api, run, quantities="loss", points=10_000)
    assert told[10_000]["replayed_steps"] == whole["columns"]["step"][-1] - 1
    assert told[2]["replayed_steps"] <= told[5]["replayed_steps"] < told[10_000]["replayed_steps"]
    assert (logged["replayed_steps"], logged["seconds"]) == (0, 0)


@pytest.mark.parametrize("search", ["scan", "halve", "auto"])
def test_a_search_that_finds_nothing_goes_as_far_as_was_told(api: Api, search: str) -> None:
    run = api.train()

    told = bisect(api, run, "loss", "<", -1, search=search, **ONLY)
    done = bisect(api, run, "loss", "<", -1, search=search)

    assert told["replayed_steps"] >= done["replay"]["steps"] - 1
    assert told["replayed_steps"] >= 11


def test_an_inspection_is_told_in_backward_passes(api: Api) -> None:
    run, rows = api.train(), {"dataset_rows": {"part": "train", "limit": 4}}

    plain = estimate(api, run, **rows, at="best", quantities=["dW"])
    norms = estimate(api, run, **rows, at=3, quantities=["dW", "example_norm"])
    attributed = [
        estimate(api, run, **rows, quantities=["integrated_gradients"], options={"nodes": nodes}) for nodes in (10, 20)
    ]

    assert (plain["replayed_steps"], plain["backward_passes"]) == (0, 0)
    assert norms["replayed_steps"] == 3
    assert 0 < norms["backward_passes"] < 1
    assert attributed[1]["backward_passes"] == 2 * attributed[0]["backward_passes"]
    assert all(each["seconds"] == each["replay_seconds"] + each["pass_seconds"] for each in (plain, norms))


def test_an_inspection_without_a_run_is_told_too(api: Api) -> None:
    answer = api.post("/v1/inspect", {**NETWORK_EXAMPLE, "quantities": ["hessian_eigenvalues"], **ONLY}).json()

    assert answer["replayed_steps"] == 0
    assert answer["backward_passes"] > 50


def test_an_estimate_refuses_what_the_request_would_be_refused_for(api: Api) -> None:
    run = api.train()

    body = {"dataset_rows": {"part": "train"}, "quantities": ["dW.9"], **ONLY}
    problem(api.post(f"/v1/runs/{run['id']}/inspect", body), 422, "unknown_quantity")
    problem(api.get(f"/v1/runs/{run['id']}/steps/99?estimate_only=true"), 404, "no_such_step")
    problem(api.get(f"/v1/runs/{run['id']}/timeline?estimate_only=true&first=99"), 422)


def test_what_would_surely_take_too_long_is_not_begun(api: Api) -> None:
    run = api.train()
    with api.database.write() as session:
        for row in session.scalars(select(EpochRow)):
            row.values = {**row.values, "seconds": 1000.0}

    answers = [
        api.get(f"/v1/runs/{run['id']}/steps/12"),
        api.get(f"/v1/runs/{run['id']}/timeline"),
        api.post(f"/v1/runs/{run['id']}/bisect", {"quantity": "loss", "comparison": "<", "value": 0}),
        api.post(f"/v1/runs/{run['id']}/inspect", {"at": 11, "dataset_rows": {"part": "train"}}),
    ]

    for answer in answers:
        found = problem(answer, 413)
        assert found["limit"] == "replay_seconds"
        assert found["estimated_seconds"] > 180
        assert "Prefer: respond-async" in found["detail"]
    assert step(api, run, 12, **ONLY)["is_long"]
