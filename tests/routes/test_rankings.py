"""Rankings over HTTP, beside evaluations and inspections of the same run; and a wrong label that is to be found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from tests.routes.test_influences import gradient
from tests.support import QUICK, Api, Json, penguins, problem

FLOAT64 = {**QUICK["training"], "dtype": "float64"}


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(training=FLOAT64)


@pytest.fixture(scope="module")
def irises(shared: Api) -> Json:
    """A run on Fisher's irises, of which row 17, a setosa, is called a virginica."""
    table = load_iris()
    names = [str(table.target_names[place]) for place in table.target]
    names[17] = "virginica"
    lines = [",".join([*map(str, row), name]) for row, name in zip(table.data.tolist(), names, strict=True)]
    content = "\n".join(["a,b,c,d,species", *lines]).encode()
    training = {"epochs": 60, "batch_size": 16, "optimizer": {"type": "adam", "learning_rate": 0.01}}
    network = {"layers": [{"type": "dense", "units": 16, "activation": "relu"}]}
    dataset = shared.upload(content)
    return shared.train(
        dataset=dataset, target="species", split={"validation": 0, "test": 0}, training=training, network=network
    )


def ranking(api: Api, run: Json, **options: Any) -> Json:
    answer = api.get(f"/v1/runs/{run['id']}/ranking", params=options)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def refused(api: Api, run: Json, status: int, code: str | None = None, **options: Any) -> Json:
    return problem(api.get(f"/v1/runs/{run['id']}/ranking", params=options), status, code)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_the_largest_losses_are_those_of_the_evaluation(shared: Api, run: Json, part: str) -> None:
    found = ranking(shared, run, part=part)

    worst = shared.get(f"/v1/runs/{run['id']}/evaluation", params={"part": part}).json()["worst"]
    assert found["rows"] == len(shared.get(f"/v1/runs/{run['id']}/split").json()[part])
    assert [row["row"] for row in found["ranked"]] == [row["row"] for row in worst]
    np.testing.assert_allclose([row["loss"] for row in found["ranked"]], [row["loss"] for row in worst], rtol=1e-12)
    assert found["replay"]["status"] == "exact"


def test_gradient_norms_are_those_of_the_rows_own_gradients(shared: Api, run: Json) -> None:
    found = ranking(shared, run, by="gradient_norm", at="epoch:2")

    norms = [row["gradient_norm"] for row in found["ranked"]]
    assert found["moments"] == [8]
    assert norms == sorted(norms, reverse=True)
    for row in found["ranked"][:2]:
        np.testing.assert_allclose(
            row["gradient_norm"], np.linalg.norm(gradient(shared, run, 8, row["row"])), rtol=1e-9
        )


def test_self_influence_sums_over_the_moments(shared: Api, run: Json) -> None:
    found = ranking(shared, run, by="self_influence", at="epoch:1,last", top=2)

    rates = [shared.get(f"/v1/runs/{run['id']}/steps/{step}").json()["learning_rate"] for step in (4, 12)]
    for row in found["ranked"]:
        squares = [np.square(gradient(shared, run, at, row["row"])).sum() for at in (4, 12)]
        np.testing.assert_allclose(row["self_influence"], np.dot(rates, squares), rtol=1e-9)
    assert found["moments"] == [4, 12]
    assert len(found["ranked"]) == 2


def test_a_wrong_label_is_the_first_suspect_and_its_opponents_are_its_like(shared: Api, irises: Json) -> None:
    found = ranking(shared, irises, by="suspicion", top=5)

    first = found["ranked"][0]
    assert (first["row"], first["label"], first["opposing"]) == (17, "virginica", "setosa")
    assert first["is_opposed"]
    assert first["own_cosine"] + first["opposing_cosine"] < 0
    assert {each["row"] < 50 for each in first["opponents"]} == {True}, "the first fifty are the setosas"
    assert len(found["moments"]) == 8
    assert found["opposed"] >= 1
    assert all(row["is_opposed"] for row in found["ranked"][: found["opposed"]])


def test_a_wrong_label_lowers_its_own_loss_against_all_others(shared: Api, irises: Json) -> None:
    answer = shared.post(f"/v1/runs/{irises['id']}/influence", {"of": {"numbers": [17]}, "until": "epoch:20"})

    [query] = answer.json()["queries"]
    first = query["proponents"][0]
    assert first["row"] == 17
    assert query["total"] < first["value"]


def test_other_rankings_say_nothing_of_classes(shared: Api, run: Json) -> None:
    found = ranking(shared, run, by="loss", top=1)

    assert (found["opposed"], found["ranked"][0]["label"], found["ranked"][0]["opponents"]) == (None, None, None)


def test_numbers_have_no_labels_to_suspect(api: Api) -> None:
    run = api.train(dataset=penguins(api), target="body_mass_g", task="regression", training={"epochs": 2})

    [fault] = refused(api, run, 422, "no_classes", by="suspicion")["errors"]

    assert fault["parameter"]["name"] == "by"
    assert ranking(api, run, by="self_influence")["units"].startswith("the loss and the gradients are in units of")


def test_rows_that_count_more_learn_more_of_themselves(api: Api) -> None:
    plain, weighted = (
        api.train(training={**FLOAT64, "class_weight": weight}) for weight in (None, {"even": 3.0, "odd": 1.0})
    )

    found = {row["row"]: row for row in ranking(api, weighted, by="self_influence", at="first", top=100)["ranked"]}

    for row in ranking(api, plain, by="self_influence", at="first", top=100)["ranked"]:
        assert found[row["row"]]["loss"] == pytest.approx(row["loss"], rel=1e-12)
    shares = {round(each["self_influence"] / each["gradient_norm"] ** 2, 9) for each in found.values()}
    assert max(shares) == pytest.approx(3 * min(shares), rel=1e-6)
    assert len(shares) == 2


# Refusals ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused(shared: Api, run: Json) -> None:
    refused(shared, run, 422, at="last", moments=3)
    refused(shared, run, 422, "bad_moment", at="yesterday")
    refused(shared, run, 422, by="beauty")
    refused(shared, run, 404, "no_such_moment", at="epoch:99")


def test_a_part_without_rows_is_refused(api: Api) -> None:
    run = api.train(split={"validation": 0})

    refused(api, run, 422, "empty_part", part="validation")


def test_too_much_is_refused_with_an_estimate(tmp_path: Path) -> None:
    with Api(tmp_path, limits={"influence_rows": 100}) as api:
        run = api.train()

        answer = refused(api, run, 413, by="self_influence")

        assert answer["limit"] == "influence_rows"
        assert answer["estimated_seconds"] >= 0
        assert ranking(api, run, by="self_influence", moments=3)["ranked"]


def test_a_part_too_large_for_memory_is_refused(tmp_path: Path) -> None:
    with Api(tmp_path, limits={"evaluate_numbers": 60}) as api:
        run = api.train()

        assert refused(api, run, 413)["limit"] == "evaluate_numbers"


def test_a_run_without_steps_is_ranked_by_its_first_weights(api: Api) -> None:
    found = ranking(api, api.create(), by="suspicion")

    assert found["moments"] == [0]
    assert found["ranked"]
