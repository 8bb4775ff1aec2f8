"""The promise: kill a worker, the server or both at any moment, start again, and every accepted run ends by itself
with the bits of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.client import Client
from service.samples import DIGITS, PENGUINS
from service.schemas.runs import RunBody
from service.store.database import Database
from tests.support import PATIENCE_SECONDS, Server, server, until

SEEDS = (1, 2, 3)
LONG: dict[str, Any] = {
    "network": {
        "layers": [
            {"type": "dense", "units": 24, "activation": "relu"},
            {"type": "dropout", "rate": 0.2},
            {"type": "dense", "units": 12, "activation": "tanh"},
        ]
    },
    "training": {"epochs": 2000, "batch_size": 16, "early_stopping": None},
}
"""A second or two of training, with every kind of state: Adam's moments, dropout masks, the best so far."""
WIDE: dict[str, Any] = {
    "network": {"layers": [{"type": "dense", "units": 1024, "activation": "relu"}] * 2},
    "training": {"epochs": 3, "batch_size": 4, "early_stopping": None},
}
"""Epochs of seconds each, so that whatever is asked for comes in the middle of one."""
OFTEN = {"CHAINRULE_CHECKPOINT_SECONDS": "0.5", "CHAINRULE_WORKERS": "2"}


def start_penguins(client: Client, **more: Any) -> RunBody:
    dataset = client.upload_bytes(PENGUINS.content(), name="penguins")
    return client.create_run(dataset=dataset.id, target="species", **{**LONG, **more})


def start_digits(client: Client, **more: Any) -> RunBody:
    dataset = client.upload_bytes(DIGITS.content(), name="digits")
    return client.create_run(dataset=dataset.id, target=DIGITS.target, **{**WIDE, **more})


def kinds(client: Client, run: RunBody) -> list[str]:
    """The kinds of all a finished run's events."""
    return [event.kind for event in client.events(run.id)]


def digest_of(run: RunBody) -> str:
    assert run.status == "succeeded", run.reason
    assert run.weights_digest is not None
    return run.weights_digest


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[str, dict[str, list[Any]]]]:
    """The digest and the curves of each seed's run, trained in peace."""
    with server(tmp_path_factory.mktemp("peace") / "data") as served:
        runs = {seed: start_penguins(served.client, seed=seed) for seed in SEEDS}
        done = {seed: served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS) for seed, run in runs.items()}
        return {seed: (digest_of(run), curves(served.client, run)) for seed, run in done.items()}


def curves(client: Client, run: RunBody) -> dict[str, list[Any]]:
    return {name: series for name, series in client.losses(run.id).items() if name != "seconds"}


# kill -9 -----------------------------------------------------------------------------------------------------------


def kill_a_worker(served: Server) -> None:
    workers = until(served.workers, what="a worker process")
    with_suppressed_race(random.choice(workers))


def kill_the_server(served: Server) -> None:
    workers = served.workers()
    served.kill()
    until(lambda: not any(map(is_alive, workers)), what="its workers end with it")
    served.start()


def kill_both(served: Server) -> None:
    for pid in [*served.workers(), served.process.pid]:
        with_suppressed_race(pid)
    served.process.wait()
    served.start()


def with_suppressed_race(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("kill", [kill_a_worker, kill_the_server, kill_both])
def test_whoever_is_killed_every_run_ends_with_the_same_bits(
    tmp_path: Path, undisturbed: dict[int, tuple[str, dict[str, list[Any]]]], kill: Callable[[Server], None]
) -> None:
    moments = random.Random(kill.__name__)
    with server(tmp_path / "data", **OFTEN) as served:
        runs = {seed: start_penguins(served.client, seed=seed) for seed in SEEDS}
        for _ in range(4):
            time.sleep(moments.uniform(0.05, 1.0))
            if any(not served.client.run(run.id).done for run in runs.values()):
                kill(served)

        for seed, run in runs.items():
            done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
            assert (digest_of(done), curves(served.client, done)) == undisturbed[seed]
        last = served.client.step(runs[1].id).number
        for number in (1, moments.randint(2, last), moments.randint(2, last), last):
            assert served.client.step(runs[1].id, number).replay.status == "exact"


def test_the_best_checkpoint_is_the_same_after_a_kill(
    tmp_path: Path, undisturbed: dict[int, tuple[str, dict[str, list[Any]]]]
) -> None:
    with server(tmp_path / "data", **OFTEN) as served:
        run = start_penguins(served.client, seed=1)
        until(lambda: served.client.checkpoints(run.id).items, what="a first checkpoint")
        kill_both(served)
        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

        best = next(item for item in served.client.checkpoints(run.id).items if item.is_best)

        assert best.parameters_digest == done.weights_digest == undisturbed[1][0]
        assert "rescued" in kinds(served.client, run)


def test_a_run_that_kills_its_worker_again_and_again_is_given_up(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        run = start_digits(served.client)
        while not served.client.run(run.id).done:
            for pid in served.workers():
                with_suppressed_race(pid)
            time.sleep(0.01)

        found = served.client.run(run.id)

        assert found.status == "failed"
        assert found.reason is not None
        assert found.reason["code"] == "worker_lost"
        assert found.reason["deaths"] == found.attempt == 5
        assert "SIGKILL" in found.reason["detail"]


def test_restarts_of_the_server_are_not_deaths_of_the_run(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        run = start_digits(served.client, training={**WIDE["training"], "epochs": 1, "batch_size": 16})
        for _ in range(6):
            until(served.workers, what="a worker process")
            kill_both(served)

        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

        assert done.status == "succeeded"
        assert done.attempt > 5


# Signals and wishes ------------------------------------------------------------------------------------------------


def test_sigterm_puts_runs_back_and_the_next_server_ends_them_with_the_same_bits(
    tmp_path: Path, undisturbed: dict[int, tuple[str, dict[str, list[Any]]]]
) -> None:
    with server(tmp_path / "data") as served:
        run = start_penguins(served.client, seed=2)
        until(lambda: served.client.run(run.id).epoch > 50, what="some epochs")

        exit_code = served.stop()
        status, deaths = row(tmp_path / "data", run, "status", "deaths")
        served.start()

        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
        assert exit_code == 0
        assert (status, deaths) == ("queued", 0)
        assert digest_of(done) == undisturbed[2][0]
        assert kinds(served.client, run).count("requeued") == 1


def row(folder: Path, run: RunBody, *columns: str) -> tuple[Any, ...]:
    """Columns of a run as the database file has them."""
    database = Database(f"sqlite:///{folder / 'chainrule.sqlite3'}")
    connection = database.sqlite.connect(str(folder / "chainrule.sqlite3"))
    try:
        found = connection.execute(f"SELECT {', '.join(columns)} FROM runs WHERE id = ?", [run.id]).fetchone()
        return tuple(found)
    finally:
        connection.close()


@contextmanager
def digits_under_way(folder: Path) -> Iterator[tuple[Server, RunBody]]:
    """A server in the middle of an epoch of seconds."""
    with server(folder, CHAINRULE_WORKERS="1") as served:
        run = start_digits(served.client)
        until(lambda: served.client.run(run.id).progress > 0, what="a first step")
        yield served, run


def test_a_pause_comes_in_the_middle_of_an_epoch_and_a_resume_goes_on_from_there(tmp_path: Path) -> None:
    with digits_under_way(tmp_path / "one") as (served, run):
        served.client.pause(run.id)
        paused = until(lambda: status(served.client, run, "paused"), what="the pause")
        (stored,) = [item for item in served.client.checkpoints(run.id).items if not item.is_best][:1]
        served.client.resume(run.id)
        resumed = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
        twin = start_digits(served.client)
        straight = served.client.wait(twin.id, timeout_seconds=PATIENCE_SECONDS)

    assert paused.reason is not None
    assert stored.step > 0
    assert digest_of(resumed) == digest_of(straight)


def status(client: Client, run: RunBody, wanted: str) -> RunBody | None:
    found = client.run(run.id)
    return found if found.status == wanted else None


def test_a_cancel_comes_in_the_middle_of_an_epoch_and_keeps_what_was_learned(tmp_path: Path) -> None:
    with digits_under_way(tmp_path / "data") as (served, run):
        served.client.cancel(run.id)
        cancelled = until(lambda: status(served.client, run, "cancelled"), what="the cancel")

        assert cancelled.done
        assert served.client.weights(run.id, checkpoint="last")
        until(lambda: not served.workers(), what="its process ends")


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    tmp_path: Path, undisturbed: dict[int, tuple[str, dict[str, list[Any]]]]
) -> None:
    with server(tmp_path / "data", **OFTEN) as served:
        run = start_penguins(served.client, seed=3, training={**LONG["training"], "checkpoints": {"every": 100}})
        until(lambda: len(served.client.checkpoints(run.id).items) > 2, what="some checkpoints")
        served.stop()
        damage_furthest_checkpoint(tmp_path / "data", run)
        served.start()

        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

        warnings = [event.data["detail"] for event in served.client.events(run.id) if event.kind == "warning"]
        assert any("an earlier one" in warning for warning in warnings)
        assert digest_of(done) == undisturbed[3][0]


def damage_furthest_checkpoint(folder: Path, run: RunBody) -> None:
    """Turn one bit in the middle of its bytes."""
    database = Database(f"sqlite:///{folder / 'chainrule.sqlite3'}")
    connection = database.sqlite.connect(str(folder / "chainrule.sqlite3"))
    query = "SELECT id FROM checkpoints WHERE run_id = ? ORDER BY epoch DESC, step DESC LIMIT 1"
    (checkpoint,) = connection.execute(query, [run.id]).fetchone()
    (content,) = connection.execute(
        "SELECT content FROM checkpoint_bytes WHERE checkpoint_id = ?", [checkpoint]
    ).fetchone()
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 1
    connection.execute("UPDATE checkpoint_bytes SET content = ? WHERE checkpoint_id = ?", [bytes(damaged), checkpoint])
    connection.commit()
    connection.close()


# Many at once ------------------------------------------------------------------------------------------------------


def test_two_supervisors_never_train_the_same_run(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        command = [sys.executable, "-m", "service.cli", "worker", "--data", str(tmp_path / "data"), "--workers", "1"]
        alone = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            short = {**LONG["training"], "epochs": 100}
            runs = [start_penguins(served.client, seed=seed, training=short) for seed in range(10)]
            done = [served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS) for run in runs]
            claims = [event for run in runs for event in served.client.events(run.id) if event.kind == "claimed"]
        finally:
            alone.terminate()
            exit_code = alone.wait(PATIENCE_SECONDS)

    assert {run.status for run in done} == {"succeeded"}
    assert {run.attempt for run in done} == {1}
    assert len(claims) == len(runs)
    assert len({claim.data["worker"] for claim in claims}) == 2
    assert exit_code == 0


def test_fifty_runs_queued_at_once_all_end(tmp_path: Path) -> None:
    with server(tmp_path / "data") as served:
        brief = {**LONG["training"], "epochs": 5}
        dataset = served.client.upload_bytes(PENGUINS.content(), name="penguins").id
        body = {**LONG, "dataset": dataset, "target": "species", "training": brief}
        runs = [served.client.create_run(**body, seed=seed) for seed in range(50)]

        done = [served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS) for run in runs]

        assert {run.status for run in done} == {"succeeded"}
        assert len({run.weights_digest for run in done}) == 50


def test_predictions_are_answered_while_every_worker_trains(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="2") as served:
        first = start_penguins(served.client, training={**LONG["training"], "epochs": 5})
        served.client.wait(first.id, timeout_seconds=PATIENCE_SECONDS)
        runs = [start_digits(served.client, seed=seed) for seed in range(2)]
        until(lambda: all(served.client.run(run.id).progress > 0 for run in runs), what="both train")

        answers = [served.client.predict(first.id, [{"island": "Biscoe", **BILL}]) for _ in range(20)]

        assert {answer.predictions[0].label for answer in answers} <= {"Adelie", "Chinstrap", "Gentoo"}
        for run in runs:
            assert not served.client.run(run.id).done
            served.client.cancel(run.id)


BILL = {"bill_length_mm": 49.5, "bill_depth_mm": 15.9, "flipper_length_mm": 221, "body_mass_g": 5350, "sex": "male"}
