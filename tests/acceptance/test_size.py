"""Memory: a run as large as one is likely to be has what it needs, and nothing takes more than it may."""

from pathlib import Path

from service.settings import Limits
from tests.support import PATIENCE_SECONDS, TINY, Api, problem, server


def test_a_network_of_ten_million_parameters_trains_within_its_memory(tmp_path: Path) -> None:
    with server(tmp_path / "data", CHAINRULE_WORKERS="1") as served:
        dataset = served.client.upload_bytes(TINY, name="tiny")
        layers = [{"type": "dense", "units": 3200, "activation": "relu"}] * 2
        run = served.client.create_run(
            dataset=dataset.id, target="label", network={"layers": layers}, training={"epochs": 1}
        )

        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

        assert done.status == "succeeded", done.reason
        assert done.parameter_count > 10_000_000


def test_an_upload_that_takes_more_memory_than_it_may_is_refused(tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(ingest_memory_bytes=30_000_000)) as api:
        refused = api.send(b"x,y\n" + b"1.5,2.5\n" * 2_000_000)

    assert problem(refused, 413, "too_large")["limit"] == "ingest_memory_bytes"
