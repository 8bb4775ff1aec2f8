"""Looking at a run while it trains: it goes on as if nobody had, to the same bits."""

from pathlib import Path

import httpx

from tests.acceptance.test_durability import start_penguins
from tests.support import PATIENCE_SECONDS, Server, server, until

SLOWLY = {"training": {"epochs": 1500, "batch_size": 8, "early_stopping": None}}


def ask(served: Server, method: str, path: str, body: object = None) -> None:
    url = f"{served.url}{path}"
    answer = httpx.request(method, url, json=body, timeout=PATIENCE_SECONDS, trust_env=False)
    assert answer.status_code in (200, 202), answer.text


def test_a_run_that_is_looked_at_all_the_time_ends_with_the_same_bits(tmp_path: Path) -> None:
    batch = {"dataset_rows": {"part": "train", "limit": 32}}
    with server(tmp_path / "data") as served:
        run = start_penguins(served.client, **SLOWLY)
        path = f"/v1/runs/{run.id}"
        until(lambda: served.client.run(run.id).epoch >= 2, what="a second epoch")
        looks = 0
        while served.client.run(run.id).status == "running":
            ask(served, "GET", f"{path}/steps/last?tensors=dW,opt")
            ask(served, "GET", f"{path}/timeline?quantities=loss;dW.*.norm&points=5")
            ask(served, "POST", f"{path}/inspect", {**batch, "at": "last", "quantities": ["hessian_eigenvalues"]})
            ask(served, "POST", f"{path}/check", {**batch, "samples": 2})
            ask(served, "GET", f"{path}/doctor")
            ask(served, "GET", f"{path}/ranking?by=suspicion&moments=2")
            looks += 1
        looked_at = served.client.run(run.id)
        alone = served.client.wait(start_penguins(served.client, **SLOWLY).id, timeout_seconds=PATIENCE_SECONDS)

    assert looks > 0
    assert looked_at.status == alone.status == "succeeded"
    assert looked_at.weights_digest == alone.weights_digest is not None
