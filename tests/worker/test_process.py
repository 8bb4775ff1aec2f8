"""Worker processes of a real server: how a run ends that can't be stored."""

import sqlite3
from pathlib import Path

from service.settings import Limits
from tests.support import PATIENCE_SECONDS, QUICK, TINY, Api, problem, server


def test_what_the_database_refuses_fails_the_run_and_not_the_queue(tmp_path: Path) -> None:
    with server(tmp_path / "data", "--workers", "1") as served:
        refuse_checkpoints(tmp_path / "data" / "chainrule.sqlite3")
        dataset = served.client.upload_bytes(TINY, name="tiny")
        run = served.client.create_run(dataset=dataset.id, target="label", **QUICK)

        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

        assert done.status == "failed"
        assert done.attempt == 1
        assert done.reason is not None
        assert done.reason["code"] == "not_storable"


def refuse_checkpoints(file: Path) -> None:
    """As a database does when what it is given breaks one of its rules."""
    connection = sqlite3.connect(file)
    connection.execute(
        "CREATE TRIGGER never BEFORE INSERT ON checkpoint_bytes BEGIN SELECT RAISE(ABORT, 'not here'); END"
    )
    connection.commit()
    connection.close()


def test_a_run_whose_checkpoints_no_database_holds_is_not_accepted(tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(checkpoint_bytes=66_000)) as api:
        wide = {"layers": [{"type": "dense", "units": 20}]}
        refused = api.post("/v1/runs", {"dataset": api.upload(), "target": "label", "network": wide})

    assert problem(refused, 413, "too_large")["limit"] == "checkpoint_bytes"
