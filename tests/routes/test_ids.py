"""Ids: a table whose columns are ids, read by an embedding, from the run's creation to its predictions."""

import pytest

from tests.support import Api, Json, problem

NETWORK = {
    "input": {"shape": [3], "scaling": "none"},
    "layers": [{"type": "embedding", "vocabulary_size": 5, "dim": 4}, "flatten"],
}
EPOCHS = {"epochs": 200, "early_stopping": None, "optimizer": {"type": "adam", "learning_rate": 0.01}}


def table(**cells: dict[int, object]) -> bytes:
    """Sixty rows of three ids below 5, and whether the first is above the second; with other cells at some rows."""
    lines = ["a,b,c,above"]
    for row in range(60):
        ids = {"a": row % 5, "b": row // 5 % 5, "c": row % 3}
        above = ids["a"] > ids["b"]
        ids |= {name: changed[row] for name, changed in cells.items() if row in changed}
        lines.append(",".join(map(str, [*ids.values(), "yes" if above else "no"])))
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(dataset=shared.upload(table()), target="above", network=NETWORK, training=EPOCHS)


def test_ids_are_learned_and_predicted(shared: Api, run: Json) -> None:
    answer = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [[4, 0, 1], [0, 4, 1]]})

    assert [each["label"] for each in answer.json()["predictions"]] == ["yes", "no"]


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/validate"])
def test_ids_that_the_embedding_does_not_have_are_refused_by_row_and_column(shared: Api, path: str) -> None:
    dataset = shared.upload(table(b={7: 5, 12: -1}, c={30: 0.5}))

    answer = shared.post(path, {"dataset": dataset, "target": "above", "network": NETWORK})

    faults = problem(answer, 422, "unknown_id")["errors"]
    assert [fault["pointer"] for fault in faults] == ["/rows/7/b", "/rows/12/b", "/rows/30/c"]
    assert faults[0]["detail"] == "expected an id from 0 to 4, got 5"


def test_scaled_numbers_are_no_ids(shared: Api) -> None:
    network = {"layers": [{"type": "embedding", "vocabulary_size": 5, "dim": 4}, "flatten"]}

    answer = shared.post("/v1/runs", {"dataset": shared.upload(table()), "target": "above", "network": network})

    assert "expected an id from 0 to 4" in problem(answer, 422, "unknown_id")["detail"]


@pytest.mark.parametrize("ending", ["predict", "inspect", "check"])
def test_unknown_ids_are_asked_about_in_vain(shared: Api, run: Json, ending: str) -> None:
    rows = [{"a": 0, "b": 1, "c": 2, "above": "no"}, {"a": 0, "b": 9, "c": 2, "above": "no"}]

    answer = shared.post(f"/v1/runs/{run['id']}/{ending}", {"rows": rows})

    (fault,) = problem(answer, 422, "unknown_id")["errors"]
    assert fault["pointer"] == "/rows/1/b"
