import base64
import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from engine.data import split_rows
from engine.metrics import names_of
from engine.spec import RunSpec, SplitSpec
from service.domain import runs, training
from service.domain.datasets import path_of
from service.errors import TooLarge
from service.settings import Limits
from service.worker.attempt import Attempt
from tests.support import QUICK, TINY, Api, Json, problem

INVALID = {
    "an unknown field": ({"epochs": 5}, "/epochs", "extra_forbidden"),
    "an unknown field deep inside": ({"training": {"speed": 1}}, "/training/speed", "extra_forbidden"),
    "an unknown layer": ({"network": {"layers": [{"type": "conv9"}]}}, "/network/layers/0", "union_tag_invalid"),
    "no units": ({"network": {"layers": [{"type": "dense", "units": 0}]}}, "/network/layers/0/units", None),
    "an unknown target": ({"target": "colour"}, "/target", "unknown_column"),
    "an unknown feature": ({"features": ["z"]}, "/features/0", "unknown_column"),
    "the target among the features": ({"features": ["x", "label"]}, "/features/1", None),
    "softmax for numbers": (
        {"target": "x", "task": "regression", "network": {"layers": [], "output": "softmax"}},
        "/network/output",
        "impossible_head",
    ),
    "identity for classes": ({"network": {"layers": [], "output": "identity"}}, "/network/output", "impossible_head"),
    "cross-entropy for numbers": (
        {"target": "x", "task": "regression", "training": {"loss": "cross_entropy"}},
        "/training/loss",
        "impossible_loss",
    ),
    "a monitor of another task": (
        {"training": {"early_stopping": {"monitor": "validation.r2"}}},
        "/training/early_stopping/monitor",
        "impossible_monitor",
    ),
    "dropout under an optimizer that compares losses": (
        {
            "network": {"layers": [{"type": "dense", "units": 3}, {"type": "dropout", "rate": 0.5}]},
            "training": {"optimizer": "lbfgs"},
        },
        "/network/layers/1",
        "impossible_optimizer",
    ),
    "a split without rows to train on": ({"split": {"validation": 0.6, "test": 0.6}}, "/split", None),
    "a seed that is no integer": ({"seed": "seven"}, "/seed", None),
    "text for numbers": ({"target": "label", "task": "regression"}, "/task", "text_target"),
}


def test_only_dataset_and_target_are_needed(api: Api) -> None:
    answer = api.post("/v1/runs", {"dataset": api.upload(), "target": "label"})

    run = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/runs/{run['id']}"
    assert run["status"] == "queued"
    assert run["queue_position"] == 1
    assert run["resolved"]["task"] == "classification"
    assert run["resolved"]["features"] == ["x", "y"]
    assert run["resolved"]["network"]["output"]["activation"] == {"type": "sigmoid"}
    assert run["resolved"]["training"]["optimizer"] == {
        "type": "adam",
        "learning_rate": 0.01,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
    }
    assert run["resolved"]["split"]["validation"] == 0


def test_a_resolved_spec_sent_again_is_the_same_training(api: Api) -> None:
    first = api.train()
    body = {**first["resolved"], "dataset": first["dataset"]["id"]}

    second = api.post("/v1/runs", body).json()
    api.work()

    assert second["resolved"] == first["resolved"]
    assert api.run(second["id"])["weights_digest"] == first["weights_digest"]


@pytest.mark.parametrize("name", INVALID)
def test_a_spec_that_can_not_work_is_refused_at_its_place(shared: Api, name: str) -> None:
    change, pointer, code = INVALID[name]

    answer = shared.post("/v1/runs", {"dataset": shared.upload(), "target": "label", **change})

    faults = problem(answer, 422)["errors"]
    assert pointer in [fault["pointer"] for fault in faults], faults
    assert code in (None, *[fault["code"] for fault in faults]), faults


@pytest.mark.parametrize(
    ("content", "target", "word"),
    [
        (b"x,y\n1,a\n2,a\n3,a\n", "y", "class"),
        (b"x,y\n1,5\n2,5\n3,5\n", "y", "one value"),
        (b"x,y\n1,\n2,\n3,\n", "y", "y"),
        (b"y\n1\n2\n3\n", "y", "feature"),
    ],
)
def test_a_table_without_anything_to_learn_is_refused(shared: Api, content: bytes, target: str, word: str) -> None:
    dataset = shared.upload(content)

    answer = shared.post("/v1/runs", {"dataset": dataset, "target": target, "task": "auto"})

    assert word in problem(answer, 422)["detail"]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/validate"])
def test_a_number_that_float32_can_not_hold_is_refused_by_its_row(shared: Api, path: str) -> None:
    row = int(split_rows(40, SplitSpec(), seed=0, strata=None).validation[0])
    lines = [f"{'1e100' if i == row else i % 7},{i * i % 11}" for i in range(40)]
    dataset = shared.upload("\n".join(["x,y", *lines]).encode())
    body = {"dataset": dataset, "target": "y", "task": "regression", "split": {"validation": 0.15}}

    refused = problem(shared.post(path, body), 422, "too_large")
    wider = shared.post("/v1/runs/validate", {**body, "training": {"dtype": "float64"}})

    assert [fault["pointer"] for fault in refused["errors"]] == [f"/rows/{row}/x"]
    assert wider.status_code == 200


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/validate"])
def test_an_unknown_optimizer_is_one_fault_though_a_default_follows_it(shared: Api, path: str) -> None:
    body = {"dataset": shared.upload(), "target": "label", "training": {"optimizer": "adamm"}}

    faults = problem(shared.post(path, body), 422)["errors"]

    assert [fault["pointer"] for fault in faults] == ["/training/optimizer"]


def test_a_fork_with_an_unknown_optimizer_has_one_fault(shared: Api) -> None:
    run = shared.train()

    answer = shared.post(f"/v1/runs/{run['id']}/fork", {"training": {"optimizer": "adamm"}})

    assert [fault["pointer"] for fault in problem(answer, 422)["errors"]] == ["/training/optimizer"]


def test_a_misspelt_choice_lists_what_is_allowed(shared: Api) -> None:
    layers = [{"type": "dense", "units": 3, "activation": "rellu"}]
    answer = shared.post("/v1/runs", {"dataset": shared.upload(), "target": "label", "network": {"layers": layers}})

    (fault,) = problem(answer, 422)["errors"]

    assert "leaky_relu" in fault["allowed"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(shared: Api, number: str) -> None:
    body = f'{{"dataset": "{shared.upload()}", "target": "label", "training": {{"l2": {number}}}}}'

    answer = shared.request("POST", "/v1/runs", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [("{", "application/json", 400), ("[]", "application/json", 422), ("x", "text/plain", 415)],
)
def test_a_body_that_is_no_run_is_refused(shared: Api, body: str, media_type: str, status: int) -> None:
    answer = shared.request("POST", "/v1/runs", content=body, headers={"Content-Type": media_type})

    problem(answer, status)


def test_a_run_on_a_dataset_that_is_not_there_is_404(shared: Api) -> None:
    problem(shared.post("/v1/runs", {"dataset": "ds_none", "target": "y"}), 404, "not_found")


def test_validate_says_what_a_run_would_be_and_stores_nothing(api: Api) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK}

    plan = api.post("/v1/runs/validate", body).json()

    assert plan["shapes"] == {"W.1": [2, 4], "b.1": [4], "W.2": [4, 1], "b.2": [1]}
    assert plan["parameter_count"] == 17
    assert plan["rows"] == {"train": 28, "validation": 6, "test": 6}
    assert plan["steps_per_epoch"] == 4
    assert plan["memory_bytes"] > 25e6
    assert api.get("/v1/runs").json()["items"] == []


def test_a_trained_run_tells_all_about_itself(api: Api) -> None:
    run = api.train(name="first", notes="a note", tags=["b", "a"], seed=3)

    assert run["status"] == "succeeded"
    assert run["reason"]["code"] == "completed"
    assert run["done"] is True
    assert run["progress"] == 1.0
    assert run["epoch"] == run["epochs"] == 3
    assert (run["name"], run["notes"], run["tags"], run["seed"]) == ("first", "a note", ["a", "b"], 3)
    assert set(run["metrics"]["test"]) == {"loss", *names_of("classification")}
    assert run["best"]["metric"] == "validation.loss"
    assert run["last"]["epoch"] == 3
    assert len(run["weights_digest"]) == 64
    assert set(run["fingerprint"]) == {"engine", "numpy", "blas", "threads", "dtype", "cpu"}
    assert run["allowed_actions"] == ["fork", "delete"]


def test_a_regression_reports_error_and_r2(api: Api) -> None:
    run = api.train(target="y", task="regression", features=["x"])

    assert set(run["metrics"]["validation"]) == {"loss", *names_of("regression")}
    assert {"validation.rmse", "train.rmse"} <= set(run["last"]["values"])


def test_a_heads_b_starts_at_the_base_rate_of_the_training_rows(api: Api) -> None:
    rare = b"x,label\n" + b"".join(b"%d,%s\n" % (i, b"yes" if i % 10 == 0 else b"no") for i in range(100))
    network = {"layers": [{"type": "dense", "units": 4, "activation": "prelu"}], "output": {"bias_init": "base_rate"}}
    training = {"epochs": 1, "optimizer": {"type": "sgd", "learning_rate": 1e-9}}

    run = api.train(dataset=api.upload(rare), network=network, training=training)

    weights = api.get(f"/v1/runs/{run['id']}/checkpoints/best/weights?format=json").json()["parameters"]
    assert weights["slope.1"]["values"] == pytest.approx([0.25] * 4)
    assert weights["b.2"]["values"] == pytest.approx([math.log(0.1 / 0.9)], rel=0.2)
    assert run["resolved"]["network"]["output"]["bias_init"] == "base_rate"


def test_parts_left_out_of_the_split_have_no_metrics(api: Api) -> None:
    run = api.train(split={"validation": 0, "test": 0})

    assert run["metrics"] == {"validation": None, "test": None}
    assert run["best"]["metric"] == "train.objective"


def test_a_huge_learning_rate_ends_as_diverged_at_its_place(api: Api) -> None:
    run = api.train(
        target="y", task="regression", training={"epochs": 50, "optimizer": {"type": "sgd", "learning_rate": 1e6}}
    )

    assert run["status"] == "failed"
    assert run["reason"]["code"] == "diverged"
    assert run["reason"]["epoch"] >= 1
    assert run["reason"]["step"] >= 1
    assert run["reason"]["layer"]


def test_lists_filter_by_status_tag_and_dataset(api: Api) -> None:
    done = api.train(tags=["keep"])
    waiting = api.create(tags=["keep", "new"])
    other = api.create(dataset=api.upload(TINY + b"41,3,odd\n"))

    def ids(**params: object) -> list[str]:
        return [run["id"] for run in api.get("/v1/runs", params=params).json()["items"]]

    assert ids() == [other["id"], waiting["id"], done["id"]]
    assert ids(status=["queued"]) == [other["id"], waiting["id"]]
    assert ids(tag=["keep", "new"]) == [waiting["id"]]
    assert ids(dataset=other["dataset"]["id"]) == [other["id"]]
    assert ids(order_by="created_at") == [done["id"], waiting["id"], other["id"]]


def test_lists_leave_out_what_only_one_run_shows(api: Api) -> None:
    run = api.create(notes="long")

    [item] = api.get("/v1/runs").json()["items"]

    whole = api.run(run["id"])
    assert set(whole) - set(item) == {"spec", "resolved", "preprocessing", "fingerprint", "notes"}
    assert item == {name: whole[name] for name in item}
    assert (item["target"], item["task"]) == (["label"], "classification")


def test_pages_of_runs_neither_skip_nor_repeat(api: Api) -> None:
    dataset = api.upload()
    created = [api.create(dataset=dataset, priority=number % 2)["id"] for number in range(5)]

    seen, cursor = [], None
    while True:
        params = {"limit": 2, "order_by": "-priority", **({"cursor": cursor} if cursor else {})}
        page = api.get("/v1/runs", params=params).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert sorted(seen) == sorted(created)
    assert set(seen[:2]) == {created[1], created[3]}


FORGED = {
    "nonsense": ("-created_at", b"x"),
    "another shape": ("-created_at", b'{"a": 1}'),
    "a list": ("-created_at", b'["created_at", "id"]'),
    "another order": ("-created_at", b'{"priority": 1, "id": "run_1"}'),
    "a text for a date": ("-created_at", b'{"created_at": "yesterday", "id": "run_1"}'),
    "a date of no zone": ("-created_at", b'{"created_at": "0001-01-01T00:00:00", "id": "run_1"}'),
    "a date before all dates": ("-created_at", b'{"created_at": "0001-01-01T00:00:00+14:00", "id": "run_1"}'),
    "a huge integer": ("-priority", b'{"priority": 99999999999999999999, "id": "run_1"}'),
    "a truth for an integer": ("-priority", b'{"priority": true, "id": "run_1"}'),
    "half a character": ("name", b'{"name": "\\ud800", "id": "run_1"}'),
    "a NUL": ("name", b'{"name": "a", "id": "\\u0000"}'),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_cursor_of_nobody_is_refused(shared: Api, name: str) -> None:
    order_by, content = FORGED[name]
    cursor = base64.urlsafe_b64encode(content).decode()

    problem(shared.get("/v1/runs", params={"order_by": order_by, "cursor": cursor}), 400, "bad_cursor")


@pytest.mark.parametrize("change", [{"name": "a\0"}, {"notes": "\0"}, {"tags": ["a\0b"]}, {"dataset": "ds_\0"}])
def test_text_that_not_every_database_holds_is_refused(shared: Api, change: Json) -> None:
    answer = shared.post("/v1/runs", {"dataset": shared.upload(), "target": "label", **change})

    assert problem(answer, 422)["errors"][0]["code"] == "string_pattern_mismatch"


@pytest.mark.parametrize("path", ["/v1/runs/a%00", "/v1/datasets/%00", "/v1/runs?tag=%00", "/v1/runs?dataset=%00"])
def test_an_address_that_not_every_database_holds_is_refused(shared: Api, path: str) -> None:
    problem(shared.get(path), 422)


@pytest.mark.parametrize("field", ["name", "notes", "tags", "priority"])
def test_a_label_can_not_be_null(shared: Api, field: str) -> None:
    problem(shared.patch(f"/v1/runs/{shared.create()['id']}", {field: None}), 422)


def test_the_queue_takes_the_highest_priority_first(api: Api) -> None:
    dataset = api.upload()
    plain, urgent = api.create(dataset=dataset), api.create(dataset=dataset, priority=5)

    assert [api.run(run["id"])["queue_position"] for run in (plain, urgent)] == [2, 1]
    claim = api.claim()

    assert claim is not None
    assert claim.run_id == urgent["id"]


def test_labels_can_be_changed_at_any_time(api: Api) -> None:
    run = api.create(name="old", tags=["a"])

    changed = api.patch(f"/v1/runs/{run['id']}", {"name": "new", "tags": ["b", "c"], "priority": 3}).json()

    assert (changed["name"], changed["tags"], changed["priority"], changed["notes"]) == ("new", ["b", "c"], 3, "")
    problem(api.patch(f"/v1/runs/{run['id']}", {"seed": 4}), 422)


def test_a_waiting_run_is_cancelled_paused_and_resumed_at_once(api: Api) -> None:
    path = f"/v1/runs/{api.create()['id']}"

    paused, again, resumed, cancelled = (
        api.post(f"{path}/{action}") for action in ("pause", "pause", "resume", "cancel")
    )

    assert [(a.status_code, a.json()["status"]) for a in (paused, again, resumed, cancelled)] == [
        (202, "paused"),
        (200, "paused"),
        (202, "queued"),
        (202, "cancelled"),
    ]
    assert api.get(path).json()["finished_at"]


def test_a_wish_to_pause_can_be_taken_back_before_the_worker_obeys(api: Api) -> None:
    run = api.create()
    claim = api.claim()
    assert claim is not None
    path = f"/v1/runs/{run['id']}"

    paused, resumed, again = (api.post(f"{path}/{action}") for action in ("pause", "resume", "resume"))
    api.attempt(claim).run()

    assert [answer.status_code for answer in (paused, resumed, again)] == [202, 202, 200]
    assert paused.json()["allowed_actions"] == ["cancel", "resume"]
    assert resumed.json()["allowed_actions"] == ["cancel", "pause"]
    assert api.run(run["id"])["status"] == "succeeded"


@pytest.mark.parametrize("action", ["cancel", "pause", "resume"])
def test_a_finished_run_names_what_it_still_allows(shared: Api, action: str) -> None:
    run = shared.train()

    body = problem(shared.post(f"/v1/runs/{run['id']}/{action}"), 409, "not_allowed_now")

    assert body["allowed_actions"] == ["fork", "delete"]


def test_only_a_finished_run_can_be_deleted(api: Api) -> None:
    done, waiting = api.train(), api.create()

    assert api.delete(f"/v1/runs/{done['id']}").status_code == 204
    problem(api.get(f"/v1/runs/{done['id']}"), 404)
    assert problem(api.delete(f"/v1/runs/{waiting['id']}"), 409)["allowed_actions"] == ["cancel", "pause"]


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"network": {"layers": [{"type": "dense", "units": 1}] * 4}}, "layers"),
        ({"network": {"layers": [{"type": "dense", "units": 50}]}}, "parameters"),
        ({"training": {"epochs": 101}}, "epochs"),
    ],
)
def test_a_run_above_a_limit_is_refused_by_name(api_with_small_limits: Api, change: dict, limit: str) -> None:
    api = api_with_small_limits

    answer = api.post("/v1/runs", {"dataset": api.upload(), "target": "label", **QUICK, **change})

    assert answer.status_code in (413, 422)
    assert limit in answer.text


def test_a_full_queue_refuses_more_with_a_time_to_try_again(api_with_small_limits: Api) -> None:
    api = api_with_small_limits
    dataset = api.upload()
    for _ in range(2):
        api.create(dataset=dataset)

    answer = api.post("/v1/runs", {"dataset": dataset, "target": "label", **QUICK})

    assert problem(answer, 429)["limit"] == "queued_runs"
    assert answer.headers["retry-after"]


# Idempotency -------------------------------------------------------------------------------------------------------


def test_a_request_with_the_same_key_gives_the_same_answer(api: Api) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK}
    first, second = (api.post("/v1/runs", body, headers={"Idempotency-Key": "k1"}) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(api.get("/v1/runs").json()["items"]) == 1


def test_a_key_whose_run_was_deleted_makes_no_other(api: Api) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK}
    run_id = api.post("/v1/runs", body, headers={"Idempotency-Key": "k1"}).json()["id"]
    api.work()
    api.delete(f"/v1/runs/{run_id}")

    refused = problem(api.post("/v1/runs", body, headers={"Idempotency-Key": "k1"}), 404, "run_deleted")

    assert run_id in refused["detail"]
    assert refused["errors"][0]["parameter"] == {"in": "header", "name": "Idempotency-Key"}
    assert api.get("/v1/runs").json()["items"] == []


def test_a_key_used_with_another_body_is_refused(api: Api) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK}
    api.post("/v1/runs", body, headers={"Idempotency-Key": "k1"})

    answer = api.post("/v1/runs", {**body, "seed": 9}, headers={"Idempotency-Key": "k1"})

    problem(answer, 422, "idempotency_key_reused")


def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK}
    problem(api.post("/v1/runs", {**body, "seed": -1}, headers={"Idempotency-Key": "k1"}), 422)

    assert api.post("/v1/runs", body, headers={"Idempotency-Key": "k1"}).status_code == 201


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
def test_a_dataset_deleted_meanwhile_is_not_found(
    api: Api, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    dataset = api.upload()
    plan = runs.validate

    def planned_while_another_deletes(*args: Any) -> Any:
        planned = plan(*args)
        assert api.delete(f"/v1/datasets/{dataset}").status_code == 204
        return planned

    def broken_constraint(*_: Any) -> None:  # what PostgreSQL says where SQLite's lock keeps the two apart
        raise IntegrityError("INSERT", {}, Exception("runs_dataset_id_fkey"))

    monkeypatch.setattr(runs, "validate", planned_while_another_deletes)
    monkeypatch.setattr(runs, "accept", broken_constraint)

    problem(api.post("/v1/runs", {"dataset": dataset, "target": "label"}, headers=headers), 404, "not_found")


# Forks -------------------------------------------------------------------------------------------------------------


def test_a_fork_without_changes_ends_with_the_same_bits(api: Api) -> None:
    parent = api.train(training={"epochs": 6, "batch_size": 8, "checkpoints": {"every": 2}})

    answer = api.post(f"/v1/runs/{parent['id']}/fork", {"at": "epoch:2"})
    api.work()

    fork = api.run(answer.json()["id"])
    assert answer.status_code == 201
    assert fork["parent"]["run"] == parent["id"]
    assert fork["weights_digest"] == parent["weights_digest"]
    assert fork["metrics"] == parent["metrics"]
    losses = [api.get(f"/v1/runs/{run['id']}/losses").json() for run in (parent, fork)]
    assert losses[0]["train.loss"] == losses[1]["train.loss"]


def test_a_fork_trains_longer_and_otherwise(api: Api) -> None:
    parent = api.train()

    fork = api.post(
        f"/v1/runs/{parent['id']}/fork",
        {"training": {"epochs": 5, "optimizer": {"type": "sgd", "learning_rate": 0.1}}, "name": "longer"},
    ).json()
    api.work()

    found = api.run(fork["id"])
    assert (found["name"], found["epoch"], found["status"]) == ("longer", 5, "succeeded")
    assert found["resolved"]["training"]["batch_size"] == 8


@pytest.mark.parametrize("optimizer", ["lbfgs", "adagrad", "adamw"])
def test_a_fork_may_go_on_with_another_optimizer_and_back(api: Api, optimizer: str) -> None:
    run = api.train(network={"layers": []})

    for kind, epochs in ((optimizer, 5), ("adam", 7)):
        fork = api.post(f"/v1/runs/{run['id']}/fork", {"training": {"epochs": epochs, "optimizer": kind}}).json()
        api.work()
        run = api.run(fork["id"])

        assert (run["status"], run["epoch"], run["resolved"]["training"]["optimizer"]["type"]) == (
            "succeeded",
            epochs,
            kind,
        )


def test_a_fork_of_a_fork_that_trained_no_epoch_keeps_its_validation_and_newest_epoch(api: Api) -> None:
    parent = api.train()
    first = api.post(f"/v1/runs/{parent['id']}/fork", {}).json()
    api.work()

    second = api.post(f"/v1/runs/{first['id']}/fork", {"training": {"epochs": 5}})

    assert second.status_code == 201, second.text
    assert first["last"]["values"] == parent["last"]["values"]
    assert second.json()["last"]["epoch"] == 3
    assert second.json()["last"]["checkpoint"].startswith("ckpt_")


def test_a_forks_spec_is_its_parents_with_the_changed_parts(api: Api) -> None:
    training = {"epochs": 3, "batch_size": 8, "l2": 0.5, "optimizer": {"type": "adam", "beta1": 0.8}}
    parent = api.train(training=training)

    changes = {"epochs": 4, "optimizer": {"learning_rate": 0.1}}
    fork = api.post(f"/v1/runs/{parent['id']}/fork", {"training": changes}).json()

    optimizer = {"type": "adam", "learning_rate": 0.1, "beta1": 0.8, "beta2": 0.999, "epsilon": 1e-8}
    assert fork["resolved"]["training"]["optimizer"] == optimizer
    assert fork["spec"]["training"] == {"epochs": 4, "batch_size": 8, "l2": 0.5, "optimizer": optimizer}


def test_an_optimizer_of_another_type_takes_none_of_the_former_ones_settings(api: Api) -> None:
    parent = api.train(training={"epochs": 3, "optimizer": {"type": "adam", "learning_rate": 0.5}})

    fork = api.post(f"/v1/runs/{parent['id']}/fork", {"training": {"optimizer": {"type": "sgd"}}}).json()

    assert fork["resolved"]["training"]["optimizer"]["learning_rate"] == 0.01


def test_a_fork_above_a_limit_is_refused_by_name(api_with_small_limits: Api) -> None:
    parent = api_with_small_limits.train()

    answer = api_with_small_limits.post(f"/v1/runs/{parent['id']}/fork", {"training": {"epochs": 101}})

    assert problem(answer, 422, "limit")["errors"][0]["pointer"] == "/training/epochs"


def test_a_fork_of_a_run_that_stopped_early_has_its_patience_again(api: Api) -> None:
    stopping = {"monitor": "train.accuracy", "patience": 2}
    training = {"epochs": 50, "early_stopping": stopping, "optimizer": {"type": "sgd", "learning_rate": 1e-9}}
    parent = api.train(training=training)

    fork = api.post(f"/v1/runs/{parent['id']}/fork", {"training": {"epochs": 60}}).json()
    api.work()

    assert parent["reason"]["code"] == "early_stopping"
    assert api.run(fork["id"])["epoch"] == parent["epoch"] + 2


@pytest.mark.parametrize(
    ("change", "pointer"), [({"training": {"batch_size": 4}}, "/training/batch_size"), ({"seed": 9}, "/seed")]
)
def test_what_decides_an_epochs_batches_can_not_change_within_it(api: Api, change: Json, pointer: str) -> None:
    run = mid_epoch(api)

    body = problem(api.post(f"/v1/runs/{run['id']}/fork", change), 422)

    assert [(fault["pointer"], fault["code"]) for fault in body["errors"]] == [(pointer, "mid_epoch")]


def test_a_fork_within_an_epoch_needs_that_epoch(api: Api) -> None:
    run = mid_epoch(api)

    problem(api.post(f"/v1/runs/{run['id']}/fork", {"training": {"epochs": run["epoch"]}}), 422)


def mid_epoch(api: Api) -> Json:
    """A run given back after the first batch of its second epoch; its network is too large for two batches at once."""
    run = api.create(network={"layers": [{"type": "dense", "units": 1500}, {"type": "dense", "units": 1500}]})
    claim = api.claim()
    assert claim is not None
    stop = WithinSecondEpoch()
    stop.attempt = api.attempt(claim, stop)
    stop.attempt.run()
    return api.run(run["id"])


class WithinSecondEpoch(threading.Event):
    """Set once an attempt has trained a batch of its second epoch, however often it was asked before."""

    attempt: Attempt

    def is_set(self) -> bool:
        state = self.attempt.state
        return state is not None and state.epoch == 1 and state.step > 0


def test_a_fork_outlives_its_parent(api: Api) -> None:
    parent = api.train()
    fork = api.post(f"/v1/runs/{parent['id']}/fork", {"training": {"epochs": 4}}).json()

    assert api.delete(f"/v1/runs/{parent['id']}").status_code == 204
    api.work()

    assert api.run(fork["id"])["status"] == "succeeded"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"at": "epoch:99"}, 404),
        ({"at": "yesterday"}, 422),
        ({"training": {"epochs": 1}}, 422),
        ({"training": {"speed": 1}}, 422),
        ({"training": {"dtype": "float64"}}, 422),
        ({"network": {"layers": []}}, 422),
    ],
)
def test_a_fork_that_can_not_be_is_refused(shared: Api, body: dict, status: int) -> None:
    run = shared.train()

    problem(shared.post(f"/v1/runs/{run['id']}/fork", body), status)


@pytest.mark.parametrize(("before", "after"), [("half_squared_error", "poisson"), ("poisson", "huber")])
def test_a_fork_keeps_the_loss_its_targets_were_scaled_for(shared: Api, before: str, after: str) -> None:
    network = {"layers": [], "output": "exponential"}
    run = shared.train(target="y", task="regression", network=network, training={"epochs": 2, "loss": before})

    body = problem(shared.post(f"/v1/runs/{run['id']}/fork", {"training": {"loss": after}}), 422)

    assert body["errors"][0]["pointer"] == "/training/loss"


def test_a_run_without_a_checkpoint_can_not_be_forked(shared: Api) -> None:
    run = shared.create()

    problem(shared.post(f"/v1/runs/{run['id']}/fork", {}), 404, "no_checkpoint")
    shared.post(f"/v1/runs/{run['id']}/cancel")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_run_that_is_not_there_is_404(shared: Api, method: str) -> None:
    problem(shared.request(method, "/v1/runs/run_none", json={} if method == "PATCH" else None), 404, "not_found")


def test_no_answer_holds_a_number_that_is_not_json(api: Api) -> None:
    run = api.train(target="y", task="regression", training={"optimizer": {"type": "sgd", "learning_rate": 1e6}})

    for path in ("", "/losses", "/events", "/checkpoints"):
        text = api.get(f"/v1/runs/{run['id']}{path}").text
        json.loads(text, parse_constant=pytest.fail)


def test_a_plan_shows_the_learning_rates_to_come(shared: Api) -> None:
    schedule = {"type": "cosine", "warmup_epochs": 2}
    body = {"dataset": shared.upload(), "target": "label", "training": {"epochs": 10, "schedule": schedule}}

    rates = shared.post("/v1/runs/validate", body).json()["learning_rates"]

    assert rates[:3] == pytest.approx([0, 0.005, 0.01])
    assert len(rates) == 10
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_a_layer_that_is_not_there_can_not_be_frozen(shared: Api) -> None:
    body = {"dataset": shared.upload(), "target": "label", "training": {"frozen": [7]}}

    found = problem(shared.post("/v1/runs", body), 422, "unknown_layer")

    assert found["errors"][0]["pointer"] == "/training/frozen"


# Warm starts -------------------------------------------------------------------------------------------------------


def weights(api: Api, run_id: str, at: str = "last") -> Json:
    found: Json = api.get(f"/v1/runs/{run_id}/checkpoints/{at}/weights").json()["parameters"]
    return found


def test_a_run_begins_with_what_another_has_learned(api: Api) -> None:
    first = api.train(training={"epochs": 5})
    frozen = {"epochs": 2, "frozen": [1, 2]}

    second = api.train(warm_start={"run": first["id"]}, training=frozen, seed=9)

    assert second["status"] == "succeeded"
    assert second["parent"]["run"] == first["id"]
    assert weights(api, second["id"]) == weights(api, first["id"], "best")


def test_layers_without_a_twin_are_drawn_anew_and_named(api: Api) -> None:
    first = api.train()
    layers = [{"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense", "units": 3}]

    second = api.create(warm_start={"run": first["id"]}, network={"layers": layers})

    assert second["warnings"] == [f"W.2, b.2, W.3, b.3: no twin of this name and shape in {first['id']}, so drawn anew"]
    assert weights(api, second["id"])["W.1"] == weights(api, first["id"], "best")["W.1"]


def test_a_warm_start_outlives_its_source(api: Api) -> None:
    first = api.train()
    second = api.create(warm_start={"run": first["id"]})

    assert api.delete(f"/v1/runs/{first['id']}").status_code == 204
    api.work()

    assert api.run(second["id"])["status"] == "succeeded"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"warm_start": {"run": "run_nowhere"}}, 404, "not_found"),
        ({"warm_start": {"at": "epoch:99"}}, 404, "no_checkpoint"),
        ({"network": {"layers": [{"type": "dense", "units": 5}, {"type": "dense", "units": 7}]}}, 422, None),
    ],
)
def test_a_warm_start_that_can_not_be_is_refused(api: Api, change: Json, status: int, code: str | None) -> None:
    first = api.train()
    body = {"dataset": first["dataset"]["id"], "target": "label", **QUICK, **change}
    body["warm_start"] = {"run": first["id"], **change.get("warm_start", {})}

    problem(api.post("/v1/runs", body), status, code)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"training": {"optimizer": {"type": "adam", "learning_rate": -1}}}, "/training/optimizer/learning_rate"),
        ({"training": {"optimizer": {"type": "adam", "rate": 1}}}, "/training/optimizer/rate"),
        ({"training": {"optimizer": "adamant"}}, "/training/optimizer"),
        ({"training": {"schedule": "multi_step"}}, "/training/schedule"),
        ({"training": {"early_stopping": {"monitor": "loss"}}}, "/training/early_stopping/monitor"),
        ({"network": {"layers": [{"type": "dense", "units": 0}]}}, "/network/layers/0/units"),
        ({"network": {"layers": [{"type": "dense"}]}}, "/network/layers/0/units"),
        ({"features": []}, "/features"),
    ],
)
def test_a_fault_points_to_its_place_in_the_body_once(shared: Api, change: Json, pointer: str) -> None:
    body = {"dataset": shared.upload(), "target": "label", **change}

    found = problem(shared.post("/v1/runs", body), 422)["errors"]

    assert [fault["pointer"] for fault in found] == [pointer]


def test_a_run_says_what_its_data_is_suspected_of_and_so_does_a_fork(api: Api) -> None:
    lines = "".join(f"{row},{row % 7},{'c' if row % 2 else 'd'},{'odd' if row % 2 else 'even'}\n" for row in range(60))
    body = {"dataset": api.upload(f"x,y,code,label\n{lines}".encode()), "target": "label", **QUICK}
    leak = (
        "code: tells the classes of label apart by itself; leave it out of features if it is known only once label is"
    )

    planned = api.post("/v1/runs/validate", body).json()["warnings"]
    created = api.post("/v1/runs", body).json()
    api.work()
    forked = api.post(f"/v1/runs/{created['id']}/fork", {"training": {"epochs": 4}}).json()

    assert leak in planned
    assert created["warnings"] == planned
    assert forked["warnings"] == planned


# Large tables ------------------------------------------------------------------------------------------------------


def test_a_large_table_is_planned_in_a_process_of_its_own_with_the_same_answer(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK}
    here = api.post("/v1/runs/validate", body).json()
    monkeypatch.setattr(training, "ROWS_HERE", 1)

    apart = api.post("/v1/runs/validate", body).json()

    assert apart == here


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"target": "z"}, 422, "unknown_column"),
        ({"training": {"loss": {"type": "huber"}}}, 422, "impossible_loss"),
    ],
)
def test_what_is_wrong_with_a_run_on_a_large_table_is_said_in_the_same_words(
    wrong: Json, status: int, code: str, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"dataset": api.upload(), "target": "label", **QUICK, **wrong}
    here = api.post("/v1/runs/validate", body)
    monkeypatch.setattr(training, "ROWS_HERE", 1)

    apart = api.post("/v1/runs/validate", body)

    assert problem(apart, status, code)["errors"] == problem(here, status, code)["errors"]


def test_looking_at_a_large_table_takes_no_more_memory_than_it_may(api: Api) -> None:
    dataset = api.upload(b"x,y\n" + b"1.5,2.5\n0.5,1.5\n" * 1_100_000)
    spec = RunSpec(target=("y",), features=("x",))

    with pytest.raises(TooLarge) as caught:
        training.plan(spec, path_of(api.settings.data, dataset), Limits(ingest_memory_bytes=1_000_000))

    assert caught.value.extra["limit"] == "ingest_memory_bytes"


def test_a_fork_on_a_large_table_is_planned_as_on_a_small_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run = api.train()
    monkeypatch.setattr(training, "ROWS_HERE", 1)

    fork = api.post(f"/v1/runs/{run['id']}/fork", {"at": "last"})
    api.work()

    assert api.run(fork.json()["id"])["weights_digest"] == run["weights_digest"]


def test_rows_that_are_read_from_the_disk_do_not_count_as_memory_and_are_warned_of(tmp_path: Path) -> None:
    content = b"x,y\n" + b"".join(b"%d,%d\n" % (i % 97, i % 89) for i in range(2000))
    plans = []
    for name, limits in (("memory", Limits()), ("disk", Limits(encoded_bytes_in_memory=1000))):
        with Api(tmp_path / name, limits=limits) as api:
            body = {"dataset": api.upload(content), "target": "y", "features": ["x"], **QUICK}
            plans.append(api.post("/v1/runs/validate", body).json())

    in_memory, on_disk = plans
    assert on_disk["memory_bytes"] == in_memory["memory_bytes"] - 16000
    assert not any(warning.startswith("rows: ") for warning in in_memory["warnings"])
    assert (
        "rows: encoded they take 16000 bytes, so they are read from a file on the disk while the run trains"
        in (on_disk["warnings"])
    )


def test_runs_are_found_by_a_part_of_their_names_and_ordered_by_their_best(api: Api) -> None:
    dataset = api.upload()
    made = {name: api.create(dataset=dataset, name=name, seed=seed) for seed, name in enumerate(("Ab", "aB 50%", "c"))}
    api.work()
    waiting = api.create(dataset=dataset, name="later")
    best = {name: api.run(run["id"])["best"]["value"] for name, run in made.items()}
    rising = sorted(best, key=lambda name: best[name])

    def names(query: str) -> list[str]:
        return [each["name"] for each in api.get(f"/v1/runs?{query}").json()["items"]]

    assert set(names("name=ab")) == {"Ab", "aB 50%"}
    assert names("name=0%25") == ["aB 50%"]
    assert names("name=_") == []
    assert names("order_by=best") == [*rising, "later"]
    assert names("order_by=-best") == [*reversed(rising), "later"]
    found, cursor = list[str](), ""
    for _ in range(4):
        answer = api.get(f"/v1/runs?order_by=best&limit=1{cursor}").json()
        found += [each["name"] for each in answer["items"]]
        cursor = f"&cursor={answer['next_cursor']}"
    assert found == [*rising, waiting["name"]]
    assert answer["next_cursor"] is None
    problem(api.get("/v1/runs?order_by=name&limit=1" + cursor.replace("None", "bm8")), 400)
