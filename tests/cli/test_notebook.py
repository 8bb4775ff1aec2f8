"""What the client gives, as a notebook shows it."""

import re
import xml.etree.ElementTree as ElementTree
from base64 import b64decode
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from service.client import Client
from tests.support import PATIENCE_SECONDS, QUICK, TINY, server

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with server(tmp_path_factory.mktemp("notebook") / "data") as served:
        yield served.client


@pytest.fixture(scope="module")
def run_id(client: Client) -> str:
    dataset = client.upload_bytes(TINY, name=HOSTILE)
    run = client.create_run(dataset=dataset.id, target="label", name=HOSTILE, **QUICK)
    client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
    return run.id


class Shown(HTMLParser):
    """Output of a cell: no script, nothing from elsewhere, every picture whole."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[ElementTree.Element] = []
        self.text = text
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        named = dict(attrs)
        assert not any(name.startswith("on") for name in named)
        if tag == "img":
            kind, _, content = str(named["src"]).partition(",")
            assert kind == "data:image/svg+xml;base64"
            self.pictures.append(ElementTree.fromstring(b64decode(content)))


def shown(found: object) -> Shown:
    return Shown(str(found._repr_html_()))  # type: ignore[attr-defined]


def test_a_run_shows_its_curves(client: Client, run_id: str) -> None:
    found = shown(client.run(run_id))

    [picture] = found.pictures
    lines = [each for each in picture.iter() if each.get("data-name")]
    assert [each.get("data-name") for each in lines] == ["train.loss", "validation.loss"]
    assert re.search(r"succeeded, epoch 3 of 3, best validation.loss", found.text)
    assert HOSTILE not in found.text
    assert len(shown(client.losses(run_id)).pictures) == 1


def test_a_dataset_a_diagnosis_and_an_evaluation_are_tables(client: Client, run_id: str) -> None:
    dataset = client.datasets().items[0]

    assert shown(dataset).text.count("<tr>") == 1 + len(dataset.columns)
    assert "finding" in shown(client.doctor(run_id)).text
    evaluation = shown(client.evaluation(run_id))
    assert "accuracy" in evaluation.text
    assert len(evaluation.pictures) == 1


def test_timelines_and_histograms_are_charts(client: Client, run_id: str) -> None:
    timeline = shown(client.timeline(run_id, "dW.*.norm"))
    histograms = shown(client.histograms(run_id, "W.1", "dW.1", points=3))

    lines = [each.get("data-name") for each in timeline.pictures[0].iter() if each.get("data-name")]
    assert lines == ["dW.1.norm", "dW.2.norm"]
    assert len(histograms.pictures) == 2
