"""Lessons and the playground: what they promise happens, and what they draw is what the network says."""

import csv
import io
from typing import Any

import numpy as np
import pytest

from service.samples import made
from service.ui.lessons import LESSONS
from tests.support import Api, Json
from tests.ui.test_pages import HTML, page, read, send

RULES = {
    "vanishing": "vanishing",
    "exploding": "exploding",
    "dead-relu": "dead_relu",
    "saturation": "saturated",
    "overfitting": "overfit",
    "bad-scale": "input_scale",
}


def started(answer: Any) -> str:
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def diagnosed(api: Api, lesson: str, which: str) -> tuple[Json, set[str]]:
    place = started(send(api, f"/learn/{lesson}", which=which))
    api.work()
    run = api.run(place.rpartition("/")[2])
    found = api.get(f"/v1/runs/{run['id']}/doctor").json()["findings"]
    return run, {each["rule"] for finding in found for each in (finding, *finding["consequences"])}


@pytest.mark.parametrize("lesson", RULES)
def test_a_lesson_fails_as_it_says_and_is_mended_as_it_says(api: Api, lesson: str) -> None:
    _, ill = diagnosed(api, lesson, "sick")
    mended, well = diagnosed(api, lesson, "mended")

    assert RULES[lesson] in ill
    assert RULES[lesson] not in well
    assert mended["status"] == "succeeded"
    shown = page(api, f"/learn/{lesson}")
    assert "All that differs" in shown.text
    links = [each["href"] for each in shown.all("a")]
    assert f"/runs/{mended['id']}" in links
    assert any("/compare?run=" in str(each) for each in links)
    assert len(api.get("/v1/datasets").json()["items"]) == 1, "the table is brought once"


def test_the_column_that_leaks_is_warned_of_and_makes_the_run_too_good(api: Api) -> None:
    sick, _ = diagnosed(api, "leaking", "sick")
    mended, _ = diagnosed(api, "leaking", "mended")

    assert any("share_returned" in each for each in sick["warnings"])
    assert not any("share_returned" in each for each in mended["warnings"])
    assert sick["metrics"]["test"]["accuracy"] > mended["metrics"]["test"]["accuracy"]


def test_every_lesson_has_its_page(shared: Api) -> None:
    shown = page(shared, "/learn")

    assert {f"/learn/{name}" for name in LESSONS} <= {each["href"] for each in shown.all("a")}
    assert set(RULES) | {"leaking"} == set(LESSONS)
    for name in LESSONS:
        assert page(shared, f"/learn/{name}").all("math")
    assert "vanishing" in page(shared, "/learn/nothing", 404).text


# The playground ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", made.PLANES)
def test_rows_of_every_kind_are_made_and_shown(shared: Api, kind: str) -> None:
    shown = page(shared, f"/playground?kind={kind}&rows=60&noise=0.1")

    rows = list(csv.DictReader(io.StringIO(made.plane(kind, rows=60, noise=0.1, seed=0).decode())))
    classes = {row["class"] for row in rows}
    assert len(rows) == 60
    dots = [each for each in shown.all("circle") if str(each["class"]).startswith("place")]
    assert len(dots) == 60 + len(classes), "and one for each class in the legend"
    assert len(classes) == (4 if kind == "clouds" else 2)


def play(api: Api, **changes: str) -> str:
    form = {"kind": "moons", "rows": "80", "hidden": "6", "epochs": "4", "learning_rate": "0.1", **changes}
    return started(send(api, "/playground", **form)).removesuffix("/boundary")


def test_the_plane_shows_what_is_predicted_at_each_place(api: Api) -> None:
    place = play(api)
    assert "begins with the first epoch" in page(api, f"{place}/boundary").text
    api.work()

    shown = page(api, f"{place}/boundary")
    numbers = api.get(f"{place}/boundary?epoch=4&figure=boundary&as=csv").text

    frames = [each for each in shown.all("img") if each["class"] == "pixels"]
    assert len(frames) == 5, "one for each epoch, and one before the first"
    assert "image" in {tag for tag, _ in shown.tags}
    places = list(csv.DictReader(io.StringIO(numbers)))[:: 96 * 7 + 5]
    rows = [{"x1": float(each["x1"]), "x2": float(each["x2"])} for each in places]
    said = api.post(f"/v1{place}/predict", {"rows": rows, "at": "epoch:4"}).json()["predictions"]
    for each, prediction in zip(places, said, strict=True):
        assert float(each["share of A"]) == pytest.approx(prediction["probabilities"]["A"], rel=1e-5)
    assert "Plane" in [each.strip() for each in shown.text.replace("<", ">").split(">")]


def test_an_own_table_is_played_on(api: Api) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},row {place},{3 * a - b:.3f}" for place, (a, b) in enumerate(rng.normal(size=(90, 2)))]
    files = {"file": ("own.csv", "\n".join(["a,b,name,sum", *rows]).encode(), "text/csv")}
    there = started(api.post("/playground/table", files=files, headers=HTML, follow_redirects=False))

    shown = page(api, there)
    assert {"a", "b", "sum"} <= set(shown.text.replace("<", ">").split(">"))
    place = play(api, dataset=there.rpartition("=")[2], x="b", y="a", target="sum")
    api.work()

    run = api.run(place.rpartition("/")[2])
    assert (run["resolved"]["features"], run["resolved"]["target"]) == (["b", "a"], ["sum"])
    drawn = page(api, f"{place}/boundary?epoch=2")
    assert "Orange is" in drawn.text
    header = api.get(f"{place}/boundary?figure=boundary&as=csv").text.splitlines()[0]
    assert header == "b,a,value"


def test_what_can_not_be_played_is_said(api: Api) -> None:
    dataset = api.upload(b"x,label\n" + b"\n".join(b"%d,%d" % (i, i % 2) for i in range(30)))

    assert "two columns of numbers" in page(api, f"/playground?dataset={dataset}", 422).text
    assert read(send(api, "/playground", kind="circle", epochs="0")).all("h1")
    assert send(api, "/playground", kind="circle", hidden="4 3,", epochs="1").status_code == 303
    assert "units" in read(send(api, "/playground", kind="circle", hidden="9" * 40)).text
    assert "activation" in read(send(api, "/playground", kind="circle", activation="nothing")).text
    assert "two columns of numbers" in page(api, f"/runs/{api.train(features=['x'])['id']}/boundary", 422).text
