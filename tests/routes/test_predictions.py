import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support import QUICK, Api, Json, penguins, problem


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(
        dataset=penguins(shared), target="species", training={"epochs": 30, "checkpoints": {"every": 10}}
    )


GENTOO = {
    "island": "Biscoe",
    "bill_length_mm": 49.5,
    "bill_depth_mm": 15.9,
    "flipper_length_mm": 221,
    "body_mass_g": 5350,
    "sex": "male",
}


def predict(api: Api, run: Json, body: object) -> Json:
    answer = api.post(f"/v1/runs/{run['id']}/predict", body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_a_classification_gives_a_label_and_probabilities_that_sum_to_one(shared: Api, run: Json) -> None:
    answer = predict(shared, run, {"rows": [GENTOO]})

    (prediction,) = answer["predictions"]
    assert prediction["label"] == "Gentoo"
    assert set(prediction["probabilities"]) == {"Adelie", "Chinstrap", "Gentoo"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert answer["checkpoint"] == run["best"]["checkpoint"]
    assert answer["warnings"] == []


def test_rows_come_as_objects_in_any_order_or_as_arrays(shared: Api, run: Json) -> None:
    features = run["resolved"]["features"]
    turned = dict(reversed(GENTOO.items()))

    answers = [predict(shared, run, {"rows": [row]}) for row in (GENTOO, turned, [GENTOO[name] for name in features])]

    assert answers[0]["predictions"] == answers[1]["predictions"] == answers[2]["predictions"]


def test_a_loss_of_scores_gives_scores_and_no_probabilities(shared: Api) -> None:
    spec = {**QUICK["training"], "epochs": 40, "loss": "hinge"}
    run = shared.train(dataset=penguins(shared), target="species", training=spec)

    (prediction,) = predict(shared, run, {"rows": [GENTOO]})["predictions"]

    assert run["metrics"]["test"]["accuracy"] > 0.9
    assert prediction["label"] == "Gentoo"
    assert prediction["probabilities"] is None
    assert max(prediction["scores"], key=prediction["scores"].__getitem__) == "Gentoo"


def test_counts_are_predicted_in_their_own_unit(shared: Api) -> None:
    content = b"x,visits\n" + b"".join(b"%d,%d\n" % (i % 8, i % 8 + i % 3) for i in range(200))
    training = {"loss": "poisson", "epochs": 150, "optimizer": {"type": "adam", "learning_rate": 0.02}}
    run = shared.train(dataset=shared.upload(content), target="visits", training=training)

    predictions = predict(shared, run, {"rows": [{"x": 0}, {"x": 7}]})["predictions"]

    assert run["resolved"]["network"]["output"]["activation"] == {"type": "exponential"}
    assert [each["value"] for each in predictions] == pytest.approx([1, 8], abs=0.5)


def test_two_classes_have_two_probabilities(shared: Api) -> None:
    run = shared.train()

    (prediction,) = predict(shared, run, {"rows": [{"x": 1, "y": 2}]})["predictions"]

    assert set(prediction["probabilities"]) == {"even", "odd"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-6)


def test_a_regression_answers_in_the_targets_own_unit(shared: Api) -> None:
    lines = b"".join(b"%d,%d\n" % (x, 1000 + 5 * x) for x in range(60))
    dataset = shared.upload(b"x,price\n" + lines)
    run = shared.train(dataset=dataset, target="price", task="regression", training={"epochs": 300})

    (prediction,) = predict(shared, run, {"rows": [{"x": 30}]})["predictions"]

    assert prediction == {"value": pytest.approx(1150, rel=0.02)}


def test_several_targets_are_answered_by_name(shared: Api) -> None:
    lines = b"".join(b"%d,%d,%d\n" % (x, 2 * x, -x) for x in range(40))
    dataset = shared.upload(b"x,double,minus\n" + lines)
    run = shared.train(dataset=dataset, target=["double", "minus"], task="regression")

    (prediction,) = predict(shared, run, {"rows": [{"x": 3}]})["predictions"]

    assert set(prediction["targets"]) == {"double", "minus"}


def test_class_labels_are_spelt_as_in_the_file(shared: Api) -> None:
    lines = b"".join(b"%d,%s\n" % (x, b"007" if x % 2 else b"008") for x in range(40))
    run = shared.train(dataset=shared.upload(b"x,agent\n" + lines), target="agent")

    (prediction,) = predict(shared, run, {"rows": [{"x": 3}]})["predictions"]

    assert set(prediction["probabilities"]) == {"007", "008"}


@pytest.mark.parametrize("at", ["best", "last", "epoch:10"])
def test_any_stored_moment_can_predict(shared: Api, run: Json, at: str) -> None:
    by_at = predict(shared, run, {"rows": [GENTOO], "at": at})
    by_checkpoint = predict(shared, run, {"rows": [GENTOO], "checkpoint": at})
    by_id = predict(shared, run, {"rows": [GENTOO], "at": f"checkpoint:{by_at['checkpoint']}"})

    assert by_at == by_checkpoint == by_id


def test_one_row_alone_predicts_as_in_a_batch(shared: Api, run: Json) -> None:
    rows = shared.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 300}).json()["items"]

    batch = predict(shared, run, {"rows": rows})["predictions"]
    alone = [predict(shared, run, {"rows": [row]})["predictions"][0] for row in rows[:5]]

    for one, of_many in zip(alone, batch[:5], strict=True):
        assert one["label"] == of_many["label"]
        np.testing.assert_allclose(
            list(one["probabilities"].values()), list(of_many["probabilities"].values()), rtol=1e-5
        )


def test_many_who_ask_at_once_each_get_their_own_answer(shared: Api, run: Json) -> None:
    rows = shared.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 200}).json()["items"]
    questions = [{"rows": rows[start : start + count]} for start in range(0, 120, 3) for count in (1, 2, 64, 65)]
    alone = [predict(shared, run, question) for question in questions]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda question: predict(shared, run, question), questions))

    assert together == alone


def test_blanks_are_filled_and_what_is_unknown_is_said(shared: Api, run: Json) -> None:
    row = {**GENTOO, "bill_length_mm": None, "island": "Atlantis", "colour": "blue"}

    warnings = " ".join(predict(shared, run, {"rows": [row]})["warnings"])

    assert "island" in warnings
    assert "colour" in warnings


def test_everything_that_is_wrong_with_the_rows_is_listed_at_once(shared: Api, run: Json) -> None:
    rows = [{"island": "Biscoe"}, {**GENTOO, "bill_depth_mm": "deep"}]

    faults = problem(shared.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}), 422)["errors"]

    assert [fault["pointer"] for fault in faults] == [
        "/rows/0/bill_length_mm",
        "/rows/0/bill_depth_mm",
        "/rows/0/flipper_length_mm",
        "/rows/0/body_mass_g",
        "/rows/0/sex",
        "/rows/1/bill_depth_mm",
    ]


def test_rows_of_another_shape_are_all_named(shared: Api, run: Json) -> None:
    rows = [GENTOO, [1, 2], "text"]

    faults = problem(shared.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}), 422)["errors"]

    assert {"/rows/1", "/rows/2"} <= {fault["pointer"] for fault in faults}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ('{"rows": []}', 422),
        ('{"rows": [{}], "model": 1}', 422),
        ('{"rows": [{}], "at": 3}', 422),
        ('{"rows": [{}], "at": "best", "checkpoint": "last"}', 422),
        ('{"rows": [{}], "at": "epoch:7"}', 404),
        ('{"rows": [{"bill_length_mm": NaN}]}', 400),
        ('{"rows": [{"bill_length_mm": 1e999}]}', 422),
    ],
)
def test_a_question_that_can_not_be_is_refused(shared: Api, run: Json, body: str, status: int) -> None:
    answer = shared.request(
        "POST", f"/v1/runs/{run['id']}/predict", content=body, headers={"Content-Type": "application/json"}
    )

    if status == 422 and answer.status_code == 400:
        status = 400  # a number too large for JSON's readers is not JSON
    problem(answer, status)


def test_more_rows_than_allowed_are_refused_by_name(api_with_small_limits: Api) -> None:
    run = api_with_small_limits.train()

    answer = api_with_small_limits.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}] * 4})

    assert problem(answer, 413)["limit"] == "predict_rows"


def test_a_run_without_a_checkpoint_says_so(shared: Api) -> None:
    run = shared.create()

    answer = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}]})

    problem(answer, 404, "no_checkpoint")
    shared.post(f"/v1/runs/{run['id']}/cancel")


def test_a_deleted_run_predicts_no_more(shared: Api) -> None:
    run = shared.train(**QUICK)
    predict(shared, run, {"rows": [{"x": 1, "y": 2}]})
    shared.delete(f"/v1/runs/{run['id']}")

    problem(shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}]}), 404)


def test_an_answer_is_json_to_any_reader(shared: Api, run: Json) -> None:
    text = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [GENTOO] * 3}).text

    json.loads(text, parse_constant=lambda name: pytest.fail(name))
