"""Trying a run by its pages: a row, a drawing, rows that are pasted; and how good it is."""

import csv
import io
import json
import subprocess
import sys
from html import unescape
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.samples import DIGITS
from tests.support import PATIENCE_SECONDS, QUICK, TINY, Api, Json, server
from tests.ui.test_pages import page, read, send

PRICES = "size,age,price\n" + "".join(f"{20 + i},{i % 9},{3 * (20 + i) - 2 * (i % 9)}\n" for i in range(120))


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(network={"layers": [{"type": "dense", "units": 6, "activation": "relu"}]})


@pytest.fixture(scope="module")
def prices(shared: Api) -> Json:
    return shared.train(dataset=shared.upload(PRICES.encode()), target="price")


def test_a_row_of_the_dataset_is_filled_in_and_answered(shared: Api, run: Json) -> None:
    place = f"/runs/{run['id']}/try"
    first, third = (list(csv.DictReader(io.StringIO(TINY.decode())))[number] for number in (0, 3))

    shown = page(shared, f"{place}?row=3")

    fields = {each["name"]: each.get("value") for each in shown.all("input")}
    assert fields["x"] == third["x"]
    assert fields["x"] != first["x"]
    assert f"label: {third['label']}" in shown.text
    said = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": float(third["x"]), "y": float(third["y"])}]})
    assert f"label: {said.json()['predictions'][0]['label']}" in shown.text
    assert "row: expected one from 0" in page(shared, f"{place}?row=99999", 422).text


def test_rows_are_pasted_as_csv_and_as_json(shared: Api, run: Json) -> None:
    place = f"/runs/{run['id']}/try/rows"
    rows = [{"x": 1.5, "y": 2}, {"x": 30, "y": None}]

    of_csv = read(send(shared, place, rows="x, y\n1.5, 2\n30,\n"))
    of_json = read(send(shared, place, rows=json.dumps(rows)))

    said = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}).json()["predictions"]
    for each in said:
        assert each["label"] in of_csv.text
    table = of_csv.text[of_csv.text.index('aria-label="Predictions"') :].split("</table>")[0]
    assert table.count("<tr>") == 3
    assert table in of_json.text
    wrong = send(shared, place, rows="x,y\nabc,2\n")
    assert wrong.status_code == 422
    assert "abc" in read(wrong).text
    assert "expected JSON" in read(send(shared, place, rows="[{")).text
    assert "found none" in read(send(shared, place, rows="x,y\n")).text
    assert "at most 200" in read(send(shared, place, rows="x,y\n" + "1,2\n" * 201)).text


def test_the_python_beside_it_runs_as_written(tmp_path: Path) -> None:
    with server(tmp_path / "data") as served:
        dataset = served.client.upload_bytes(TINY, name="tiny")
        run = served.client.create_run(dataset=dataset.id, target="label", **QUICK)
        served.client.wait(run.id, timeout_seconds=PATIENCE_SECONDS)
        text = httpx.get(f"{served.url}/runs/{run.id}/try").text
        script = text.split("The same in Python</h2>")[1].split('<pre tabindex="0">')[1].split("</pre>")[0]

        done = subprocess.run([sys.executable, "-c", unescape(script)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "label=" in done.stdout


def test_images_are_drawn_on(shared: Api) -> None:
    run = shared.train(dataset=shared.upload(DIGITS.content(), name="digits"), target="digit")

    shown = page(shared, f"/runs/{run['id']}/try?row=7")

    [pad] = [each for _, each in shown.tags if "data-pad" in each]
    assert (pad["data-pad"], pad["data-most"]) == ("8", "16.0")
    assert str(pad["data-names"]).split("|")[:2] == ["pixel_0_0", "pixel_0_1"]
    assert shown.all("img")[0]["alt"] == "The row as an image"
    assert page(shared, f"/runs/{run['id']}/layers/1").text.count('id="filters"') == 1


def test_an_evaluation_is_drawn_from_its_numbers(shared: Api, run: Json, prices: Json) -> None:
    place = f"/runs/{run['id']}/evaluation?part=train"
    page(shared, place)
    confusion = list(csv.reader(io.StringIO(shared.get(f"{place}&figure=confusion&as=csv").text)))
    calibration = list(csv.DictReader(io.StringIO(shared.get(f"{place}&figure=calibration&as=csv").text)))

    told = shared.get(f"/v1/runs/{run['id']}/evaluation?part=train").json()
    target = told["targets"][0]
    assert [list(map(int, row[1:])) for row in confusion[1:]] == target["confusion"]
    assert sum(int(row["rows"]) for row in calibration) == told["rows"]

    place = f"/runs/{prices['id']}/evaluation?part=train"
    shown = page(shared, place)
    rows = list(csv.DictReader(io.StringIO(shared.get(f"{place}&figure=said&as=csv").text)))
    errors = np.array([float(row["said"]) - float(row["true"]) for row in rows])
    told = shared.get(f"/v1/runs/{prices['id']}/evaluation?part=train").json()
    assert len(rows) == told["rows"], "so few are all drawn"
    assert float(np.abs(errors).mean()) == pytest.approx(told["metrics"]["mae"], rel=1e-4)
    assert len([each for each in shown.all("line") if each["class"] == "same"]) == 1
    assert {f"/runs/{prices['id']}/try?row={each['row']}" for each in told["worst"][:3]} <= {
        each["href"] for each in shown.all("a")
    }
