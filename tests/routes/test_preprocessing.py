"""Columns of every kind over HTTP: from a file to a network, to its gradients, and to predictions."""

from typing import Any

import numpy as np
import pytest

from tests.support import Api, problem

HEADER = "when,city,size,income,label\n"
ROWS = [
    f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d} {i % 24:02d}:00,{('Rome', 'Oslo', 'Lima', 'Rome')[i % 4]},"
    f"{('S', 'M', 'L')[i % 3]},{'' if i % 7 == 0 else i * i * 100},{'yes' if i % 4 in (0, 3) else 'no'}\n"
    for i in range(80)
]
TABLE = (HEADER + "".join(ROWS)).encode()
COLUMNS = {
    "city": {"type": "category", "encoding": "embedding"},
    "size": {"type": "category", "encoding": "ordinal", "order": ["S", "M", "L"], "unseen": "refuse"},
}
SPEC: dict[str, Any] = {
    "preprocessing": {"columns": COLUMNS, "embedding_dim": 2},
    "training": {"epochs": 3},
    "network": {"layers": [{"type": "dense", "units": 4, "activation": "tanh"}]},
}
ROW = {"when": "2024-03-01T12:00:00Z", "city": "Oslo", "size": "M", "income": None}


def test_a_columns_vectors_are_learned_inspected_and_checked(api: Api) -> None:
    run = api.train(dataset=api.upload(TABLE), **SPEC)

    first = run["resolved"]["network"]["layers"][0]
    found = api.post(
        f"/v1/runs/{run['id']}/inspect",
        {"dataset_rows": {"part": "train"}, "quantities": ["dW.1"], "reduce": "full"},
    ).json()
    check = api.post(
        f"/v1/runs/{run['id']}/check",
        {"dataset_rows": {"part": "train", "limit": 20}, "targets": ["W.1[0,0]", "W.1[2,1]"]},
    ).json()

    assert (first["type"], first["levels"], first["dim"]) == ("category_embedding", [4], 2)
    assert found["tensors"]["dW.1"]["shape"] == [4, 2]
    assert found["tensors"]["dW.1"]["values"][3] == [0, 0]  # nothing in training is none of the cities
    assert [nudge["verdict"] for nudge in check["nudges"]] == ["ok", "ok"]


def test_the_resolved_spec_of_learned_vectors_is_the_same_training(api: Api) -> None:
    first = api.train(dataset=api.upload(TABLE), **SPEC)

    again = api.train(**{**first["resolved"], "dataset": first["dataset"]["id"]})

    assert again["resolved"] == first["resolved"]
    assert again["weights_digest"] == first["weights_digest"]


def test_a_row_may_hold_what_training_did_not_see_unless_it_is_refused(api: Api) -> None:
    run = api.train(dataset=api.upload(TABLE), **SPEC)
    path = f"/v1/runs/{run['id']}/predict"

    answer = api.post(path, {"rows": [{**ROW, "city": "Atlantis", "extra": 1}]}).json()
    refused = problem(api.post(path, {"rows": [ROW, {**ROW, "size": "XL"}]}), 422)

    assert answer["warnings"] == [
        "extra: not a column this run learned from; ignored",
        "city: 1 of 1 rows hold a text not seen in training; it is read as (other)",
    ]
    assert [(fault["pointer"], fault["code"]) for fault in refused["errors"]] == [("/rows/1/size", "unseen_level")]


def test_an_encoding_that_a_column_can_not_have_is_refused_by_its_place(shared: Api) -> None:
    columns = {"city": {"type": "number"}}
    body = {"dataset": shared.upload(TABLE), "target": "label", "preprocessing": {"columns": columns}}

    [fault] = problem(shared.post("/v1/runs", body), 422)["errors"]

    assert fault["pointer"] == "/preprocessing/columns/city"


def test_an_encoding_of_a_column_that_is_not_there_is_refused(shared: Api) -> None:
    body = {
        "dataset": shared.upload(TABLE),
        "target": "label",
        "preprocessing": {"columns": {"town": {"type": "category"}}},
    }

    [fault] = problem(shared.post("/v1/runs", body), 422, "unknown_column")["errors"]

    assert fault["pointer"] == "/preprocessing/columns/town"


def test_a_datasets_spellings_of_a_blank_are_its_runs_too(api: Api) -> None:
    content = "x,color,label\n" + "".join(
        f"{'?' if i % 5 == 0 else i},{('red', 'blue', '?')[i % 3]},{('yes', 'no')[i % 2]}\n" for i in range(40)
    )
    run = api.train(dataset=api.upload(content.encode(), na='["?"]'))
    path = f"/v1/runs/{run['id']}/predict"

    spelt = api.post(path, {"rows": [{"x": "?", "color": " ? "}]}).json()
    blank = api.post(path, {"rows": [{"x": None, "color": None}]}).json()

    assert spelt["predictions"] == blank["predictions"]
    assert spelt["warnings"] == []


def test_a_target_over_powers_of_ten_is_learned_by_its_logarithm_and_told_in_its_own_unit(api: Api) -> None:
    lines = [f"{i},{i % 3},{10 ** (i / 20) + i % 3:.6g}\n" for i in range(120)]
    dataset = api.upload(("x,y,price\n" + "".join(lines)).encode())
    training = {"epochs": 60, "optimizer": {"type": "adam", "learning_rate": 0.01}}
    run = api.train(
        dataset=dataset,
        target="price",
        training=training,
        task="regression",
        preprocessing={"targets": {"transform": "log1p"}},
        network={"layers": [{"type": "dense", "units": 16, "activation": "tanh"}]},
    )

    path = f"/v1/runs/{run['id']}"
    evaluation = api.get(f"{path}/evaluation", params={"part": "test", "worst": 50}).json()
    numbers = api.get(f"{path}/split").json()["test"]
    prices = np.array([float(line.split(",")[2]) for line in lines])[numbers]
    rows = [{"x": number, "y": number % 3} for number in numbers]
    predicted = np.array([row["value"] for row in api.post(f"{path}/predict", {"rows": rows}).json()["predictions"]])

    assert evaluation["metrics"]["mae"] == pytest.approx(np.abs(predicted - prices).mean(), rel=1e-4)
    assert evaluation["metrics"]["rmse"] == pytest.approx(np.sqrt(np.square(predicted - prices).mean()), rel=1e-4)
    assert run["metrics"]["test"]["mae"] == pytest.approx(evaluation["metrics"]["mae"], rel=1e-6)
    assert np.abs(np.log(predicted / prices)).max() < 0.7, "also the small ones are known"
    [target] = api.get(f"{path}/preprocessing").json()["targets"]
    assert target["transform"] == "log1p"
    seen = api.post(f"{path}/inspect", {"dataset_rows": {"part": "train"}, "quantities": ["loss"]}).json()
    assert "log(1 + |y|)" in seen["units"]
