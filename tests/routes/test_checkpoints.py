import hashlib
import io

import numpy as np
import pytest
from safetensors.numpy import load

from tests.support import Api, Json, problem


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(training={"epochs": 6, "batch_size": 8, "checkpoints": {"every": 2}, "early_stopping": None})


def weights(api: Api, run: Json, checkpoint: str = "best", **options: object) -> dict[str, np.ndarray]:
    answer = api.get(f"/v1/runs/{run['id']}/checkpoints/{checkpoint}/weights", **options)
    assert answer.status_code == 200, answer.text
    kind = answer.headers["content-type"]
    if kind == "application/json":
        parameters = answer.json()["parameters"]
        return {name: np.array(each["values"], np.float32) for name, each in parameters.items()}
    if kind == "application/x-npz":
        return dict(np.load(io.BytesIO(answer.content), allow_pickle=False))
    assert kind == "application/vnd.safetensors"
    return load(answer.content)


def test_stored_moments_are_listed_furthest_first(shared: Api, run: Json) -> None:
    items = shared.get(f"/v1/runs/{run['id']}/checkpoints").json()["items"]

    epochs = [item["epoch"] for item in items]
    assert epochs == sorted(epochs, reverse=True)
    assert {2, 4, 6} <= set(epochs)
    assert [item["id"] for item in items if item["is_best"]] == [run["best"]["checkpoint"]]
    assert items[0]["id"] == run["last"]["checkpoint"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"headers": {"Accept": "application/json"}},
        {"headers": {"Accept": "application/x-npz"}},
        {"headers": {"Accept": "application/vnd.safetensors"}},
        {"headers": {"Accept": "application/octet-stream"}},
        {"headers": {"Accept": "text/html, application/x-safetensors;q=0.5"}},
        {"params": {"format": "json"}},
        {"params": {"format": "npz"}},
        {"params": {"format": "safetensors"}},
    ],
)
def test_weights_are_the_same_bits_in_every_format(shared: Api, run: Json, options: Json) -> None:
    found = weights(shared, run, **options)

    assert {name: array.shape for name, array in found.items()} == {
        "W.1": (2, 4),
        "b.1": (4,),
        "W.2": (4, 1),
        "b.2": (1,),
    }
    flat = np.concatenate([found[name].astype(np.float32).ravel() for name in ("W.1", "b.1", "W.2", "b.2")])
    assert hashlib.sha256(flat.tobytes()).hexdigest() == run["weights_digest"]


def test_weights_of_a_checkpoint_are_those_of_its_moment(shared: Api, run: Json) -> None:
    items = shared.get(f"/v1/runs/{run['id']}/checkpoints").json()["items"]

    for item in items:
        flat = np.concatenate([array.ravel() for array in weights(shared, run, item["id"]).values()])
        assert hashlib.sha256(flat.tobytes()).hexdigest() == item["parameters_digest"]


def test_weights_are_found_by_the_same_words_as_predictions(shared: Api, run: Json) -> None:
    items = shared.get(f"/v1/runs/{run['id']}/checkpoints").json()["items"]
    [second] = [item["id"] for item in items if item["epoch"] == 2]

    by_word, by_id = (weights(shared, run, name) for name in ("epoch:2", second))

    assert all(np.array_equal(by_word[name], by_id[name]) for name in by_id)


def test_checkpoints_are_paged(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/checkpoints"
    whole = shared.get(path).json()["items"]

    seen, cursor = [], None
    for _ in whole:
        page = shared.get(path, params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["items"]
        cursor = page["next_cursor"]

    assert len(whole) > 2
    assert seen == whole
    assert cursor is None


def test_a_run_without_a_best_moment_yet_gives_its_last(api: Api) -> None:
    run = api.train()
    with api.database.write() as session:
        session.connection().exec_driver_sql("UPDATE checkpoints SET is_best = 0")

    answer = api.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}]})

    assert answer.json()["checkpoint"] == run["last"]["checkpoint"]


def test_a_damaged_checkpoint_says_so(api: Api) -> None:
    run = api.train()
    with api.database.write() as session:
        session.connection().exec_driver_sql("UPDATE checkpoint_bytes SET content = x'00'")

    problem(api.get(f"/v1/runs/{run['id']}/checkpoints/best/weights"), 500, "damaged_checkpoint")


def test_only_so_many_checkpoints_can_be_kept(shared: Api) -> None:
    training = {"checkpoints": {"every": 1, "keep": 1001}}

    answer = shared.post("/v1/runs", {"dataset": shared.upload(), "target": "label", "training": training})

    assert problem(answer, 422)["errors"][0]["pointer"] == "/training/checkpoints/keep"


def test_a_file_is_named_after_its_run(shared: Api, run: Json) -> None:
    answer = shared.get(f"/v1/runs/{run['id']}/checkpoints/last/weights?format=npz")

    assert run["id"] in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("best", {"Accept": "text/html"}, 406),
        ("best", {"Accept": "application/json;q=0"}, 406),
        ("ckpt_none", {}, 404),
        ("epoch:99", {}, 404),
        ("best?format=onnx", {}, 422),
    ],
)
def test_weights_not_on_offer_are_refused(shared: Api, run: Json, path: str, headers: Json, status: int) -> None:
    name, _, query = path.partition("?")

    problem(shared.get(f"/v1/runs/{run['id']}/checkpoints/{name}/weights?{query}", headers=headers), status)
