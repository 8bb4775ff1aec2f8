"""Influence of training rows over HTTP, beside what inspections of the same run say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.routes.test_watchpoints import paused_at_step
from tests.support import QUICK, Api, Json, problem

FLOAT64 = {**QUICK["training"], "dtype": "float64"}


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    """A run of 28 training rows in four batches, three epochs long, in float64."""
    return shared.train(training=FLOAT64)


def influence(api: Api, run: Json, **question: Any) -> Json:
    answer = api.post(f"/v1/runs/{run['id']}/influence", question)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def refused(api: Api, run: Json, status: int, code: str | None = None, **question: Any) -> Json:
    return problem(api.post(f"/v1/runs/{run['id']}/influence", question), status, code)


def gradient(api: Api, run: Json, at: Any, row: int) -> np.ndarray:
    """A row's own gradient at a moment."""
    question = {"at": at, "dataset_rows": {"numbers": [row]}, "quantities": ["dW", "db"], "reduce": "full"}
    tensors = api.post(f"/v1/runs/{run['id']}/inspect", question).json()["tensors"]
    return np.concatenate([np.ravel(each["values"]) for each in tensors.values()])


def loss(api: Api, run: Json, at: Any, row: int) -> float:
    question = {"at": at, "dataset_rows": {"numbers": [row]}, "quantities": ["loss"]}
    return float(api.post(f"/v1/runs/{run['id']}/inspect", question).json()["loss"])


def train_rows(api: Api, run: Json) -> list[int]:
    rows: list[int] = api.get(f"/v1/runs/{run['id']}/split").json()["train"]
    return rows


# The ledger -------------------------------------------------------------------------------------------------------


def test_a_rows_loss_fell_by_what_rows_and_terms_say(shared: Api, run: Json) -> None:
    found = influence(shared, run, of={"numbers": [3]}, top=1000)

    [query] = found["queries"]
    assert (found["replay"]["status"], found["since"], found["until"]) == ("exact", 0, 12)
    assert (query["row"], query["rows"]) == (3, 1)
    np.testing.assert_allclose(query["before"], loss(shared, run, 0, 3), rtol=1e-12)
    np.testing.assert_allclose(query["after"], loss(shared, run, 12, 3), rtol=1e-12)
    told = [row["value"] for row in query["proponents"] + query["opponents"]]
    np.testing.assert_allclose(sum(told), query["total"], rtol=1e-9)
    whole = query["total"] + sum(query["terms"].values())
    np.testing.assert_allclose(whole, query["before"] - query["after"], rtol=1e-10)
    np.testing.assert_allclose(sum(query["layers"].values()) + query["residual"], query["fall"], rtol=1e-10)
    assert abs(query["residual"]) < 1e-12


def test_proponents_come_first_and_name_their_layers_and_visits(shared: Api, run: Json) -> None:
    [query] = influence(shared, run, of={"numbers": [3]}, top=3)["queries"]

    values = [row["value"] for row in query["proponents"]]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0
    assert max(row["value"] for row in query["opponents"]) < 0
    first = query["proponents"][0]
    np.testing.assert_allclose(sum(first["layers"].values()), first["value"], rtol=1e-9)
    assert (set(first["layers"]), first["visits"]) == ({"1", "2"}, 3)
    assert {row["row"] for row in query["proponents"]} <= set(train_rows(shared, run))


def test_a_stretch_begins_and_ends_where_it_is_told_to(shared: Api, run: Json) -> None:
    first, second, whole = (
        influence(shared, run, of={"numbers": [3]}, since=since, until=until)["queries"][0]
        for since, until in (("first", "epoch:1"), ("epoch:1", 9), (0, 9))
    )

    assert first["after"] == pytest.approx(second["before"], rel=1e-12)
    own = [query["total"] + query["terms"]["penalty"] for query in (first, second, whole)]
    assert own[0] + own[1] + second["terms"]["earlier"] == pytest.approx(own[2], rel=1e-9)
    assert second["terms"]["earlier"] != 0


def test_a_parts_mean_loss_is_the_one_that_was_measured(shared: Api, run: Json) -> None:
    found = influence(shared, run, of={"part": "validation"}, since="epoch:1", until="epoch:3")

    [query] = found["queries"]
    losses = shared.get(f"/v1/runs/{run['id']}/losses").json()["validation.loss"]
    assert (query["row"], query["rows"]) == (None, 6)
    np.testing.assert_allclose([query["before"], query["after"]], [losses[0], losses[2]], rtol=1e-12)


def test_each_row_can_have_an_answer_of_its_own(shared: Api, run: Json) -> None:
    each = influence(shared, run, of={"part": "test", "limit": 3}, each=True)["queries"]
    mean = influence(shared, run, of={"part": "test", "limit": 3})["queries"][0]

    assert [query["row"] for query in each] == shared.get(f"/v1/runs/{run['id']}/split").json()["test"][:3]
    assert np.mean([query["fall"] for query in each]) == pytest.approx(mean["fall"], rel=1e-9)
    assert np.mean([query["total"] for query in each]) == pytest.approx(mean["total"], rel=1e-6)


def test_rows_that_are_sent_are_asked_about_like_those_stored(shared: Api, run: Json) -> None:
    stored = influence(shared, run, of={"numbers": [4]})["queries"][0]
    sent = influence(shared, run, of={"rows": [{"x": 4, "y": 16 % 7, "label": "even"}]})["queries"][0]

    assert sent == {**stored, "row": None}


def test_only_the_rows_named_are_told_of(shared: Api, run: Json) -> None:
    some = train_rows(shared, run)[:4]

    [query] = influence(shared, run, of={"numbers": [3]}, over=some)["queries"]

    told = query["proponents"] + query["opponents"]
    assert {row["row"] for row in told} == set(some)
    assert sum(row["value"] for row in told) == pytest.approx(query["over"], rel=1e-9)
    assert query["over"] != query["total"]


def test_a_fork_accounts_for_its_own_steps(api: Api) -> None:
    parent = api.train()
    fork = api.post(f"/v1/runs/{parent['id']}/fork", {"at": "last", "training": {"epochs": 5}}).json()
    api.work()

    found = influence(api, fork, of={"numbers": [3]})

    assert (found["since"], found["until"], found["replay"]["status"]) == (12, 20, "exact")
    assert found["queries"][0]["terms"]["earlier"] != 0


# TracIn -----------------------------------------------------------------------------------------------------------


def test_tracin_multiplies_gradients_at_the_moments_named(shared: Api, run: Json) -> None:
    found = influence(shared, run, of={"numbers": [3]}, method="tracin", moments=["epoch:1", 7], top=1000)

    [query] = found["queries"]
    told = {row["row"]: row["value"] for row in query["proponents"] + query["opponents"]}
    assert found["moments"] == [4, 7]
    rates = [shared.get(f"/v1/runs/{run['id']}/steps/{step}").json()["learning_rate"] for step in (4, 7)]
    for row in train_rows(shared, run)[:3]:
        products = [gradient(shared, run, at, 3) @ gradient(shared, run, at, row) for at in (4, 7)]
        np.testing.assert_allclose(told[row], np.dot(rates, products), rtol=1e-9)
    assert (query["before"], query["terms"], query["residual"]) == (None, None, None)
    assert sum(query["layers"].values()) == pytest.approx(query["total"], rel=1e-9)


@pytest.mark.parametrize(
    ("options", "moments"),
    [
        ({}, [2, 3, 4, 6, 8, 9, 10, 12]),
        ({"moments": 3}, [4, 8, 12]),
        ({"moments": 2, "since": "epoch:1"}, [8, 12]),
        ({"moments": 4, "since": 2, "until": 5}, [3, 4, 5]),
        ({"moments": ["last"]}, [12]),
    ],
)
def test_moments_are_spread_over_the_training(shared: Api, run: Json, options: Json, moments: list[int]) -> None:
    assert influence(shared, run, of={"numbers": [3]}, method="tracin", **options)["moments"] == moments


def test_tracin_says_that_dropout_is_off(api: Api) -> None:
    layers = [{"type": "dense", "units": 4, "activation": "relu"}, {"type": "dropout", "rate": 0.2}]
    run = api.train(network={"layers": layers}, training={**QUICK["training"], "average": {"decay": 0.9}})

    said = {
        method: influence(api, run, of={"numbers": [3]}, method=method)["warnings"] for method in ("tracin", "ledger")
    }

    assert [("dropout" in warning, "average" in warning) for warning in said["tracin"]] == [
        (False, True),
        (True, False),
    ]
    assert len(said["ledger"]) == 1


# Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "detail"),
    [
        ({"training": {**QUICK["training"], "optimizer": {"type": "lion"}}}, "lion"),
        ({"training": {**QUICK["training"], "optimizer": {"type": "lbfgs"}}}, "lbfgs"),
        ({"network": {"layers": [{"type": "dense", "units": 4}, {"type": "batch_norm"}]}}, "batch_norm"),
    ],
)
def test_what_the_ledger_is_not_known_for_is_left_to_tracin(api: Api, spec: Json, detail: str) -> None:
    run = api.train(**spec)

    answer = refused(api, run, 422, of={"numbers": [3]})

    assert detail in answer["detail"]
    assert answer["errors"][0] | {"detail": ""} == {
        "pointer": "/method",
        "code": answer["code"],
        "detail": "",
        "allowed": ["tracin"],
    }
    assert influence(api, run, of={"numbers": [3]}, method="tracin")["replay"]["status"] == "exact"


def test_an_account_does_not_go_over_a_change_of_the_training(api: Api) -> None:
    run_id = paused_at_step(api, 2)
    api.post(f"/v1/runs/{run_id}/resume", {"training": {"optimizer": {"learning_rate": 0.1}}})
    api.work()
    run = api.run(run_id)
    of = {"numbers": train_rows(api, run)[:1]}

    found = refused(api, run, 422, "training_changed", of=of)

    assert found["errors"][0]["allowed"] == [2]
    for since, until in ((0, 2), (2, "last")):
        whole = influence(api, run, of=of, since=since, until=until)
        [query] = whole["queries"]
        assert whole["replay"]["status"] == "exact"
        assert abs(query["residual"]) < 1e-3 * max(1, abs(query["fall"]))


@pytest.mark.parametrize(
    ("question", "pointer", "code"),
    [
        ({"of": {}}, "/of", "one_of"),
        ({"of": {"numbers": [3], "part": "test"}}, "/of", "one_of"),
        ({"of": {"numbers": [3, 40]}}, "/of/numbers/1", "no_such_row"),
        ({"of": {"numbers": [3]}, "since": 4, "until": 4}, "/until", "bad_stretch"),
        ({"of": {"numbers": [3]}, "method": "guess"}, "/method", "literal_error"),
        ({"of": {"numbers": [3]}, "top": 0}, "/top", "greater_than_equal"),
    ],
)
def test_a_question_that_cannot_be_is_refused_by_its_place(
    shared: Api, run: Json, question: Json, pointer: str, code: str
) -> None:
    [fault] = refused(shared, run, 422, **question)["errors"]

    assert (fault["pointer"], fault["code"]) == (pointer, code)


def test_rows_the_run_does_not_learn_from_have_no_influence(shared: Api, run: Json) -> None:
    [held_out, *_] = shared.get(f"/v1/runs/{run['id']}/split").json()["test"]

    [fault] = refused(shared, run, 422, of={"numbers": [3]}, over=[train_rows(shared, run)[0], held_out])["errors"]

    assert fault["pointer"] == "/over/1"


def test_a_part_without_rows_is_refused(api: Api) -> None:
    run = api.train(split={"validation": 0})

    refused(api, run, 422, "empty_part", of={"part": "validation"})


@pytest.mark.parametrize("question", [{"until": "epoch:9"}, {"method": "tracin", "moments": [1, 99]}])
def test_a_moment_that_is_not_there_is_not_found(shared: Api, run: Json, question: Json) -> None:
    assert "12" in refused(shared, run, 404, "no_such_moment", of={"numbers": [3]}, **question)["detail"]


def test_a_run_without_steps_has_no_stretch(api: Api) -> None:
    refused(api, api.create(), 422, "bad_stretch", of={"numbers": [3]})


def test_too_much_is_refused_with_an_estimate(tmp_path: Path) -> None:
    with Api(tmp_path, limits={"influence_rows": 100}) as api:
        run = api.train()

        answer = refused(api, run, 413, of={"numbers": [3]})

        assert (answer["limit"], answer["maximum"]) == ("influence_rows", 100)
        assert "108" in answer["detail"], "12 steps of 8 rows and the one asked about"
        assert answer["estimated_seconds"] > 0
        assert influence(api, run, of={"numbers": [3]}, until=11)["queries"]
        assert refused(api, run, 413, of={"numbers": [3]}, method="tracin")["limit"] == "influence_rows"
        assert influence(api, run, of={"numbers": [3]}, method="tracin", moments=3)["queries"]


@pytest.mark.parametrize(
    ("limit", "value", "question"),
    [
        ("inspect_rows", 3, {"of": {"part": "train"}}),
        ("inspect_workspace_numbers", 3000, {"of": {"numbers": [3]}}),
    ],
)
def test_what_would_take_too_much_memory_is_refused(tmp_path: Path, limit: str, value: int, question: Json) -> None:
    with Api(tmp_path, limits={limit: value}) as api:
        run = api.train()

        assert refused(api, run, 413, **question)["limit"] == limit
        assert influence(api, run, of={"numbers": [3]}, until=1)["queries"]


def test_a_dataset_whose_file_is_gone_is_a_conflict(api: Api) -> None:
    run = api.train()
    for file in Path(api.settings.data, "datasets").iterdir():
        file.unlink()

    refused(api, run, 409, "dataset_missing", of={"numbers": [3]})
