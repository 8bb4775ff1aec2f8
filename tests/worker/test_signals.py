"""Signals to everyone at once, as terminals, systemd and `timeout` send them, in bursts, and at the worst moment."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from service.processes import context, let_signals_in
from tests.acceptance.test_durability import digits_under_way, kinds, row, start_digits
from tests.support import PATIENCE_SECONDS, server, until


def test_a_sigterm_to_the_whole_group_counts_no_death_and_loses_no_step(tmp_path: Path) -> None:
    with digits_under_way(tmp_path / "data") as (served, run):
        time.sleep(1.5)  # past the checkpoint of the first second
        os.killpg(served.process.pid, signal.SIGTERM)
        exit_code = served.process.wait(PATIENCE_SECONDS)

        status, deaths, epoch, step = row(tmp_path / "data", run, "status", "deaths", "epoch", "step")
        served.start()
        stored = served.client.checkpoints(run.id).items[0]
        served.client.cancel(run.id)
        served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
        told = kinds(served.client, run)

    assert exit_code == 0
    assert (status, deaths) == ("queued", 0)
    assert (stored.epoch, stored.step) == (epoch, step)
    assert "requeued" in told
    assert "rescued" not in told


def test_a_run_outlives_the_process_that_started_its_worker(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        brief = {"epochs": 1, "batch_size": 4, "early_stopping": None}
        first = start_digits(served.client, training=brief)
        second = start_digits(served.client, training={**brief, "batch_size": 64})
        until(lambda: served.client.run(first.id).progress > 0, what="a first step")
        for pid in served.starters():
            os.kill(pid, signal.SIGKILL)

        done = [served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS) for run in (first, second)]

        assert [(run.status, run.attempt) for run in done] == [("succeeded", 1)] * 2
        assert "rescued" not in kinds(served.client, first)


def test_a_burst_of_signals_ends_a_server_at_once_and_in_order(tmp_path: Path) -> None:
    with digits_under_way(tmp_path / "data") as (served, run):
        for _ in range(20):
            served.process.send_signal(signal.SIGTERM)

        assert served.process.wait(PATIENCE_SECONDS) == 0
        assert row(tmp_path / "data", run, "status", "deaths") == ("queued", 0)


def test_a_burst_of_signals_ends_a_worker_on_its_own(tmp_path: Path) -> None:
    with server(tmp_path / "data", "--workers", "0") as served:
        command = [sys.executable, "-m", "service.cli", "worker", "--data", str(tmp_path / "data"), "--workers", "1"]
        alone = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        run = start_digits(served.client)
        until(lambda: served.client.run(run.id).progress > 0, what="a first step")

        for _ in range(20):
            alone.send_signal(signal.SIGTERM)

        assert alone.wait(PATIENCE_SECONDS) == 0
        assert row(tmp_path / "data", run, "status", "deaths") == ("queued", 0)


def test_a_signal_in_a_processs_first_moment_waits_for_its_handler() -> None:
    process = context().Process(target=_late)
    process.start()
    assert process.pid is not None

    os.kill(process.pid, signal.SIGTERM)
    process.join(PATIENCE_SECONDS)

    assert process.exitcode == 7


def _late() -> None:
    """A process that takes its time to say what it does about a signal."""
    time.sleep(0.3)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    let_signals_in()
    threading.Event().wait(PATIENCE_SECONDS)


def test_what_ends_one_part_of_the_work_ends_all_of_it_with_its_error() -> None:
    program = """
import threading
from service.signals import run_until_signalled

def fail():
    raise RuntimeError("the supervisor fell")

stopped = threading.Event()
run_until_signalled({"api": stopped.wait, "supervisor": fail}, stop=stopped.set, kill=stopped.set)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )

    assert done.returncode == 1
    assert "the supervisor fell" in done.stderr
