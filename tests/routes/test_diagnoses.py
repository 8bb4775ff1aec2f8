"""The doctor over HTTP: findings that replay, thresholds, remedies that are tried, and a look before a training."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from service.domain import diagnoses
from service.store.tables import EventRow
from tests.support import TINY, Api, Json, problem

DEEP = [{"type": "dense", "units": 8, "activation": "sigmoid", "init": {"type": "normal", "std": 0.3}}] * 8
SLOW = {
    "epochs": 4,
    "l2": 0,
    "batch_size": 8,
    "early_stopping": None,
    "optimizer": {"type": "sgd", "learning_rate": 0.1},
}


TABLE = "\n".join(["x,y,label", *(f"{i},{i % 7},{'high' if i > 40 else 'low'}" for i in range(80))]).encode()


@pytest.fixture(scope="module")
def sick(shared: Api) -> Json:
    return shared.train(dataset=shared.upload(TABLE), network={"layers": DEEP}, training=SLOW)


def told(body: Json) -> set[str]:
    return {each["rule"] for finding in body["findings"] for each in (finding, *finding["consequences"])}


def test_a_sick_run_is_told_where_since_when_and_why(shared: Api, sick: Json) -> None:
    body = shared.get(f"/v1/runs/{sick['id']}/doctor").json()

    finding = body["findings"][0]
    assert (finding["rule"], finding["severity"], finding["first_step"]) == ("vanishing", "critical", 1)
    assert 1 in finding["layers"]
    assert "most of all by" in finding["why"]
    assert body["replay"]["status"] == "exact"
    assert body["steps"][0] == 1
    assert body["steps"][-1] == body["moment"]
    links = [each["href"] for each in finding["evidence"] if each["href"]]
    step = shared.get(links[0]).json()
    seen = next(each["value"] for each in finding["evidence"] if each["quantity"] == "dW.1.norm")
    assert next(p["gradient_norm"] for p in step["parameters"] if p["name"] == "W.1") == pytest.approx(seen, rel=1e-4)


def test_what_was_found_is_kept_and_given_again(shared: Api, sick: Json) -> None:
    first = shared.get(f"/v1/runs/{sick['id']}/doctor").json()

    assert shared.get(f"/v1/runs/{sick['id']}/doctor").json() == first


def test_the_remedy_is_a_patch_that_is_tried_and_helps(shared: Api, sick: Json) -> None:
    body = shared.post(f"/v1/runs/{sick['id']}/doctor", {"test": True}).json()

    finding = body["findings"][0]
    tested = finding["tested"]
    assert tested["error"] is None
    assert tested["with_remedy"]["train_loss"] < tested["without"]["train_loss"]
    assert tested["helped"] is True
    patched = {"dataset": sick["dataset"]["id"], "target": "label", "training": SLOW, **finding["remedy"]["patch"]}
    assert shared.post("/v1/runs/validate", patched).status_code == 200


def test_thresholds_are_overridden_and_wrong_ones_refused(shared: Api, sick: Json) -> None:
    path = f"/v1/runs/{sick['id']}/doctor"

    calm = shared.post(path, {"thresholds": {"vanishing": {"ratio": 1e-30, "unlearned": 0}}}).json()

    assert "vanishing" not in told(calm)
    assert "vanishing" in told(shared.get(path).json())
    [fault] = problem(shared.post(path, {"thresholds": {"vanishing": {"ratios": 1}}}), 422)["errors"]
    assert "ratio" in fault["allowed"]
    problem(shared.post(path, {"thresholds": {"vanish": {}}}), 422)


def test_a_run_that_diverged_is_explained(shared: Api) -> None:
    training = {**SLOW, "optimizer": {"type": "sgd", "learning_rate": 1e6}}
    run = shared.train(dataset=shared.upload(TINY), training=training)

    finding = shared.get(f"/v1/runs/{run['id']}/doctor").json()["findings"][0]

    assert run["status"] == "failed"
    assert (finding["rule"], finding["severity"]) == ("learning_rate_range", "critical")
    assert finding["remedy"]["patch"] == {"training": {"optimizer": {"learning_rate": 0.05}}}


def test_a_run_without_steps_has_only_what_its_spec_and_rows_say(shared: Api) -> None:
    run = shared.create(preprocessing={"numbers": {"scaling": "none"}})

    body = shared.get(f"/v1/runs/{run['id']}/doctor").json()

    assert (body["moment"], body["steps"]) == (0, [])
    assert all(finding["first_step"] is None for finding in body["findings"])


def test_a_plan_is_looked_at_before_it_is_trained(shared: Api) -> None:
    rows = "\n".join(["x,y,label", *(f"{1e6 + i},{i % 7},{'ab'[i % 2]}" for i in range(60))]).encode()
    plan = {
        "dataset": shared.upload(rows),
        "target": "label",
        "preprocessing": {"numbers": {"scaling": "none"}},
        "network": {
            "layers": [{"type": "dense", "units": 4}, {"type": "dense", "units": 4}, {"type": "dropout", "rate": 0.8}]
        },
    }

    findings = shared.post("/v1/runs/validate", plan).json()["findings"]

    assert {finding["rule"] for finding in findings} >= {"input_scale", "high_dropout"}
    assert next(each for each in findings if each["rule"] == "input_scale")["units"] == ["x"]


def test_every_rule_is_listed_with_its_thresholds(shared: Api) -> None:
    rules = shared.get("/v1/doctor/rules").json()["rules"]

    assert [rule["id"] for rule in rules] == [rule["id"] for rule in diagnoses.rules()]
    assert all(rule["condition"] and rule["source"] for rule in rules)


def test_a_run_that_is_not_there_has_no_doctor(shared: Api) -> None:
    problem(shared.get("/v1/runs/run_none/doctor"), 404)


def test_a_run_under_way_of_which_nothing_is_heard_is_said_to_have_stalled(api: Api) -> None:
    run_id = api.create()["id"]
    claim = api.claim()
    assert claim is not None
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with api.database.write() as session:
        session.execute(update(EventRow).values(at=long_ago))

    body = api.get(f"/v1/runs/{run_id}/doctor").json()

    [finding] = [each for each in body["findings"] if each["rule"] == "stalled"]
    assert finding["evidence"][0]["value"] >= 3600
    assert finding["remedy"] == {"patch": None, "rationale": finding["remedy"]["rationale"]}
    api.attempt(claim).run()
    assert "stalled" not in told(api.get(f"/v1/runs/{run_id}/doctor").json())
