"""Forks from moments that were not stored, and without some rows."""

import pytest

from tests.routes.test_steps import step, train_in_pieces
from tests.support import QUICK, Api, Json, problem

LONGER = {
    "network": {"layers": [{"type": "dense", "units": 6, "activation": "relu"}, {"type": "dropout", "rate": 0.2}]}
}


def fork(api: Api, parent: Json, **body: object) -> Json:
    answer = api.post(f"/v1/runs/{parent['id']}/fork", body)
    assert answer.status_code == 201, answer.text
    run_id = answer.json()["id"]
    api.work()
    return api.run(run_id)


@pytest.mark.parametrize("at", [0, 3, 7, "epoch:2", "first"])
def test_a_fork_from_any_step_ends_with_its_parents_bits(api: Api, at: int | str) -> None:
    parent = api.train(**LONGER, training={**QUICK["training"], "early_stopping": {"patience": 2}})

    twin = fork(api, parent, at=at)

    assert twin["weights_digest"] == parent["weights_digest"]
    assert twin["best"]["epoch"] == parent["best"]["epoch"]
    assert twin["best"]["value"] == pytest.approx(parent["best"]["value"], rel=1e-6)
    moment = {"epoch:2": 8, "first": 0}.get(str(at), at)
    assert twin["parent"] == {"run": parent["id"], "checkpoint": f"step:{moment}"}
    assert step(api, twin, "first")["number"] == int(moment) + 1


def test_a_fork_changes_its_course_from_its_step_on(api: Api) -> None:
    parent = api.train(**LONGER)

    slower = fork(api, parent, at=6, training={"optimizer": {"learning_rate": 0.0001}})

    ours, theirs = step(api, slower, 7), step(api, parent, 7)
    assert ours["digest_before"] == theirs["digest_before"]
    assert ours["learning_rate"] < theirs["learning_rate"]
    assert ours["row_numbers"] == theirs["row_numbers"]


def test_a_fork_without_rows_never_sees_them(api: Api) -> None:
    parent = train_in_pieces(api, **LONGER)
    left_out = api.get(f"/v1/runs/{parent['id']}/split").json()["train"][:5]

    found = fork(api, parent, at="epoch:1", without_rows=left_out)

    seen = {row for number in range(5, 5 + 4) for row in step(api, found, number)["row_numbers"]}
    train = set(api.get(f"/v1/runs/{parent['id']}/split").json()["train"])
    assert seen == train - set(left_out)
    assert found["resolved"]["split"]["without"] == left_out


def test_rows_can_be_left_out_from_the_start(api: Api) -> None:
    run = api.train(split={"without": [0, 1, 2]})

    split = api.get(f"/v1/runs/{run['id']}/split").json()

    assert not {0, 1, 2} & set(split["train"])


def test_no_rows_leave_in_mid_epoch(api: Api) -> None:
    parent = api.train()

    answer = problem(api.post(f"/v1/runs/{parent['id']}/fork", {"at": 2, "without_rows": [1]}), 422)

    assert answer["errors"][0]["pointer"] == "/without_rows"


def test_a_step_that_is_not_there_can_not_be_forked_from(api: Api) -> None:
    parent = api.train()

    assert "12" in problem(api.post(f"/v1/runs/{parent['id']}/fork", {"at": 99}), 404, "no_such_moment")["detail"]
