"""Commands that look into a run, as real processes beside a real server."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_commands import chainrule
from tests.support import TINY, Server, server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server(tmp_path_factory.mktemp("looking") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def run(served: Server) -> str:
    client = served.client
    hidden = [{"type": "dense", "units": 4, "activation": "tanh"}]
    training = {"epochs": 3, "batch_size": 8, "early_stopping": None}
    dataset = client.upload_bytes(TINY, name="tiny").id
    created = client.create_run(dataset=dataset, target="label", network={"layers": hidden}, training=training)
    return client.wait(created.id).id


def shown(served: Server, *arguments: object) -> str:
    return chainrule(*arguments, "--server", served.url).stdout


def test_a_step_shows_what_it_changed(served: Server, run: str) -> None:
    text = shown(served, "step", run, "2")
    found = json.loads(shown(served, "step", run, "2", "--json"))

    assert "step 2 (epoch 1, step 2" in text
    assert "exact" in text
    assert f"{found['parameters'][0]['update_norm']:.4g}" in text


def test_a_timeline_shows_what_nobody_logged(served: Server, run: str) -> None:
    text = shown(served, "timeline", run, "loss", "dW.*.norm", "--points", 3)

    assert "dW.1.norm" in text
    assert "dW.2.norm" in text


def test_an_explanation_is_written_to_a_file_or_the_terminal(served: Server, run: str, tmp_path: Path) -> None:
    address, file = "dW.2[0,0]", tmp_path / "page.html"

    assert shown(served, "explain", run, address, "--rows", "0,3").startswith(f"# {address}")
    shown(served, "explain", run, address, "--format", "html", "-o", file)
    assert file.read_text().startswith("<!DOCTYPE html>")
    assert "dW.1[0,3]" in chainrule("explain", run, "dW.7[0,0]", "--server", served.url, ok=False).stderr


def test_evidence_is_written_to_a_file(served: Server, run: str, tmp_path: Path) -> None:
    shown(served, "evidence", run, "2", "-o", tmp_path / "step.zip")

    with zipfile.ZipFile(tmp_path / "step.zip") as archive:
        assert "verify_step.py" in archive.namelist()


def test_the_doctor_exits_as_asked(served: Server, run: str) -> None:
    client = served.client
    training = {"epochs": 2, "optimizer": {"type": "sgd", "learning_rate": 1e6}}
    bad = client.wait(client.create_run(dataset=client.run(run).dataset.id, target="label", training=training).id)

    assert shown(served, "doctor", run)
    done = chainrule("doctor", bad.id, "--test", "--fail-on", "critical", "--server", served.url, ok=False)
    assert done.returncode == 3
    assert "critical: learning_rate_range" in done.stdout
    assert "it helps" in done.stdout


def test_gains_name_the_operation_that_loses_most(served: Server, run: str) -> None:
    assert "g′ of layer 1" in shown(served, "gains", run)


def test_rows_that_did_most_and_rows_in_order_are_listed(served: Server, run: str) -> None:
    influence = shown(served, "influence", run, "3", "--method", "ledger", "--top", 2)
    ranked = json.loads(shown(served, "ranking", run, "--top", 3, "--json"))["ranked"]

    assert "row 3: fell by" in influence
    assert "lowered it" in influence
    assert str(ranked[0]["row"]) in shown(served, "ranking", run, "--top", 3)
