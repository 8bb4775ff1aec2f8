"""The whole job on every database there is a server for."""

from pathlib import Path

from tests.acceptance.test_durability import OFTEN, digest_of, kill_both, start_penguins
from tests.support import PATIENCE_SECONDS, server, until


def test_a_run_is_trained_rescued_and_asked_on_any_database(tmp_path: Path, url: str) -> None:
    with server(tmp_path / "data", **OFTEN, CHAINRULE_DATABASE_URL=url) as served:
        run = start_penguins(served.client)
        until(lambda: served.client.run(run.id).epoch > 20, what="some epochs")
        kill_both(served)
        done = served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)

        inspection = served.client.inspect(run.id, dataset_rows={"part": "test"}, quantities=["dW"], reduce="norm")
        events = [event.sequence for event in served.client.events(run.id)]

    assert digest_of(done)
    assert inspection.loss is not None
    assert events == list(range(1, len(events) + 1))
