"""A small convolutional network on images, through the HTTP API alone: trained, predicted, inspected, nudged."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.samples import DIGITS
from tests.support import Api, Json, problem

NETWORK: dict[str, Any] = {
    "input": {"shape": [8, 8, 1]},
    "layers": [
        {"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"},
        {"type": "max_pool", "size": 2},
        {"type": "conv2d", "filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"},
        {"type": "max_pool", "size": 2},
        {"type": "flatten"},
    ],
}
TRAINING: dict[str, Any] = {"epochs": 15, "batch_size": 32, "optimizer": {"type": "adam", "learning_rate": 0.003}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("convolution")) as found:
        yield found


@pytest.fixture(scope="module")
def run(api: Api) -> Json:
    dataset = api.upload(DIGITS.content(), name=DIGITS.name)
    return api.train(dataset=dataset, target=DIGITS.target, network=NETWORK, training=TRAINING)


def test_it_tells_digits_apart_in_a_few_epochs(run: Json) -> None:
    assert run["status"] == "succeeded", run["reason"]
    assert run["metrics"]["test"]["accuracy"] >= 0.97
    assert run["resolved"]["network"]["input"] == {"shape": [8, 8, 1], "scaling": "standard"}
    assert len(run["preprocessing"]["features"]) == 64


def test_every_tensor_of_it_can_be_seen_in_full(api: Api, run: Json) -> None:
    found = api.post(
        f"/v1/runs/{run['id']}/inspect",
        {
            "dataset_rows": {"part": "test", "limit": 3},
            "quantities": ["A.0", "Z.1", "dW", "dA.0", "layers.1.y"],
            "reduce": "full",
        },
    ).json()["tensors"]

    shapes = {name: tensor["shape"] for name, tensor in found.items()}
    assert shapes["A.0"] == shapes["dA.0"] == [3, 8, 8, 1]
    assert shapes["Z.1"] == [3, 8, 8, 16]
    assert shapes["layers.1.y"] == [3, 4, 4, 16]
    assert shapes["dW.2"] == [3, 3, 16, 32]
    assert np.array(found["dW.2"]["values"]).shape == (3, 3, 16, 32)
    assert all(tensor["non_finite"] == 0 for tensor in found.values())


def test_its_gradients_pass_the_nudge_check(api: Api, run: Json) -> None:
    found = api.post(f"/v1/runs/{run['id']}/check", {"dataset_rows": {"part": "train", "limit": 4}, "samples": 12})

    body = found.json()
    assert body["is_complete"], body
    assert "mismatch" not in body["verdicts"], body
    assert body["verdicts"]["ok"] >= 30
    assert any(nudge["address"].startswith("W.2[") and nudge["address"].count(",") == 3 for nudge in body["nudges"])


def test_a_pixel_can_be_nudged_by_its_place(api: Api, run: Json) -> None:
    body = {"dataset_rows": {"part": "train", "limit": 2}, "targets": ["A.0[1,3,4,0]"]}

    [nudge] = api.post(f"/v1/runs/{run['id']}/check", body).json()["nudges"]

    assert nudge["address"] == "A.0[1,3,4,0]"
    assert nudge["verdict"] in ("ok", "kink")


def test_columns_are_refused_where_tensors_are_no_matrices(api: Api, run: Json) -> None:
    body = {"dataset_rows": {"part": "train", "limit": 2}, "orientation": "columns"}

    for question in ("inspect", "check"):
        found = problem(api.post(f"/v1/runs/{run['id']}/{question}", body), 422, "no_columns")
        assert "A.0 has 4 axes" in found["detail"]


def test_an_image_is_predicted_from_its_columns(api: Api, run: Json) -> None:
    rows = api.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 20}).json()["items"]

    found = api.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}).json()

    right = [each["label"] == str(row["digit"]) for each, row in zip(found["predictions"], rows, strict=True)]
    assert sum(right) >= 19


# Without a run -----------------------------------------------------------------------------------------------------


def question(**more: Any) -> Json:
    """A stateless question about a convolution of two images."""
    random = np.random.default_rng(1)
    return {
        "network": {
            "input": {"shape": [3, 3, 1]},
            "layers": [
                {"type": "conv2d", "filters": 2, "kernel_size": 2, "activation": "tanh"},
                {"type": "global_average_pool"},
                {"type": "dense", "units": 2, "activation": "softmax"},
            ],
        },
        "loss": "cross_entropy",
        "parameters": {
            "W.1": random.normal(size=(2, 2, 1, 2)).tolist(),
            "b.1": [0.1, -0.1],
            "W.2": random.normal(size=(2, 2)).tolist(),
            "b.2": [0.0, 0.0],
        },
        "X": random.normal(size=(2, 9)).tolist(),
        "Y": [[1, 0], [0, 1]],
        **more,
    }


def test_rows_and_nested_images_are_the_same_question(api: Api) -> None:
    nested = np.reshape(question()["X"], (2, 3, 3, 1)).tolist()

    flat, shaped = (api.post("/v1/inspect", question(reduce="full", **more)).json() for more in ({}, {"X": nested}))

    assert flat == shaped
    assert flat["tensors"]["A.0"]["values"] == nested
    assert flat["tensors"]["dW.1"]["shape"] == [2, 2, 1, 2]
    body = api.post("/v1/check", question(X=nested, samples=8)).json()
    assert body["verdicts"] == {"ok": len(body["nudges"])}


@pytest.mark.parametrize(
    ("more", "code", "detail"),
    [
        ({"X": [[1.0] * 8] * 2}, "wrong_shape", "network.input.shape: expected a shape that holds the 8 numbers"),
        ({"X": [[[[1.0]] * 3] * 2] * 2}, "wrong_shape", "X: expected rows of shape [3, 3, 1], got [2, 3, 1]"),
        ({"X": [[[[1.0]] * 3, [[1.0]]]] * 2}, "wrong_shape", "X: expected rows of shape [3, 3, 1], all numbers"),
        ({"X": [[None] * 9] * 2}, "invalid", "expected numbers only"),
        ({"orientation": "columns", "Y": [[1, 0], [0, 1]]}, "no_columns", "orientation: expected rows"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_by_name(api: Api, more: Json, code: str, detail: str) -> None:
    if more.get("orientation"):
        more = {**more, "X": np.transpose(question()["X"]).tolist()}

    found = problem(api.post("/v1/inspect", question(**more)), 422, code)

    assert detail in found["detail"]


@pytest.mark.parametrize(
    ("network", "detail"),
    [
        ({"input": {"shape": [8, 9, 1]}}, "network.input.shape: expected a shape that holds the 64 numbers"),
        ({"input": None}, "network.layers[0]: expected an input of shape [height, width, channels], got ["),
        ({"layers": NETWORK["layers"][:-1]}, "expected a head that gives one vector a row"),
        (
            {"layers": [{"type": "conv2d", "filters": 2, "kernel_size": 9}]},
            "network.layers[0].kernel_size: expected a window that fits",
        ),
    ],
)
def test_a_run_whose_shapes_do_not_fit_is_refused_by_name(api: Api, run: Json, network: Json, detail: str) -> None:
    body = {"dataset": run["dataset"]["id"], "target": DIGITS.target, "network": {**NETWORK, **network}}

    assert detail in problem(api.post("/v1/runs/validate", body), 422)["detail"]


def test_a_plan_tells_shapes_and_counts_what_images_need(api: Api, run: Json) -> None:
    body = {"dataset": run["dataset"]["id"], "target": DIGITS.target, "network": NETWORK}

    plan = api.post("/v1/runs/validate", body).json()

    assert plan["shapes"]["W.1"] == [3, 3, 1, 16]
    assert plan["shapes"]["W.3"] == [2 * 2 * 32, 10]
    assert len(plan["inputs"]) == 64
    assert plan["memory_bytes"] > 40_000_000
    large = {**NETWORK, "layers": [{**NETWORK["layers"][0], "padding": 3000}, {"type": "global_max_pool"}]}
    found = problem(api.post("/v1/runs/validate", {**body, "network": large}), 413)
    assert "bytes of memory" in found["detail"]
