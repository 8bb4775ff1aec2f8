"""Inspections that are answered later, by a worker of a real server."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.test_durability import start_penguins
from tests.support import PATIENCE_SECONDS, Api, Server, problem, server, until

QUICKLY = {"training": {"epochs": 20, "batch_size": 16, "early_stopping": None}}
LATER = {"Prefer": "respond-async"}


def ask(served: Server, method: str, path: str, **options: Any) -> httpx.Response:
    return httpx.request(method, f"{served.url}{path}", timeout=PATIENCE_SECONDS, trust_env=False, **options)


def test_an_answer_comes_later_as_it_would_have_come_at_once(tmp_path: Path) -> None:
    with server(tmp_path / "data") as served:
        run = served.client.wait(start_penguins(served.client, **QUICKLY).id, timeout_seconds=PATIENCE_SECONDS)
        path, body = f"/v1/runs/{run.id}/bisect", {"quantity": "loss", "comparison": "<", "value": 0.5}

        accepted = ask(served, "POST", path, json=body, headers=LATER)
        assert accepted.status_code == 202, accepted.text
        assert accepted.headers["preference-applied"] == "respond-async"
        place = accepted.headers["location"]
        done = until(
            lambda: (found := ask(served, "GET", place).json())["status"] == "answered" and found, what="an answer"
        )
        later, now = ask(served, "GET", done["answer"]), ask(served, "POST", path, json=body)

        assert (later.status_code, done["answer_status"]) == (200, 200)
        assert {**later.json(), "replay": None} == {**now.json(), "replay": None}
        assert later.json()["replay"]["status"] == "exact"
        assert ask(served, "DELETE", place).status_code == 204
        assert ask(served, "GET", place).status_code == 404

        refused = ask(served, "GET", f"/v1/runs/{run.id}/steps/999999", headers=LATER).headers["location"]
        until(lambda: ask(served, "GET", refused).json()["status"] == "answered", what="a problem as the answer")
        assert ask(served, "GET", f"{refused}/answer").json()["code"] == "no_such_step"


def test_a_request_waits_where_no_worker_is(api: Api) -> None:
    run = api.train()

    found = api.get(f"/v1/runs/{run['id']}/steps/1", headers=LATER)

    assert found.status_code == 202
    place = found.headers["location"]
    assert api.get(place).json()["status"] == "queued"
    problem(api.get(f"{place}/answer"), 409, "not_answered_yet")


def test_no_more_requests_wait_than_the_limit_says(tmp_path: Path) -> None:
    with Api(tmp_path, limits={"deferred_requests": 1}) as api:
        run = api.train()
        assert api.get(f"/v1/runs/{run['id']}/steps/1", headers=LATER).status_code == 202

        assert problem(api.get(f"/v1/runs/{run['id']}/steps/1", headers=LATER), 429)["limit"] == "deferred_requests"


@pytest.mark.parametrize("prefer", ["wait=10", "return=minimal"])
def test_other_preferences_are_ignored(api: Api, prefer: str) -> None:
    run = api.train()

    assert api.get(f"/v1/runs/{run['id']}/steps/1", headers={"Prefer": prefer}).status_code == 200
