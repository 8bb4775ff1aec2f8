"""Bringing a file by the pages: at once, or after a look that mends how it is read."""

import csv
import io
import os
import time
from pathlib import Path

import pytest

from service.domain import datasets
from service.samples import DIGITS, PENGUINS
from service.settings import Limits
from tests.support import Api
from tests.ui.test_pages import HTML, page, read, send

GERMAN = "nummer;preis;wann;rest\n" + "".join(f"{i};{i},5;2020-01-{i % 28 + 1:02d};-\n" for i in range(40))


def look(api: Api, content: bytes = GERMAN.encode(), name: str = "preise.csv") -> str:
    files = {"file": (name, content, "text/csv")}
    answer = api.post("/files", files=files, headers=HTML, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def names(api: Api) -> list[str]:
    return [each["name"] for each in api.get("/v1/datasets").json()["items"]]


def test_a_look_keeps_nothing_and_tells_how_a_file_is_read(api: Api) -> None:
    shown = page(api, look(api))

    assert "40 rows, 4 columns" in shown.text
    assert "decimal “,”" in shown.text
    chosen = [each for each in shown.all("select") if each.get("name") == "type"]
    assert [each["aria-label"] for each in chosen] == [
        f"Type of {name}" for name in ("nummer", "preis", "wann", "rest")
    ]
    assert names(api) == []


def test_what_was_read_wrong_is_mended_and_then_kept(api: Api) -> None:
    place = look(api)
    form = {"name": "prices", "type": "text:nummer", "na": "-", "delimiter": ";"}

    shown = page(api, f"{place.partition('?')[0]}?name=prices&type=text%3Anummer&na=-&delimiter=%3B")
    selected = {str(each["value"]) for each in shown.all("option") if "selected" in each}
    kept = send(api, place.partition("?")[0], **form)

    assert {"text:nummer", ";"} <= selected
    assert kept.status_code == 303, kept.text
    dataset = api.get(f"/v1{kept.headers['location']}").json()
    assert dataset["name"] == "prices"
    types = {each["name"]: (each["type"], each["missing"]) for each in dataset["columns"]}
    assert types["nummer"] == ("text", 0)
    assert types["preis"] == ("number", 0)
    assert types["rest"][1] == 40
    assert "choose it again" in page(api, place, 404).text, "what is kept is not looked at any more"
    assert list((api.settings.data / datasets.UPLOADS).iterdir()) == []


def test_what_can_not_be_read_so_is_said_beside_the_form(api: Api) -> None:
    place = look(api)

    shown = page(api, f"{place}&type=number%3Awann", 422)

    assert "wann" in shown.text
    assert any(each.get("name") == "delimiter" for each in shown.all("select"))
    assert read(send(api, place.partition("?")[0], type="number:wann")).all("form")
    assert names(api) == []
    assert page(api, "/files/held_nothing", 404)
    assert page(api, "/files/..%2Fchainrule.sqlite3", 404)


def test_files_that_nobody_keeps_make_room(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MOST_HELD", 2)
    places = [look(api, b"x,y\n1,2\n3,4\n%d,5\n" % number) for number in range(3)]

    page(api, places[0], 404)
    page(api, places[1])
    for path in (api.settings.data / datasets.UPLOADS).glob("held_*"):
        os.utime(path, (0, time.time() - datasets.HELD_SECONDS - 60))
    last = look(api)
    page(api, places[2], 404)
    monkeypatch.setattr(datasets, "HELD_BYTES", 100)
    look(api)
    page(api, last, 404)


@pytest.mark.parametrize("path", ["/datasets", "/files", "/playground/table"])
def test_a_page_takes_files_as_large_as_the_api_does(tmp_path: Path, path: str) -> None:
    with Api(tmp_path, limits=Limits(request_bytes=2_000)) as api:
        content = b"a,b,c\n" + b"".join(b"%d,%d,%d\n" % (i, i % 7, i % 3) for i in range(1_000))
        answer = api.post(path, files={"file": ("t.csv", content)}, headers=HTML, follow_redirects=False)

        assert answer.status_code == 303, answer.text


def test_a_table_that_comes_along_is_brought_and_ready_to_learn(api: Api) -> None:
    there = send(api, "/samples", sample="penguins").headers["location"]

    shown = page(api, there)

    chosen = [each for tag, each in shown.tags if tag == "option" and "selected" in each]
    assert "species" in shown.text
    assert names(api) == ["penguins"]
    assert len(chosen) >= 2
    assert there.endswith("&target=species")
    assert read(send(api, "/samples", sample="nothing")).all("h1")


def test_a_dataset_shows_how_a_column_is_spread_and_its_classes_balance(api: Api) -> None:
    dataset = api.upload(PENGUINS.content(), name="penguins")

    shown = page(api, f"/datasets/{dataset}?column=species")
    values = api.get(f"/datasets/{dataset}?column=species&figure=values&as=csv").text
    spread = api.get(f"/datasets/{dataset}?column=body_mass_g&figure=histogram&as=csv").text

    assert "152 (44.2 %)" in shown.text
    assert "A new run" in shown.text
    api.create(dataset=dataset, target="species", name="first")
    assert "an input for each of 3 levels" in page(api, f"/datasets/{dataset}").text
    assert [(row["value"], int(row["rows"])) for row in csv.DictReader(io.StringIO(values))] == [
        ("Adelie", 152), ("Gentoo", 124), ("Chinstrap", 68),
    ]  # fmt: skip
    assert sum(int(row["rows"]) for row in csv.DictReader(io.StringIO(spread))) == 342, "two have no mass"
    assert not shown.all("img")


def test_rows_whose_columns_are_pixels_are_shown_as_images(api: Api) -> None:
    dataset = api.upload(DIGITS.content(), name="digits")

    shown = page(api, f"/datasets/{dataset}")

    assert len(shown.all("img")) == 48
    assert "pixel_0_0: the same in all" in shown.text
    assert "{&#39;" not in shown.text
