"""Histograms of tensors over steps, beside NumPy's of the same steps' tensors."""

import io

import numpy as np
import pytest

from tests.support import Api, Json, problem


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(network={"layers": [{"type": "dense", "units": 6, "activation": "relu"}]})


def test_every_step_is_in_the_same_bins_and_no_number_is_lost(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/histograms"

    found = shared.get(path, params={"tensors": "W.1,dA.1", "points": 3, "bins": 8}).json()

    assert found["replay"]["status"] == "exact"
    assert (found["steps"][0], found["epochs"][0], len(found["steps"])) == (1, 1, 3)
    for name, spread in found["histograms"].items():
        for step, counts, outside in zip(found["steps"], spread["counts"], spread["outside"], strict=True):
            answer = shared.get(f"/v1/runs/{run['id']}/steps/{step}?tensors={name}&format=npy&convention=mean")
            numbers = np.load(io.BytesIO(answer.content)).astype(np.float64).ravel()
            assert counts == np.histogram(numbers, bins=spread["edges"])[0].tolist()
            assert sum(counts) + outside == numbers.size
    assert sum(found["histograms"]["W.1"]["outside"]) > 0, "the middle 98 % lie in the bins"


def test_what_can_not_be_shown_is_named(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/histograms"

    assert problem(shared.get(path, params={"tensors": "W.9"}), 422)["errors"][0]["code"] == "unknown_tensor"
    assert problem(shared.get(path, params={"last": 10**6}), 422)
    assert problem(shared.get(path, params={"bins": 1}), 422)
    assert problem(shared.get("/v1/runs/run_none/histograms"), 404)
