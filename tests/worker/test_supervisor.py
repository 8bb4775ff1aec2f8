"""The supervisor, in a thread of this process, with real worker processes: what fails around it costs no run."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from service import folder
from service.worker.supervisor import Supervisor
from tests.support import Api, until


@contextmanager
def supervised(api: Api) -> Iterator[None]:
    supervisor = Supervisor(api.settings, api.database, slots=1, server_id=None)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join()


def test_a_worker_process_that_could_not_be_started_is_started_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    start, failures = Supervisor._start, [EOFError("unexpected EOF"), ConnectionRefusedError()]

    def fail_at_first(*arguments: Any, **options: Any) -> None:
        if failures:
            raise failures.pop()
        start(*arguments, **options)

    monkeypatch.setattr(Supervisor, "_start", fail_at_first)
    run_id = api.create()["id"]

    with supervised(api):
        until(lambda: api.run(run_id)["done"], what="the run ends")

    run = api.run(run_id)
    assert (run["status"], run["attempt"]) == ("succeeded", 3)


def test_nothing_is_claimed_while_the_data_folder_is_away(api: Api) -> None:
    run_id = api.create()["id"]
    mark = api.settings.data / folder.MARKER
    away = mark.rename(mark.with_suffix(".away"))

    with supervised(api):
        time.sleep(0.5)
        waiting = api.run(run_id)
        away.rename(mark)
        until(lambda: api.run(run_id)["done"], what="the run ends")

    assert (waiting["status"], waiting["attempt"]) == ("queued", 0)
    assert api.run(run_id)["status"] == "succeeded"
