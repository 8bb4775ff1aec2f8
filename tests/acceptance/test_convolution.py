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
