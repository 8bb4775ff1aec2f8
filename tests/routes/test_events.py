import re

import pytest

from tests.support import Api, Json, problem


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train()


def stream(api: Api, run: Json, **headers: str) -> list[tuple[int, str]]:
    """The ids and kinds of a whole stream, its end included."""
    answer = api.get(f"/v1/runs/{run['id']}/events", headers={"Accept": "text/event-stream", **headers})
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = re.findall(r"(?:id: (\d+)\n)?event: (\w+)\ndata: ", answer.text)
    return [(int(number or 0), kind) for number, kind in found]


def test_a_runs_story_is_told_in_order_without_gaps(shared: Api, run: Json) -> None:
    items = shared.get(f"/v1/runs/{run['id']}/events").json()["items"]

    kinds = [item["kind"] for item in items]
    assert [item["sequence"] for item in items] == list(range(1, len(items) + 1))
    assert kinds[:3] == ["created", "queued", "claimed"]
    assert kinds.count("epoch") == 3
    assert kinds[-1] == "succeeded"
    assert "checkpoint" in kinds


def test_pages_go_on_behind_their_cursor(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/events"
    whole = shared.get(path).json()["items"]

    first = shared.get(path, params={"limit": 2}).json()
    rest = shared.get(path, params={"cursor": first["next_cursor"]}).json()

    assert first["items"] + rest["items"] == whole
    assert rest["next_cursor"] is None


def test_a_stream_tells_the_same_and_ends(shared: Api, run: Json) -> None:
    items = shared.get(f"/v1/runs/{run['id']}/events").json()["items"]

    assert stream(shared, run) == [*((item["sequence"], item["kind"]) for item in items), (0, "end")]


def test_a_broken_stream_goes_on_behind_its_last_event(shared: Api, run: Json) -> None:
    whole = stream(shared, run)

    assert stream(shared, run, **{"Last-Event-ID": "3"}) == whole[3:]


def test_a_run_that_is_not_there_has_no_stream(shared: Api) -> None:
    problem(shared.get("/v1/runs/run_none/events", headers={"Accept": "text/event-stream"}), 404)


@pytest.mark.parametrize(("params", "headers"), [({"cursor": "x"}, {}), ({}, {"Last-Event-ID": "x"})])
def test_a_place_that_is_no_number_is_refused(shared: Api, run: Json, params: Json, headers: Json) -> None:
    problem(shared.get(f"/v1/runs/{run['id']}/events", params=params, headers=headers), 422)


@pytest.mark.parametrize("params", [{"after": 2**31}, {"cursor": "9" * 16}])
def test_behind_all_numbers_there_is_nothing(shared: Api, run: Json, params: Json) -> None:
    answer = shared.get(f"/v1/runs/{run['id']}/events", params=params)

    assert (answer.status_code, answer.json()["items"]) == (200, [])
