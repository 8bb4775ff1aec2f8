"""Evaluations beside scikit-learn on what the same run predicts for the same rows."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn
from sklearn.calibration import calibration_curve

from engine.data import Preprocessing
from engine.evaluation import QUANTILES
from engine.metrics import names_of
from service.domain import datasets
from service.store.tables import CheckpointRow
from tests.support import QUICK, Api, Json, penguins, problem

PARTS = {"split": {"validation": 0.2, "test": 0.3}}
MACRO: Json = {"average": "macro", "zero_division": 0}
LABELS = ["a", "b"]


@pytest.fixture(scope="module")
def species(shared: Api) -> Json:
    """Three classes, not told apart well."""
    return shared.train(dataset=penguins(shared), target="species", features=["body_mass_g", "sex"], **PARTS)


@pytest.fixture(scope="module")
def sex(shared: Api) -> Json:
    """Two classes, and rows without one."""
    return shared.train(dataset=penguins(shared), target="sex", training={"epochs": 10, "batch_size": 32}, **PARTS)


@pytest.fixture(scope="module")
def mass(shared: Api) -> Json:
    """Numbers."""
    training = {"epochs": 20, "batch_size": 32}
    return shared.train(dataset=penguins(shared), target="body_mass_g", task="regression", training=training, **PARTS)


@pytest.fixture(scope="module")
def labels(shared: Api) -> Json:
    """Two targets of two classes each."""
    random = np.random.default_rng(3)
    x = random.normal(size=(120, 2))
    yes = x + random.normal(size=(120, 2)) > 0
    lines = [f"{row[0]:.3f},{row[1]:.3f},{a},{b}" for row, (a, b) in zip(x, np.where(yes, "yes", "no"), strict=True)]
    dataset = shared.upload("\n".join(["x,z,a,b", *lines]).encode())
    return shared.train(dataset=dataset, target=LABELS, **PARTS)


def evaluation(api: Api, run: Json, **params: Any) -> Json:
    answer = api.get(f"/v1/runs/{run['id']}/evaluation", params=params)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def rows_of(api: Api, run: Json, part: str = "test") -> tuple[list[int], list[Json], list[Json]]:
    """A part's row numbers, rows, and what the run predicts for them."""
    table = datasets.table_of(api.settings.data, run["dataset"]["id"])
    numbers = Preprocessing.from_json(run["preprocessing"]).split(table).part(part).tolist()
    listed = api.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 500}).json()["items"]
    rows = [listed[number] for number in numbers]
    predictions = api.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}).json()["predictions"]
    return numbers, rows, predictions


def close(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-5, abs=1e-6)


# Correctness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_several_classes_are_scikit_learns(shared: Api, species: Json, part: str) -> None:
    _, rows, predictions = rows_of(shared, species, part)
    truth, taken = [row["species"] for row in rows], [each["label"] for each in predictions]
    names = sorted(set(truth))
    P = np.array([[each["probabilities"][name] for name in names] for each in predictions])

    found = evaluation(shared, species, part=part)

    (target,) = found["targets"]
    metrics = {name: found["metrics"][name] for name in found["metrics"] if name != "loss"}
    assert target["metrics"] == metrics
    assert found["rows"] == len(rows)
    assert metrics == {
        "accuracy": close(sklearn.accuracy_score(truth, taken)),
        "balanced_accuracy": close(sklearn.balanced_accuracy_score(truth, taken)),
        "f1": close(sklearn.f1_score(truth, taken, **MACRO)),
        "precision": close(sklearn.precision_score(truth, taken, **MACRO)),
        "recall": close(sklearn.recall_score(truth, taken, **MACRO)),
        "roc_auc": close(sklearn.roc_auc_score(truth, P, multi_class="ovr")),
        "log_loss": close(sklearn.log_loss(truth, P)),
        "brier": close(sklearn.brier_score_loss(truth, P)),
    }
    assert found["metrics"]["loss"] == close(metrics["log_loss"])
    assert target["confusion"] == sklearn.confusion_matrix(truth, taken, labels=names).tolist()
    report = sklearn.classification_report(truth, taken, output_dict=True, zero_division=0)
    for each in target["classes"]:
        expected = report[each["name"]]
        assert each["support"] == expected["support"]
        assert [each["precision"], each["recall"], each["f1"]] == close(
            [expected["precision"], expected["recall"], expected["f1-score"]]
        )
    assert [each["name"] for each in target["classes"]] == names
    right = [said == true for said, true in zip(taken, truth, strict=True)]
    assert filled(target["calibration"]) == curve(right, P.max(axis=1))
    assert target["residuals"] is None


def curve(came_true: Any, p: Any) -> Any:
    """scikit-learn's calibration curve: observed and mean predicted of each bin that has rows."""
    return [close(values.tolist()) for values in calibration_curve(came_true, p, n_bins=10)]


def filled(bins: list[Json]) -> list[list[float]]:
    assert len(bins) == 10
    assert all((each["count"] == 0) == (each["observed"] is None) for each in bins)
    counted = [each for each in bins if each["count"]]
    return [[each[name] for each in counted] for name in ("observed", "mean_predicted")]


def test_two_classes_are_scikit_learns(shared: Api, sex: Json) -> None:
    _, rows, predictions = rows_of(shared, sex)
    truth, taken = [row["sex"] for row in rows], [each["label"] for each in predictions]
    p = np.array([each["probabilities"]["male"] for each in predictions])
    is_male = np.array(truth) == "male"

    found = evaluation(shared, sex)

    (target,) = found["targets"]
    assert None not in truth
    assert found["metrics"]["roc_auc"] == close(sklearn.roc_auc_score(is_male, p))
    assert found["metrics"]["brier"] == close(sklearn.brier_score_loss(is_male, p))
    assert found["metrics"]["f1"] == close(sklearn.f1_score(truth, taken, average="macro"))
    assert target["confusion"] == sklearn.confusion_matrix(truth, taken, labels=["female", "male"]).tolist()
    assert filled(target["calibration"]) == curve(is_male, p)


def test_numbers_are_scikit_learns_in_the_targets_own_unit(shared: Api, mass: Json) -> None:
    _, rows, predictions = rows_of(shared, mass)
    truth = np.array([row["body_mass_g"] for row in rows])
    said = np.array([each["value"] for each in predictions])

    found = evaluation(shared, mass)

    (target,) = found["targets"]
    assert target["metrics"] == {
        "mae": close(sklearn.mean_absolute_error(truth, said)),
        "rmse": close(sklearn.root_mean_squared_error(truth, said)),
        "r2": close(sklearn.r2_score(truth, said)),
        "explained_variance": close(sklearn.explained_variance_score(truth, said)),
        "median_absolute_error": close(sklearn.median_absolute_error(truth, said)),
    }
    expected = np.quantile(truth - said, list(QUANTILES.values())).tolist()
    assert list(target["residuals"].values()) == pytest.approx(expected, rel=1e-4, abs=1e-2)
    assert [target["classes"], target["confusion"], target["calibration"]] == [None, None, None]


def test_each_of_several_targets_has_its_own_tables(shared: Api, labels: Json) -> None:
    _, rows, predictions = rows_of(shared, labels)

    found = evaluation(shared, labels, worst=3)

    assert [target["name"] for target in found["targets"]] == LABELS
    for target in found["targets"]:
        name = target["name"]
        truth = [row[name] for row in rows]
        taken = [each["targets"][name]["label"] for each in predictions]
        p = np.array([each["targets"][name]["probabilities"]["yes"] for each in predictions])
        assert target["confusion"] == sklearn.confusion_matrix(truth, taken, labels=["no", "yes"]).tolist()
        assert target["metrics"]["roc_auc"] == close(sklearn.roc_auc_score(np.array(truth) == "yes", p))
        assert sum(each["count"] for each in target["calibration"]) == len(rows)
    both = np.mean([target["metrics"]["roc_auc"] for target in found["targets"]])
    assert found["metrics"]["roc_auc"] == close(both)
    assert set(found["worst"][0]["true"]["targets"]) == set(LABELS)
    assert set(found["worst"][0]["predicted"]["targets"]) == set(LABELS)


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("name", ["species", "sex", "mass", "labels"])
def test_it_is_what_the_run_said_at_its_end(shared: Api, name: str, part: str, request: pytest.FixtureRequest) -> None:
    run: Json = request.getfixturevalue(name)

    assert evaluation(shared, run, part=part)["metrics"] == pytest.approx(run["metrics"][part], rel=1e-12)


def test_scores_have_neither_probabilities_nor_calibration(shared: Api) -> None:
    training = {**QUICK["training"], "loss": "hinge"}
    run = shared.train(dataset=penguins(shared), target="species", training=training, **PARTS)

    found = evaluation(shared, run, worst=1)

    assert found["metrics"]["log_loss"] is None
    assert found["metrics"]["brier"] is None
    assert found["metrics"]["roc_auc"] > 0.5
    assert found["targets"][0]["calibration"] is None
    (worst,) = found["worst"]
    assert worst["true"]["probability"] is None
    assert worst["true"]["score"] <= worst["predicted"]["score"]


# The worst rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["species", "sex", "mass"])
def test_the_worst_rows_have_the_largest_losses_in_an_inspection(
    shared: Api, name: str, request: pytest.FixtureRequest
) -> None:
    run: Json = request.getfixturevalue(name)
    body = {"dataset_rows": {"part": "test", "limit": 500}, "quantities": ["loss"]}
    inspected = shared.post(f"/v1/runs/{run['id']}/inspect", body).json()
    losses = dict(zip(inspected["row_numbers"], inspected["example_losses"], strict=True))

    worst = evaluation(shared, run, worst=7)["worst"]

    rows = [each["row"] for each in worst]
    assert [each["loss"] for each in worst] == close(sorted(losses.values(), reverse=True)[:7])
    assert [each["loss"] for each in worst] == close([losses[row] for row in rows])
    again = {"dataset_rows": {"numbers": rows}, "quantities": ["loss"]}
    assert shared.post(f"/v1/runs/{run['id']}/inspect", again).json()["row_numbers"] == rows


def test_the_worst_rows_say_what_is_true_and_what_is_predicted(shared: Api, species: Json, mass: Json) -> None:
    numbers, rows, predictions = rows_of(shared, species)
    told = {number: (row, said) for number, row, said in zip(numbers, rows, predictions, strict=True)}
    for worst in evaluation(shared, species)["worst"]:
        row, said = told[worst["row"]]
        label = row["species"]
        assert worst["true"]["label"] == label
        assert worst["true"]["probability"] == close(said["probabilities"][label])
        assert worst["predicted"]["label"] == said["label"]
        assert worst["predicted"]["probability"] == close(said["probabilities"][said["label"]])

    numbers, rows, predictions = rows_of(shared, mass)
    told = {number: (row, said) for number, row, said in zip(numbers, rows, predictions, strict=True)}
    for worst in evaluation(shared, mass)["worst"]:
        row, said = told[worst["row"]]
        assert worst["true"]["value"] == row["body_mass_g"]
        assert worst["predicted"]["value"] == close(said["value"])


def test_as_many_worst_rows_come_as_are_asked_for_and_there_are(shared: Api, species: Json) -> None:
    found = [evaluation(shared, species, worst=count) for count in (0, 5, 1000)]

    assert [len(each["worst"]) for each in found] == [0, 5, found[0]["rows"]]
    assert len(evaluation(shared, species)["worst"]) == 20


# Moments -----------------------------------------------------------------------------------------------------------


def test_any_stored_moment_can_be_evaluated(shared: Api) -> None:
    run = shared.train(training={"epochs": 4, "checkpoints": {"every": 1}, "early_stopping": None})
    losses = shared.get(f"/v1/runs/{run['id']}/losses").json()["validation.loss"]

    found = [evaluation(shared, run, part="validation", checkpoint=f"epoch:{epoch}") for epoch in (1, 3)]

    assert [each["epoch"] for each in found] == [1, 3]
    assert [each["metrics"]["loss"] for each in found] == pytest.approx([losses[0], losses[2]], rel=1e-12)
    assert found[0]["checkpoint"] != found[1]["checkpoint"]
    by_id = evaluation(shared, run, part="validation", checkpoint=f"checkpoint:{found[0]['checkpoint']}")
    assert by_id == found[0]


def test_more_rows_than_are_encoded_at_once_give_the_same(
    shared: Api, species: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.network.EVALUATION_ROWS", 16)
    expected = evaluation(shared, species, part="train")

    monkeypatch.setattr("service.domain.evaluations.ENCODED_NUMBERS", 1)

    assert evaluation(shared, species, part="train") == expected


# Errors ------------------------------------------------------------------------------------------------------------


def test_a_part_without_rows_is_refused(shared: Api) -> None:
    run = shared.train(split={"validation": 0.2, "test": 0})

    body = problem(shared.get(f"/v1/runs/{run['id']}/evaluation"), 422, "empty_part")

    assert body["detail"] == "part: expected a part with rows, but this run's test part has none."
    assert body["errors"][0]["parameter"] == {"in": "query", "name": "part"}


@pytest.mark.parametrize(
    ("params", "name"),
    [({"part": "all"}, "part"), ({"worst": -1}, "worst"), ({"worst": 1001}, "worst"), ({"rows": 3}, "rows")],
)
def test_a_wrong_parameter_is_named(shared: Api, species: Json, params: Json, name: str) -> None:
    body = problem(shared.get(f"/v1/runs/{species['id']}/evaluation", params=params), 422)

    assert body["errors"][0]["parameter"] == {"in": "query", "name": name}


def test_a_word_that_names_no_moment_is_refused(shared: Api, species: Json) -> None:
    problem(shared.get(f"/v1/runs/{species['id']}/evaluation", params={"checkpoint": "first"}), 422, "bad_moment")


def test_a_checkpoint_that_is_not_stored_is_not_found(shared: Api, species: Json) -> None:
    params = {"checkpoint": "epoch:999"}

    problem(shared.get(f"/v1/runs/{species['id']}/evaluation", params=params), 404, "no_checkpoint")


def test_a_run_without_a_checkpoint_can_not_be_evaluated_yet(shared: Api) -> None:
    run = shared.create()

    problem(shared.get(f"/v1/runs/{run['id']}/evaluation"), 404, "no_checkpoint")
    shared.post(f"/v1/runs/{run['id']}/cancel")


def test_an_unknown_run_is_not_found(shared: Api) -> None:
    problem(shared.get("/v1/runs/run_0/evaluation"), 404, "not_found")


def test_a_datasets_file_that_is_gone_is_said(api: Api) -> None:
    run = api.train()
    datasets.path_of(api.settings.data, run["dataset"]["id"]).unlink()

    body = problem(api.get(f"/v1/runs/{run['id']}/evaluation"), 409, "dataset_missing")

    assert body["detail"] == f"The file of dataset {run['dataset']['id']} is not in the data folder."


def test_a_part_larger_than_the_limit_is_refused(api_with_small_limits: Api) -> None:
    run = api_with_small_limits.train(features=["x"])

    body = problem(api_with_small_limits.get(f"/v1/runs/{run['id']}/evaluation", params={"part": "train"}), 413)

    assert (body["limit"], body["maximum"]) == ("evaluate_numbers", 80)
    assert "the train part's inputs, targets and outputs are 84 numbers" in body["detail"].lower()
    assert evaluation(api_with_small_limits, run)["rows"] == 6


def test_a_damaged_checkpoint_is_said(api: Api) -> None:
    run = api.train()
    with api.database.write() as session:
        session.get_one(CheckpointRow, run["best"]["checkpoint"]).sha256 = "0" * 64

    problem(api.get(f"/v1/runs/{run['id']}/evaluation"), 500, "damaged_checkpoint")


def test_metrics_are_those_of_the_task(shared: Api, species: Json, mass: Json) -> None:
    assert list(evaluation(shared, species)["metrics"]) == ["loss", *names_of("classification")]
    assert list(evaluation(shared, mass)["metrics"]) == ["loss", *names_of("regression")]
