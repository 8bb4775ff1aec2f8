import pytest

from tests.support import Api, Json, problem

SERIES = {
    "epoch",
    "train.running_loss",
    "train.loss",
    "train.objective",
    "train.accuracy",
    "validation.loss",
    "validation.accuracy",
    "validation.balanced_accuracy",
    "validation.f1",
    "learning_rate",
    "grad_norm",
    "seconds",
}


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(training={"epochs": 120, "batch_size": 8, "early_stopping": None})


def test_every_series_has_a_number_for_each_epoch(shared: Api, run: Json) -> None:
    columns = shared.get(f"/v1/runs/{run['id']}/losses").json()

    assert set(columns) == SERIES
    assert {len(series) for series in columns.values()} == {120}
    assert columns["epoch"] == list(range(1, 121))
    assert min(columns["validation.loss"]) == pytest.approx(run["best"]["value"])


def test_chosen_series_come_with_their_epochs(shared: Api, run: Json) -> None:
    columns = shared.get(f"/v1/runs/{run['id']}/losses", params={"keys": "train.loss,validation.loss"}).json()

    assert set(columns) == {"epoch", "train.loss", "validation.loss"}


@pytest.mark.parametrize("points", [2, 10, 50])
def test_thinning_keeps_first_last_and_extremes(shared: Api, run: Json, points: int) -> None:
    params = {"keys": "train.loss"}
    whole = shared.get(f"/v1/runs/{run['id']}/losses", params=params).json()
    thin = shared.get(f"/v1/runs/{run['id']}/losses", params={**params, "points": points}).json()

    assert len(thin["epoch"]) <= max(points, 4)
    assert {thin["epoch"][0], thin["epoch"][-1]} == {1, 120}
    assert min(thin["train.loss"]) == min(whole["train.loss"])
    assert max(thin["train.loss"]) == max(whole["train.loss"])


@pytest.mark.parametrize("points", [2, 10, 50])
def test_where_no_series_is_asked_for_the_losses_decide(shared: Api, run: Json, points: int) -> None:
    path = f"/v1/runs/{run['id']}/losses"
    whole, thin = shared.get(path).json(), shared.get(path, params={"points": points}).json()

    assert set(thin) == SERIES
    assert len(thin["epoch"]) <= max(points, 6)
    assert min(thin["validation.loss"]) == min(whole["validation.loss"])


def test_a_run_that_has_not_begun_has_empty_curves(shared: Api) -> None:
    run = shared.create()

    assert shared.get(f"/v1/runs/{run['id']}/losses").json() == {"epoch": []}
    shared.post(f"/v1/runs/{run['id']}/cancel")


def test_an_unknown_series_lists_those_there_are(shared: Api, run: Json) -> None:
    body = problem(shared.get(f"/v1/runs/{run['id']}/losses", params={"keys": "loss"}), 422)

    assert set(body["errors"][0]["allowed"]) == SERIES
    assert body["errors"][0]["parameter"] == {"in": "query", "name": "keys"}
