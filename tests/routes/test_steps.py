"""The time machine: steps of runs, computed again and proved."""

import io
import json
import subprocess
import sys
import threading
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from service.store.tables import CheckpointRow, EpochRow, RunRow, StepDigestsRow
from tests.support import QUICK, TINY, Api, Json, problem

LAYERS = [{"type": "dense", "units": 6, "activation": "relu"}, {"type": "dropout", "rate": 0.2}]


def step(api: Api, run: Json, at: Any, **options: Any) -> Json:
    answer = api.get(f"/v1/runs/{run['id']}/steps/{at}", params=options)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def train_in_pieces(api: Api, **spec: Any) -> Json:
    """A run whose worker was stopped again and again, so that a state was stored at each epoch's end."""
    run_id = api.create(**spec)["id"]
    while (claim := api.claim()) is not None:
        stopping = threading.Event()
        stopping.set()
        api.attempt(claim, stopping).run()
    return api.run(run_id)


def test_the_steps_of_a_run_follow_on_each_other_and_are_proved(api: Api) -> None:
    run = api.train(network={"layers": LAYERS})

    found = [step(api, run, number, tensors="W.1,after.W.1", reduce="full") for number in (1, 2, 3, 12)]

    assert [each["number"] for each in found] == [1, 2, 3, 12]
    assert [(each["epoch"], each["step"]) for each in found] == [(1, 1), (1, 2), (1, 3), (3, 4)]
    assert {each["replay"]["status"] for each in found} == {"exact"}
    for before, after in pairwise(found[:3]):
        assert before["digest_after"] == after["digest_before"]
        assert before["tensors"]["after.W.1"] == after["tensors"]["W.1"]


def test_a_steps_rows_are_a_batch_of_the_training_part(api: Api) -> None:
    run = api.train()
    split = api.get(f"/v1/runs/{run['id']}/split").json()

    rows = [number for at in range(1, 5) for number in step(api, run, at)["row_numbers"]]

    assert sorted(rows) == sorted(split["train"])


def test_a_step_can_be_named_by_the_moment_it_led_to(api: Api) -> None:
    run = api.train()

    numbers = {at: step(api, run, at)["number"] for at in ("first", "last", "epoch:2", "best")}

    assert numbers == {"first": 1, "last": 12, "epoch:2": 8, "best": 4 * run["best"]["epoch"]}


def test_a_replay_begins_at_the_nearest_stored_state(api: Api) -> None:
    run = train_in_pieces(api, network={"layers": LAYERS})

    found = step(api, run, 7)["replay"]

    assert (found["status"], found["start"]["moment"]) == ("exact", 4)
    assert found["start"]["checkpoint"].startswith("ckpt_")


def test_a_damaged_state_is_passed_over(api: Api) -> None:
    run = train_in_pieces(api)
    with api.database.write() as session:
        session.execute(update(CheckpointRow).where(CheckpointRow.epoch == 1).values(sha256="0" * 64))

    assert step(api, run, 9)["replay"]["status"] == "exact"


@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_a_gradient_and_its_update_are_shown(api: Api, optimizer: str) -> None:
    training = {"epochs": 3, "optimizer": {"type": optimizer}, "dtype": "float64", "schedule": "constant"}
    run = api.train(training=training)

    found = step(api, run, 2, tensors="W,after,dW,update,A.0,Y", reduce="full")

    values = {name: np.array(tensor["values"]) for name, tensor in found["tensors"].items()}
    np.testing.assert_allclose(values["after.W.1"], values["W.1"] + values["update.W.1"], rtol=1e-12)
    assert len(values["A.0"]) == len(values["Y"]) == len(found["row_numbers"])
    assert values["dW.1"].any()
    assert found["replay"]["status"] == "exact"


def test_derivatives_are_per_example_unless_the_mean_is_asked_for(api: Api) -> None:
    run = api.train()

    own, mean = (
        step(api, run, 1, tensors="dZ.1,dW.1", reduce="full", convention=convention)["tensors"]
        for convention in ("per_example", "mean")
    )

    m = len(step(api, run, 1)["row_numbers"])
    np.testing.assert_allclose(own["dZ.1"]["values"], m * np.array(mean["dZ.1"]["values"]), rtol=1e-6)
    assert own["dW.1"] == mean["dW.1"]


def test_columns_turn_every_matrix(api: Api) -> None:
    run = api.train()

    rows, columns = (
        step(api, run, 1, tensors="dZ.1,dW.1", reduce="full", orientation=way)["tensors"] for way in ("rows", "columns")
    )

    for name in rows:
        np.testing.assert_array_equal(np.array(rows[name]["values"]).T, columns[name]["values"])


def test_a_replay_that_misses_its_digest_says_how_far_off_it_is_and_why(api: Api) -> None:
    run = train_in_pieces(api)
    other = {"numpy": "1.0", "dtype": "float32"}
    with api.database.write() as session:
        session.execute(update(CheckpointRow).values(parameters_digest="ab" * 32, fingerprint=other))
        session.execute(update(EpochRow).values(parameters_digest="ab" * 32))
        session.execute(delete(StepDigestsRow))

    found = step(api, run, 6)["replay"]

    assert found["status"] == "approximate"
    assert found["changed"]["numpy"][0] == "1.0"
    assert "dtype" not in found["changed"]
    assert found["largest_difference"] == {"moment": 8, "absolute": 0.0, "ulps": 0.0}, (
        "the state itself was not touched"
    )


def test_a_replay_that_nothing_was_stored_behind_is_not_called_exact(api: Api) -> None:
    run = api.train()
    with api.database.write() as session:
        for table in (CheckpointRow, EpochRow, StepDigestsRow):
            session.execute(delete(table))

    found = step(api, run, 6)["replay"]

    assert (found["status"], found["proved_at"], found["largest_difference"]) == ("approximate", None, None)


def test_a_fork_shows_its_own_steps_and_names_whose_the_others_are(api: Api) -> None:
    parent = train_in_pieces(api)
    fork = api.post(
        f"/v1/runs/{parent['id']}/fork", {"at": "epoch:1", "training": {"optimizer": {"type": "sgd"}}}
    ).json()
    api.work()

    first, own = step(api, fork, "first"), step(api, parent, "5")

    assert (first["number"], first["first"], first["replay"]["status"]) == (5, 5, "exact")
    assert first["digest_before"] == own["digest_before"]
    assert first["digest_after"] != own["digest_after"]
    missing = problem(api.get(f"/v1/runs/{fork['id']}/steps/4"), 404, "no_such_step")
    assert parent["id"] in missing["detail"]


def test_a_forks_parent_may_be_gone(api: Api) -> None:
    parent = train_in_pieces(api)
    fork = api.post(f"/v1/runs/{parent['id']}/fork", {"at": "epoch:1", "seed": 4}).json()
    api.work()
    assert api.delete(f"/v1/runs/{parent['id']}").status_code == 204

    assert step(api, fork, "last")["replay"]["status"] == "exact"


def test_a_warm_start_replays_from_the_weights_it_began_with(api: Api) -> None:
    source = api.train()
    run = api.train(warm_start={"run": source["id"], "at": "last"})

    found = step(api, run, 1, tensors="W.1", reduce="full")

    assert found["replay"]["status"] == "exact"
    end = api.get(f"/v1/runs/{source['id']}/checkpoints/last/weights").json()["parameters"]["W.1"]
    assert found["tensors"]["W.1"]["values"] == end["values"]


def test_a_learning_rate_that_went_by_what_was_measured_does_so_again(api: Api) -> None:
    schedule = {"type": "reduce_on_plateau", "patience": 1, "min_delta": 10.0}
    run = api.train(training={**QUICK["training"], "epochs": 8, "schedule": schedule})

    rates = [step(api, run, f"epoch:{epoch}")["learning_rate"] for epoch in (1, 8)]

    assert rates[1] < rates[0]
    assert step(api, run, "last")["replay"]["status"] == "exact"


def test_the_step_that_diverged_is_shown(api: Api) -> None:
    training = {**QUICK["training"], "epochs": 50, "optimizer": {"type": "sgd", "learning_rate": 1e30}}
    run = api.train(training=training, network={"layers": [{"type": "dense", "units": 4}]})
    reason = run["reason"]
    assert reason["code"] == "diverged"

    found = step(api, run, "last", tensors="A,dW", reduce="stats")

    assert found["replay"]["status"] == "exact"
    number = (reason["epoch"] - 1) * found["steps_per_epoch"] + reason["step"]
    bad = step(api, run, number)
    assert bad["number"] == number <= bad["last"]


@pytest.mark.parametrize("at", ["0", "13", "epoch:0", "epoch:4", "checkpoint:ckpt_none", "999999999999"])
def test_a_step_that_is_not_there_is_not_found(api: Api, at: str) -> None:
    run = api.train()

    answer = problem(api.get(f"/v1/runs/{run['id']}/steps/{at}"), 404)

    assert "12" in answer["detail"]


def test_a_run_without_steps_says_so(api: Api) -> None:
    run = api.create()

    answer = problem(api.get(f"/v1/runs/{run['id']}/steps/1"), 404, "no_such_step")

    assert "no step of it is done yet" in answer["detail"]


@pytest.mark.parametrize("at", ["epoch", "1.5", "-1", "last ", "epoch:x"])
def test_a_word_for_no_step_is_refused(api: Api, at: str) -> None:
    run = api.train()

    assert "first, last" in problem(api.get(f"/v1/runs/{run['id']}/steps/{at}"), 422, "bad_moment")["detail"]


def test_a_tensor_that_is_not_there_is_refused_with_those_that_are(api: Api) -> None:
    run = api.train()

    answer = problem(api.get(f"/v1/runs/{run['id']}/steps/1", params={"tensors": "dW.9"}), 422, "unknown_tensor")

    assert {"dW.1", "update.b.2", "after.opt.M.W.1"} <= set(answer["errors"][0]["allowed"])


def test_a_step_of_a_dataset_whose_file_is_gone_is_a_conflict(api: Api) -> None:
    run = api.train()
    for file in Path(api.settings.data, "datasets").iterdir():
        file.unlink()

    problem(api.get(f"/v1/runs/{run['id']}/steps/1"), 409, "dataset_missing")


def test_an_answer_of_too_many_numbers_is_refused_by_the_limit(tmp_path: Path) -> None:
    with Api(tmp_path, limits={"inspect_numbers": 10}) as api:
        run = api.train()

        answer = problem(api.get(f"/v1/runs/{run['id']}/steps/1?tensors=A&reduce=full"), 413)

        assert answer["limit"] == "inspect_numbers"
        assert step(api, run, 1, tensors="A", reduce="norm")["tensors"]


@pytest.fixture(scope="module")
def trained(shared: Api) -> Json:
    return shared.train()


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({}, {"l2", "mean"}),
        ({"reduce": "hist", "bins": "linear:8"}, {"counts", "edges"}),
        ({"reduce": "topk", "k": "2"}, {"top"}),
        ({"reduce": "slice", "rows": "0:1", "cols": "1:3"}, {"values"}),
    ],
)
def test_a_steps_tensors_are_reduced_as_asked(shared: Api, trained: Json, options: Json, keys: set[str]) -> None:
    found = step(shared, trained, 1, tensors="dW.1", **options)["tensors"]["dW.1"]

    assert keys <= set(found)
    assert len(found.get("top", [1, 2])) == 2
    assert np.shape(found.get("values", np.ones((1, 2)))) == (1, 2)


MIXED_UP = ["k=2", "reduce=hist&k=2", "reduce=slice&rows=1", "reduce=slice&rows=2:2", "reduce=topk&k=0", "reduce=most"]


@pytest.mark.parametrize("query", MIXED_UP)
def test_an_option_that_belongs_to_another_reduction_is_refused(shared: Api, trained: Json, query: str) -> None:
    answer = problem(shared.get(f"/v1/runs/{trained['id']}/steps/1?tensors=dW.1&{query}"), 422)

    assert answer["errors"][0]["parameter"]["in"] == "query"


def test_a_steps_tensors_come_as_files(shared: Api, trained: Json) -> None:
    path = f"/v1/runs/{trained['id']}/steps/2"
    expected = step(shared, trained, 2, tensors="dW.1,update.W.1", reduce="full")["tensors"]

    npz = shared.get(path, params={"tensors": "dW.1,update.W.1"}, headers={"Accept": "application/x-npz"})
    npy = shared.get(path, params={"tensors": "dW.1", "format": "npy"})

    found = np.load(io.BytesIO(npz.content), allow_pickle=False)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], np.array(tensor["values"], "float32"))
    np.testing.assert_array_equal(np.load(io.BytesIO(npy.content), allow_pickle=False), found["dW.1"])
    assert json.loads(npz.headers["Chainrule-Inspection"])["replay"]["status"] == "exact"
    problem(shared.get(path, params={"tensors": "dW", "format": "npy"}), 422)
    problem(shared.get(path, params={"tensors": "dW.1", "format": "npy", "reduce": "norm"}), 422)


# Any moment elsewhere ----------------------------------------------------------------------------------------------


def test_an_inspection_looks_at_any_moment(api: Api) -> None:
    run = api.train()
    question = {"dataset_rows": {"part": "train", "limit": 4}, "quantities": ["W.1"], "reduce": "full"}

    found = api.post(f"/v1/runs/{run['id']}/inspect", {"at": 7, **question}).json()

    assert (found["replay"]["status"], found["checkpoint"], found["epoch"], found["step"]) == ("exact", None, 1, 3)
    want = step(api, run, 8, tensors="W.1", reduce="full")["tensors"]["W.1"]
    assert found["tensors"]["W.1"] == want


def test_the_first_moment_is_that_of_the_weights_the_seed_gives(api: Api) -> None:
    run = api.train()
    question = {"dataset_rows": {"part": "train", "limit": 4}, "quantities": ["W.1"], "reduce": "full"}

    first, zero = (api.post(f"/v1/runs/{run['id']}/inspect", {"at": at, **question}).json() for at in ("first", 0))

    assert first["tensors"] == zero["tensors"]
    assert first["tensors"]["W.1"] == step(api, run, 1, tensors="W.1", reduce="full")["tensors"]["W.1"]


def test_an_epoch_that_was_not_kept_is_computed_again(api: Api) -> None:
    run = api.train(training={**QUICK["training"], "epochs": 20})
    with api.database.write() as session:
        session.execute(delete(CheckpointRow).where(CheckpointRow.epoch == 9))
    question = {"at": "epoch:9", "dataset_rows": {"part": "train"}, "targets": ["W.1[0,0]"]}

    found = api.post(f"/v1/runs/{run['id']}/check", question).json()

    assert (found["replay"]["status"], found["epoch"]) == ("exact", 9)
    assert found["verdicts"] == {"ok": 1} or found["nudges"]


# What is stored for it ---------------------------------------------------------------------------------------------


def test_a_run_leaves_states_and_digests_behind_it(api: Api) -> None:
    run = api.train(training={"epochs": 400, "batch_size": 1, "early_stopping": None})

    with api.database.read() as session:
        kept = session.scalars(select(CheckpointRow).where(CheckpointRow.is_waypoint)).all()
        digests = session.scalars(select(StepDigestsRow.last_moment).order_by(StepDigestsRow.last_moment)).all()

    last = step(api, run, "last")["number"]
    assert [row.epoch for row in kept][-1:] == [400]
    assert 0 < digests[0] <= digests[-1] <= last
    assert step(api, run, last // 2)["replay"]["status"] == "exact"


def test_a_run_that_goes_on_from_an_earlier_state_forgets_the_digests_behind_it(api: Api) -> None:
    run = api.create(training={**QUICK["training"], "epochs": 30})
    with api.database.write() as session:
        session.add(StepDigestsRow(run_id=run["id"], last_moment=50, content=(50).to_bytes(8, "little") + b"x" * 16))

    api.work()

    assert step(api, api.run(run["id"]), 45)["replay"]["status"] == "exact"


def test_a_deleted_run_takes_its_digests_with_it(api: Api) -> None:
    run = api.train()
    assert api.delete(f"/v1/runs/{run['id']}").status_code == 204

    with api.database.read() as session:
        assert not session.scalars(select(StepDigestsRow)).all()
        assert not session.scalars(select(RunRow)).all()


def test_a_step_is_evidence_that_anyone_can_recompute(shared: Api, tmp_path: Path) -> None:
    run = shared.train(dataset=shared.upload(TINY), training={"epochs": 2, "batch_size": 16, "early_stopping": None})

    answer = shared.get(f"/v1/runs/{run['id']}/steps/3/evidence")
    zipfile.ZipFile(io.BytesIO(answer.content)).extractall(tmp_path)
    script = [sys.executable, "-I", "verify_step.py", "step.npz"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["chainrule-replay"] == "exact"
    assert f"{run['id']}-step-3.zip" in answer.headers["content-disposition"]
    assert done.returncode == 0, done.stdout
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert (manifest["run"], manifest["step"]) == (run["id"], 3)
    assert manifest["row_numbers"] == shared.get(f"/v1/runs/{run['id']}/steps/3").json()["row_numbers"]


def test_a_step_that_the_script_does_not_know_is_refused(shared: Api) -> None:
    layers = [{"type": "dense", "units": 4}, {"type": "layer_norm"}]
    run = shared.train(dataset=shared.upload(TINY), network={"layers": layers}, training={"epochs": 1})

    body = problem(shared.get(f"/v1/runs/{run['id']}/steps/1/evidence"), 422)

    assert "layer_norm" in body["detail"]
