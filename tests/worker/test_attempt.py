"""One attempt at a run, in this process: what it stores when the database or the run's user get in its way."""

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from engine import checkpoints as formats
from engine.network import Network
from engine.spec import RunSpec
from service.settings import Limits
from service.store import checkpoints, runs
from service.store.database import Database
from service.worker import attempt as attempts
from service.worker.heartbeat import Heartbeat
from service.worker.rescue import TRY_AGAIN, settle
from tests.support import QUICK, TINY, Api, Json, server, until

ENDLESS = {**QUICK, "training": {"epochs": 100_000, "early_stopping": None}}


class Flaky(Database):
    """A database whose transactions fail at their end, so many times."""

    def __init__(self, real: Database, failures: float) -> None:
        super().__init__(real.url)
        self.failures = failures

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
            if self.failures > 0:
                self.failures -= 1
                raise OperationalError("COMMIT", {}, Exception("database or disk is full"))


@contextmanager
def flaky(attempt: attempts.Attempt, failures: float) -> Iterator[None]:
    """Let what the attempt stores fail; its heart beats on."""
    attempt.database = Flaky(attempt.database, failures)
    try:
        yield
    finally:
        attempt.database.dispose()


def claimed(api: Api, **spec: Any) -> runs.Claim:
    """A run, just claimed."""
    api.create(**spec)
    claim = api.claim()
    assert claim is not None
    return claim


def events_of(api: Api, run_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(f"/v1/runs/{run_id}/events?limit=500").json()["items"]
    return items


def test_a_transaction_that_fails_is_done_again_with_all_its_events(api: Api) -> None:
    claim = claimed(api)
    attempt = api.attempt(claim)

    with flaky(attempt, failures=3):
        attempt.run()

    run, told = api.run(claim.run_id), events_of(api, claim.run_id)
    assert run["status"] == "succeeded"
    assert [event["data"]["epoch"] for event in told if event["kind"] == "epoch"] == [1, 2, 3]
    assert {run["best"]["checkpoint"], run["last"]["checkpoint"]} <= {
        item["id"] for item in api.get(f"/v1/runs/{claim.run_id}/checkpoints").json()["items"]
    }


def test_a_cancel_is_heard_while_nothing_can_be_stored(api: Api) -> None:
    claim = claimed(api, **ENDLESS)
    attempt = api.attempt(claim)
    threading.Timer(0.5, lambda: api.post(f"/v1/runs/{claim.run_id}/cancel")).start()

    with flaky(attempt, failures=float("inf")), pytest.raises(OperationalError):
        attempt.run()
    settle(api.database, claim, TRY_AGAIN)

    assert api.run(claim.run_id)["status"] == "cancelled"


def test_a_pause_that_was_taken_back_lets_the_run_go_on(api: Api) -> None:
    claim = claimed(api)
    attempt = api.attempt(claim)

    attempt.heart.pause = True  # as a beat found it, before the user thought better of it
    attempt.run()

    assert api.run(claim.run_id)["status"] == "succeeded"


def test_a_run_uses_the_threads_it_asks_for_and_the_next_one_the_workers(api: Api) -> None:
    plain = api.train()
    three = api.train(training={"epochs": 3, "threads": 3})
    next_one = api.train(seed=1)

    threads = [run["fingerprint"]["threads"] for run in (plain, three, next_one)]

    assert threads == [plain["fingerprint"]["threads"], 3, plain["fingerprint"]["threads"]]


def test_metrics_that_are_no_numbers_are_null(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "measure", lambda *_, **__: {"accuracy": float("nan"), "mae": float("inf")})

    run = api.train()

    assert run["metrics"]["test"]["accuracy"] is None
    assert run["metrics"]["test"]["mae"] is None


def test_a_dataset_without_its_file_is_named_without_a_path(api: Api) -> None:
    claim = claimed(api)
    for file in (api.settings.data / "datasets").iterdir():
        file.unlink()

    with pytest.raises(attempts.CannotTrain) as caught:
        api.attempt(claim).run()

    assert caught.value.code == "dataset_missing"
    assert str(api.settings.data) not in caught.value.detail


def test_a_best_checkpoint_made_at_the_end_says_that_it_is_parameters_alone(api: Api) -> None:
    run = api.train(
        training={"epochs": 30, "early_stopping": None, "optimizer": {"type": "adam", "learning_rate": 0.5}}
    )
    assert run["best"]["epoch"] < 30
    with api.database.write() as session:
        session.execute(text("DELETE FROM checkpoints WHERE is_best"))
        session.execute(text("UPDATE runs SET status = 'queued'"))
    api.work()

    answer = api.post(f"/v1/runs/{run['id']}/fork", {"at": "best"})
    api.work()

    fork = api.run(answer.json()["id"])
    warnings = [event["data"]["detail"] for event in events_of(api, fork["id"]) if event["kind"] == "warning"]
    assert fork["status"] == "succeeded"
    assert moments_of_best(api, run) == set()
    assert any("its optimizer starts anew" in warning for warning in warnings)


def moments_of_best(api: Api, run: dict[str, Any]) -> set[str]:
    """What the optimizer left in the run's best checkpoint."""
    with api.database.read() as session:
        row = runs.get(session, run["id"])
        assert row is not None
        (best,) = [each for each in checkpoints.of_run(session, run["id"]) if each.is_best]
        network = Network.of(RunSpec.model_validate(row.resolved), n_in=2)
        return set(formats.load(checkpoints.content(session, best), network).moments)


def test_a_beat_that_does_not_come_back_is_as_good_as_none(api: Api) -> None:
    claim = claimed(api)
    heart = Heartbeat(api.database, claim.run_id, claim.attempt, lease_seconds=0.6, position=lambda: (0, 0))

    with api.database.write() as session:
        session.execute(text("SELECT 1"))  # the one writer, for longer than the lease
        heart.start()
        begun = time.monotonic()
        until(lambda: heart.is_lost, what="the loss is noticed")

    heart.stop()
    assert time.monotonic() - begun < 5


# Rows on the disk --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        {"target": "label"},
        {"target": "y", "task": "regression", "training": {"epochs": 3, "optimizer": {"type": "lbfgs"}}},
        {"target": "label", "weight": "x", "training": {"epochs": 3, "shards": 3, "dtype": "float64"}},
    ],
    ids=["classes", "numbers at once", "weights and shards"],
)
def test_the_bits_do_not_depend_on_whether_the_rows_are_in_memory(spec: Json, tmp_path: Path) -> None:
    found = []
    for name, limits in (("memory", Limits()), ("disk", Limits(encoded_bytes_in_memory=1))):
        with Api(tmp_path / name, limits=limits) as api:
            found.append(api.train(**spec))

    in_memory, on_disk = found
    assert [any("read from a file" in each for each in run["warnings"]) for run in found] == [False, True]
    assert on_disk["weights_digest"] == in_memory["weights_digest"]
    assert on_disk["metrics"] == in_memory["metrics"]


def is_mapped(array: Any) -> bool:
    """Whether an array lies in a file that is mapped into memory."""
    while not isinstance(array, mmap) and array is not None:
        array = array.base
    return array is not None


def test_a_run_with_more_rows_than_the_limit_maps_all_of_their_numbers(tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(encoded_bytes_in_memory=1)) as api:
        attempt = api.attempt(claimed(api))
        attempt.run()

    data = attempt.parts.training
    arrays = [data.X, data.Y, data.X_validation, data.Y_validation, attempt.parts.X_test, attempt.parts.Y_test]
    assert [is_mapped(array) for array in arrays] == [True] * 6


def test_rows_stay_out_of_memory_that_the_accepted_run_did_not_count(api: Api) -> None:
    claim = claimed(api)
    with api.database.write() as session:
        session.execute(text("UPDATE runs SET memory_bytes = 1"))  # as under a smaller limit
    attempt = api.attempt(claim)

    attempt.run()

    assert is_mapped(attempt.parts.training.X)


@pytest.mark.parametrize("end", ["success", "failure", "cancel"])
def test_no_end_of_a_run_leaves_encoded_rows_in_the_data_folder(end: str, tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(encoded_bytes_in_memory=1)) as api:
        diverging = {"training": {"epochs": 3, "optimizer": {"type": "sgd", "learning_rate": 1e30}}}
        claim = claimed(api, **{"failure": {**QUICK, **diverging}, "cancel": ENDLESS}.get(end, QUICK))
        before = names_in(api.settings.data)
        if end == "cancel":
            threading.Timer(0.5, lambda: api.post(f"/v1/runs/{claim.run_id}/cancel")).start()

        api.attempt(claim).run()

        expected = {"success": "succeeded", "failure": "failed", "cancel": "cancelled"}[end]
        assert api.run(claim.run_id)["status"] == expected
        assert names_in(api.settings.data) == before


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_killed_worker_leaves_no_encoded_rows_in_the_data_folder(tmp_path: Path) -> None:
    settings = {"CHAINRULE_LIMIT_ENCODED_BYTES_IN_MEMORY": "1", "CHAINRULE_WORKERS": "1"}
    with server(tmp_path / "data", **settings) as served:
        dataset = served.client.upload_bytes(TINY, name="tiny")
        before = names_in(served.folder)
        run = served.client.create_run(dataset=dataset.id, target="label", **ENDLESS)
        until(lambda: served.client.run(run.id).epoch > 0, what="the run trains")

        for pid in served.workers():
            os.kill(pid, signal.SIGKILL)

        until(lambda: served.client.run(run.id).attempt > 1, what="the run is taken up again")
        assert names_in(served.folder) == before


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond this size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_without_room_for_the_encoded_rows_is_said(tmp_path: Path) -> None:
    content = b"x,y\n" + b"".join(b"%d,%d\n" % (i % 97, i % 89) for i in range(400_000))
    with Api(tmp_path / "data", limits=Limits(encoded_bytes_in_memory=1)) as api:
        attempt = api.attempt(claimed(api, dataset=api.upload(content), target="y"))

        with files_of_at_most(1_000_000), pytest.raises(attempts.CannotTrain) as caught:
            attempt.run()

    assert caught.value.code == "disk_full"
