"""The demonstration: two real tables, trained, predicted and looked into, over HTTP like any client would."""

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service import console
from service.client import Client
from service.embedded import free_port, server
from service.samples import DIGITS, PENGUINS, Sample
from service.schemas.runs import RunBody

GENTOO = {
    "island": "Biscoe",
    "bill_length_mm": 49.5,
    "bill_depth_mm": 15.9,
    "flipper_length_mm": 221,
    "body_mass_g": 5350,
    "sex": "male",
}


def demonstrate(data: Path | None, *, once: bool) -> None:
    """Show the whole job on a server of its own; then leave it running until Ctrl-C, or stop it `once` shown."""
    say = console.out.print
    with _folder(data) as folder, server(folder, port=free_port(8000)) as client:
        url = client.url
        say(f"Chainrule answers at {url}; its data are in {folder}.\n")
        run = _train(client, PENGUINS)
        _train(client, DIGITS)
        _predict(client, run)
        _look_inside(client, run)
        if once:
            return
        say(f"\nThe server goes on: open {url} in a browser, see every route at {url}/docs, or try:\n")
        say(f"  curl '{url}/v1/runs/{run.id}/losses?points=5'")
        say(f"  curl '{url}/v1/runs/{run.id}/checkpoints/best/weights'")
        say("\nCtrl-C stops it.")
        _wait_for_ctrl_c()


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="chainrule-demo-") as folder:
        yield Path(folder)


def _train(client: Client, sample: Sample) -> RunBody:
    dataset = client.upload_bytes(sample.content(), name=sample.name)
    console.out.print(f"{sample.name}: {dataset.rows} rows × {len(dataset.columns)} columns, target {sample.target}")
    held_out = {"validation": 0.15}  # small as the tables are, so that there is a curve to see
    created = client.create_run(dataset=dataset.id, target=sample.target, name=sample.name, split=held_out)
    run = console.follow(client, created)
    accuracy = ((run.metrics or {}).get("test") or {}).get("accuracy")
    ended = f"{run.status} ({run.reason['detail']})" if run.reason else run.status
    console.out.print(f"{sample.name}: {ended}; test accuracy {accuracy:.4f}\n")
    return run


def _predict(client: Client, run: RunBody) -> None:
    console.out.print(f"Which penguin is this? POST /v1/runs/{run.id}/predict")
    console.out.print(f"  {json.dumps(GENTOO)}")
    [answer] = client.predict(run.id, [GENTOO]).predictions
    shares = ", ".join(f"{name} {share:.4f}" for name, share in (answer.probabilities or {}).items())
    console.out.print(f"  {answer.label}: {shares}\n")


def _look_inside(client: Client, run: RunBody) -> None:
    batch = {"part": "train", "limit": 32}
    console.out.print("The gradients of 32 training rows, and some of them checked by nudging single numbers:")
    found = client.inspect(run.id, dataset_rows=batch, quantities=["dW", "db"], reduce="norm")
    targets = ["W.1[0,0]", "W.1[4,60]", "W.2[20,0]", "W.2[63,1]", "b.1[9]", "b.2[0]"]
    check = client.check(run.id, dataset_rows=batch, targets=targets)
    console.gradients(found, check)


def _wait_for_ctrl_c() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        console.out.print("Stopping.")
