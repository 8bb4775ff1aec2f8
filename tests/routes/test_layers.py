"""A run whose network has normalization, noise and a residual block, from create to weights and inspection."""

import pytest

from tests.support import Api, Json, problem

LAYERS: list[Json] = [
    {"type": "dense", "units": 4},
    {"type": "batch_norm"},
    {
        "type": "residual",
        "layers": [{"type": "gaussian_noise", "std": 0.1}, {"type": "dense", "units": 4}, "layer_norm"],
    },
]


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(network={"layers": LAYERS}, training={"epochs": 2, "batch_size": 8, "early_stopping": None})


def test_weights_hold_the_running_statistics(shared: Api, run: Json) -> None:
    parameters = shared.get(f"/v1/runs/{run['id']}/checkpoints/best/weights").json()["parameters"]

    assert run["status"] == "succeeded"
    assert {"gamma.2", "beta.2", "running_mean.2", "running_var.2", "gamma.4"} <= set(parameters)
    assert any(parameters["running_mean.2"]["values"])


def test_the_resolved_spec_says_how_the_weights_inside_a_block_start(run: Json) -> None:
    block = run["resolved"]["network"]["layers"][2]

    assert block["layers"][1]["init"] == {"type": "glorot_uniform"}


def test_a_steps_batch_says_what_is_not_as_it_was(shared: Api, run: Json) -> None:
    body = {"step": {"epoch": 1, "step": 1}, "quantities": ["dgamma", "running_var", "layers.2.layers.0.y"]}

    answer = shared.post(f"/v1/runs/{run['id']}/inspect", body)

    assert answer.status_code == 200, answer.text
    assert set(answer.json()["tensors"]) == {"dgamma.2", "dgamma.4", "running_var.2", "layers.2.layers.0.y"}
    assert [warning.split()[0] for warning in answer.json()["warnings"]] == ["dropout", "batch_norm"]


def test_layers_inside_a_block_count_against_the_limit(shared: Api, run: Json) -> None:
    block = {"type": "residual", "layers": [{"type": "activation", "activation": "tanh"}] * 120}
    spec = {"dataset": run["dataset"]["id"], "target": run["resolved"]["target"], "network": {"layers": [block]}}

    answer = shared.post("/v1/runs/validate", spec)

    assert problem(answer, 422, "limit")["errors"][0]["detail"] == "expected at most 100, got 121"
