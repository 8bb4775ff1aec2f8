"""The pages, as a browser without scripts sees them."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.ui.pages.runs import smoothed
from service.ui.rendering import POLICY
from tests.benchmarks.pages import copied
from tests.routes.test_diagnoses import DEEP, SLOW, TABLE
from tests.support import QUICK, TINY, Api, Json, problem

HTML = {"Accept": "text/html"}
HOSTILE = '"><img src=x onerror=alert(1)>'
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page taken apart: every tag must be closed, and nothing may be loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = text
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        assert not any(name.startswith("on") or name == "style" for name in named), (tag, named)
        for name in ("src", "href", "action"):
            assert (named.get(name) or "/").startswith(("/", "#", "?", "data:image/png;base64,")), (tag, named)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(api: Api, path: str, code: int = 200) -> Page:
    answer = api.get(path, headers=HTML)
    assert answer.status_code == code, answer.text
    return read(answer)


def read(answer: httpx.Response) -> Page:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    found = Page(answer.text)
    assert found.all("html")[0]["lang"] == "en"
    assert len(found.all("h1")) == 1
    assert "script" not in {tag for tag, named in found.tags if not named.get("src")}
    for field in [each for each in found.all("input") if each.get("type") != "hidden"] + found.all("select"):
        assert field.get("name")
    return found


def send(api: Api, path: str, **form: str) -> httpx.Response:
    return api.post(path, data=form, headers=HTML, follow_redirects=False)


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(network={"layers": [{"type": "dense", "units": 6, "activation": "relu"}]})


@pytest.mark.parametrize(
    "path",
    [
        "", "?scale=log", "/live", "/flow", "/flow?show=ratio", "/flow?show=zeros", "/flow?show=gains",
        "/flow?show=cosine", "/layers/1", "/layers/2?step=3&scale=log",
        "/layers/1?over=time", "/network", "/network?epoch=0", "/try", "/evaluation", "/evaluation?part=train",
        "/doctor", "/walk",
    ],
)  # fmt: skip
def test_every_page_of_a_run_is_whole(shared: Api, run: Json, path: str) -> None:
    if path == "/live":
        assert "data-live" in shared.get(f"/runs/{run['id']}{path}", headers=HTML).text
        return
    found = page(shared, f"/runs/{run['id']}{path}")

    assert "not finite" not in found.text


@pytest.mark.parametrize(
    "path", ["/runs", "/datasets", "/new", "/docs", "/system", "/runs?status=failed", "/runs?order_by=name"]
)
def test_every_other_page_is_whole(shared: Api, run: Json, path: str) -> None:
    assert page(shared, path).all("nav")


def test_empty_pages_say_what_to_do(api: Api) -> None:
    assert "No run yet" in page(api, "/runs").text
    assert "None yet" in page(api, "/datasets").text
    assert "bring a file" in page(api, "/new").text


def test_a_browser_is_sent_from_the_root_to_the_runs(shared: Api) -> None:
    answer = shared.get("/", headers={"Accept": "text/html,*/*;q=0.8"}, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
    assert shared.get("/").json()["name"] == "Chainrule"


def test_the_whole_job_is_done_by_forms_alone(api: Api) -> None:
    files = {"file": ("C:\\data\\flowers.csv.gz", TINY, "application/vnd.ms-excel")}
    uploaded = api.post("/datasets", files=files, headers=HTML, follow_redirects=False)
    assert uploaded.status_code == 303, uploaded.text
    dataset = uploaded.headers["location"]
    assert "flowers" in page(api, dataset).text

    dataset_id = dataset.rpartition("/")[2]
    form = {
        "dataset": dataset_id,
        "target": "label",
        "hidden": "5, 4",
        "epochs": "3",
        "learning_rate": "0.01",
        "l2": "0.02",
        "validation": "0.25",
        "patience": "9",
        "seed": "7",
    }
    looked = read(send(api, "/new", step="look", **form))
    assert "What will be done" in looked.text
    started = send(api, "/new", step="start", name=HOSTILE, **form)
    assert started.status_code == 303, started.text
    place = started.headers["location"]
    paused = send(api, f"{place}/steer", action="pause")
    assert paused.headers["location"] == place
    assert "paused" in page(api, place).text
    send(api, f"{place}/steer", action="resume")
    api.work()

    shown = page(api, place)
    assert "succeeded" in shown.text
    assert len([each for each in shown.all("svg") if each["class"] == "chart"]) >= 3
    run = api.run(place.rpartition("/")[2])
    assert [layer["units"] for layer in run["resolved"]["network"]["layers"]] == [5, 4]
    resolved = run["resolved"]
    assert (resolved["training"]["optimizer"]["learning_rate"], run["seed"], run["name"]) == (0.01, 7, HOSTILE)
    assert (resolved["training"]["l2"], resolved["training"]["early_stopping"]["patience"]) == (0.02, 9)
    assert resolved["split"]["validation"] == 0.25
    answered = read(send(api, f"{place}/try", x="3", y=""))
    assert "label: " in answered.text
    assert "probabilities of label" in answered.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden": "8,none"}, "hidden: expected a number"),
        ({"target": "nothing"}, "no column"),
        ({"epochs": "0"}, "epochs"),
    ],
)
def test_a_form_that_can_not_be_is_shown_again_with_what_is_wrong(api: Api, changes: dict[str, str], said: str) -> None:
    form = {"dataset": api.upload(), "target": "label", "step": "start", "name": "kept"} | changes

    answer = send(api, "/new", **form)

    assert answer.status_code == 422
    found = read(answer)
    assert said in found.text
    assert "kept" in [each.get("value") for each in found.all("input")]


def test_a_run_like_another_keeps_what_the_form_has_no_place_for(api: Api) -> None:
    layers = [{"type": "dense", "units": 6, "activation": "tanh"}, {"type": "dropout", "rate": 0.3}]
    first = api.train(network={"layers": layers}, training={**QUICK["training"], "l2": 0.02}, split={"test": 0.3})

    shown = page(api, f"/new?dataset={first['dataset']['id']}&like={first['id']}")
    form = {str(each["name"]): each.get("value") or "" for each in shown.all("input")}
    form |= {"target": "label", "activation": "tanh", "optimizer": "adam", "step": "start", "epochs": "2"}
    started = send(api, "/new", **form)

    resolved = api.run(started.headers["location"].rpartition("/")[2])["resolved"]
    assert [layer["type"] for layer in resolved["network"]["layers"]] == ["dense", "dropout"]
    assert (resolved["training"]["l2"], resolved["training"]["epochs"], resolved["split"]["test"]) == (0.02, 2, 0.3)


def test_names_of_users_do_no_harm(api: Api) -> None:
    table = f'"{HOSTILE.replace(chr(34), chr(34) * 2)}",label\n' + "".join(
        f"{i},{HOSTILE[2:]}{i % 2}\n" for i in range(40)
    )
    dataset = api.upload(table.encode(), name=HOSTILE)
    run = api.train(dataset=dataset, name=HOSTILE, **QUICK)

    for path in ("/runs", "/datasets", f"/datasets/{dataset}", f"/new?dataset={dataset}", f"/runs/{run['id']}"):
        assert not page(api, path).all("img")
    for path in ("try", "evaluation", "flow"):
        assert not page(api, f"/runs/{run['id']}/{path}").all("img")


def test_what_is_wrong_is_a_page_in_words(shared: Api, run: Json) -> None:
    assert "no run" in page(shared, "/runs/run_none", 404).text
    assert "layer 9" in page(shared, f"/runs/{run['id']}/layers/9", 422).text
    assert page(shared, "/nowhere", 404).all("h1")
    assert shared.get("/v1/runs/run_none", headers=HTML).headers["content-type"] == "application/problem+json"


def test_a_row_is_walked_through_number_by_number(shared: Api, run: Json) -> None:
    place = f"/runs/{run['id']}/walk"

    found = page(shared, place)
    steps = [str(each["href"]) for each in found.all("a") if "address=" in str(each["href"])]
    weight = page(shared, f"{place}?row=3&address=dW.1[0,0]")

    assert any("dW.1" in each for each in steps)
    for step in dict.fromkeys(steps):
        assert page(shared, step).all("math"), step
    whole = page(shared, next(step for step in steps if "address=all" in step))
    assert "gradient descent" in whole.text
    assert "verdict" in weight.text
    numbers = re.search(r"<mtext>after</mtext></msub>(.*?)</math>", weight.text)
    assert numbers is not None
    plain = numbers[1].replace("·10", "e").translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    before, rate, derivative, after = map(float, re.findall(r"<mn>(.*?)</mn>", plain))
    assert after == pytest.approx(before - rate * derivative, rel=1e-4)
    assert "ok" in weight.text
    factors = [str(each["href"]) for each in weight.all("a") if "dZ.1%5B0%2C0%5D" in str(each["href"])]
    assert page(shared, factors[-1]).all("math")
    assert page(shared, f"{place}?row=3&address={HOSTILE.replace('=', '%3D')}", 422).all("h1")
    page(shared, f"{place}?row=99999", 422)


def test_the_network_is_drawn_with_its_dead_units_crossed_out(api: Api) -> None:
    dead = {"type": "dense", "units": 5, "activation": "relu", "init": {"type": "normal", "std": 1e-12}}
    layers = [{"type": "dense", "units": 20, "activation": "sigmoid"}, dead]
    run = api.train(network={"layers": layers})

    found = page(api, f"/runs/{run['id']}/network?epoch=0")
    numbers = api.get(f"/runs/{run['id']}/network?epoch=0&figure=network&as=csv")

    rows = list(csv.DictReader(io.StringIO(numbers.text)))
    units = {layer: [row for row in rows if row["layer"] == layer] for layer in ("input", "layer 1", "layer 2")}
    assert [len(each) for each in units.values()] == [2, 12, 5], "twelve are drawn of twenty"
    crosses = [each for each in found.all("path") if each["class"] == "cross"]
    assert len(crosses) == sum(row["is dead"] == "True" for row in rows)
    assert "+ 8 more" in found.text
    assert "100 weights" in found.text
    assert [each for each in found.all("line") if each["class"] == "minus"]


def tensor(api: Api, run: Json, step: int, name: str) -> np.ndarray:
    answer = api.get(f"/v1/runs/{run['id']}/steps/{step}?tensors={name}&format=npy")
    return np.load(io.BytesIO(answer.content))


def test_each_unit_of_a_layer_has_its_line(shared: Api, run: Json) -> None:
    place = f"/runs/{run['id']}/layers/1?step=3&figure=units&as=csv"

    rows = list(csv.DictReader(io.StringIO(shared.get(place).text)))

    norms = np.linalg.norm(tensor(shared, run, 3, "dW.1"), axis=0)
    assert [int(row["unit"]) for row in rows] == list(range(6))
    np.testing.assert_allclose([float(row["‖dW‖"]) for row in rows], norms, rtol=1e-5)
    assert {row["state"] for row in rows} <= {"dead", "saturated", "answers"}


def test_a_layers_spread_over_the_training_is_that_of_its_steps(shared: Api, run: Json) -> None:
    place = f"/runs/{run['id']}/layers/1?over=time&figure=W.1&as=csv"

    rows = list(csv.DictReader(io.StringIO(shared.get(place).text)))

    edges = [float(row["from"]) for row in rows] + [float(rows[-1]["to"])]
    expected = np.histogram(tensor(shared, run, 1, "W.1"), bins=edges)[0]
    assert [int(row["step 1"]) for row in rows] == expected.tolist()


def flow(api: Api, run: Json, show: str) -> list[Json]:
    answer = api.get(f"/runs/{run['id']}/flow?show={show}&figure=flow&as=csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_gains_of_a_step_are_those_of_its_tensors_and_sum_to_what_is_lost(shared: Api, run: Json) -> None:
    rows = flow(shared, run, "gains")

    names = [name for name in rows[0] if name != "step"]
    assert names == ["Wᵀ of layer 2", "g′ of layer 1"], "the loss's end first"
    step = int(rows[-1]["step"])
    first, last = (np.linalg.norm(tensor(shared, run, step, name)) for name in ("dZ.1", "dZ.2"))
    assert sum(float(rows[-1][name]) for name in names) == pytest.approx(np.log10(first / last), rel=1e-4)


def test_the_cosine_is_that_of_two_steps_gradients(shared: Api, run: Json) -> None:
    rows = flow(shared, run, "cosine")

    assert rows[0]["layer 1"] == "", "there is none before the first"
    step = int(rows[-1]["step"])
    a, b = (tensor(shared, run, number, "dW.1").ravel() for number in (step - 1, step))
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert float(rows[-1]["layer 1"]) == pytest.approx(expected, rel=1e-4)


def test_a_finding_is_shown_with_its_fix_which_starts_a_run(api: Api) -> None:
    sick = api.train(dataset=api.upload(TABLE), network={"layers": DEEP}, training=SLOW)
    api.get(f"/v1/runs/{sick['id']}/doctor")

    found = page(api, f"/runs/{sick['id']}")
    started = send(api, f"/runs/{sick['id']}/mended", finding="0")

    assert "Critical: vanishing, layer 1" in found.text
    assert "critical: vanishing" in page(api, "/runs").text
    run = api.run(started.headers["location"].rpartition("/")[2])
    starts = [{layer["init"]["type"] for layer in each["resolved"]["network"]["layers"]} for each in (sick, run)]
    assert starts == [{"normal"}, {"glorot_uniform"}]
    assert send(api, f"/runs/{sick['id']}/mended", finding="99").status_code == 422


def test_a_run_is_forked_named_and_deleted_by_its_page(api: Api) -> None:
    run = api.train()
    place = f"/runs/{run['id']}"

    forked = send(api, f"{place}/forked", at="epoch:2", epochs="5", learning_rate="0.02")
    assert forked.status_code == 303, forked.text
    fork = api.run(forked.headers["location"].rpartition("/")[2])
    assert (fork["parent"]["run"], fork["resolved"]["training"]["epochs"]) == (run["id"], 5)
    assert fork["resolved"]["training"]["optimizer"]["learning_rate"] == 0.02
    assert "no moment" in read(send(api, f"{place}/forked", at="epoch:99")).text
    assert "expected a number" in read(send(api, f"{place}/forked", epochs="many")).text

    send(api, f"{place}/named", name=HOSTILE, notes="mind this", tags="keep, first")
    named = api.run(run["id"])
    assert (named["name"], named["notes"], named["tags"]) == (HOSTILE, "mind this", ["first", "keep"])
    assert "mind this" in page(api, place).text
    assert send(api, f"{place}/named", name="").status_code == 422

    asked = read(send(api, f"{place}/deleted", sure="no"))
    assert "can't be taken back" in asked.text
    assert api.run(run["id"])["name"] == HOSTILE, "it is asked once"
    assert send(api, f"{place}/deleted", sure="yes").headers["location"] == "/runs"
    assert api.get(f"/v1{place}").status_code == 404
    assert send(api, f"/runs/{fork['id']}/deleted", sure="yes").status_code == 409, "it waits"


def test_runs_are_compared_by_what_differs_and_by_their_curves(api: Api) -> None:
    dataset = api.upload()
    quick, slow = (
        api.train(dataset=dataset, name=name, training={**QUICK["training"], "epochs": epochs})
        for name, epochs in (("quick", 3), ("slow", 5))
    )

    found = page(api, f"/compare?run={quick['id']}&run={slow['id']}")

    assert "training.epochs" in found.text
    assert "training.batch_size" not in found.text
    assert len([each for each in found.all("polyline") if each["class"] in ("s0", "s1")]) >= 4
    assert {each.get("value") for each in page(api, "/runs").all("input") if each.get("name") == "run"} == {
        quick["id"], slow["id"],
    }  # fmt: skip
    assert "Nothing: their specs are the same" in page(api, f"/compare?run={quick['id']}&run={quick['id']}").text
    page(api, f"/compare?run={quick['id']}", 422)
    flows = page(api, f"/compare?run={quick['id']}&run={slow['id']}&flow=gradient")
    scales = re.findall(r'<text class="tick end" x="78.0" y="[^"]*">(-[0-9.]+)</text>', flows.text)
    assert len(scales) == 2
    assert len(set(scales)) == 1, "both heat maps have one scale"


def test_every_figure_of_a_run_is_taken_along_as_a_picture_and_as_numbers(shared: Api, run: Json) -> None:
    numbers = shared.get(f"/runs/{run['id']}?figure=loss&as=csv")
    picture = shared.get(f"/runs/{run['id']}?scale=log&figure=loss&as=svg")

    losses = shared.get(f"/v1/runs/{run['id']}/losses").json()
    rows = list(csv.DictReader(io.StringIO(numbers.text)))
    assert [float(row["train.loss"]) for row in rows] == losses["train.loss"]
    assert [int(row["epoch"]) for row in rows] == losses["epoch"]
    assert ElementTree.fromstring(picture.content).tag == "{http://www.w3.org/2000/svg}svg"
    assert "--s0: #" in picture.text, "its colours come along"
    assert "prefers-color-scheme" not in picture.text, "and are light, as what shows it may be"
    assert (picture.headers["content-type"], picture.headers["content-security-policy"]) == ("image/svg+xml", POLICY)
    assert problem(shared.get(f"/runs/{run['id']}?figure=none&as=svg"), 404)
    page(shared, f"/runs/{run['id']}?figure=loss&as=pdf", code=422)


def test_a_stretch_of_epochs_is_shown_and_the_curve_smoothed(shared: Api, run: Json) -> None:
    some = shared.get(f"/runs/{run['id']}?from=2&to=3&figure=loss&as=csv")
    smooth = shared.get(f"/runs/{run['id']}?smooth=0.6")

    assert [row["epoch"] for row in csv.DictReader(io.StringIO(some.text))] == ["2", "3"]
    assert '<g class="faint">' in smooth.text
    assert smoothed([4.0, None, 2.0], 0.5) == [4.0, None, pytest.approx((0.5 * 2.0 + 0.25 * 4.0) / 0.75)]


def test_runs_come_a_page_at_a_time(api: Api) -> None:
    dataset = api.upload()
    for _ in range(27):
        api.create(dataset=dataset)

    first = page(api, "/runs")
    more = next(each["href"] for each in first.all("a") if "cursor=" in (each["href"] or ""))
    second = page(api, str(more))

    assert [len([a for a in each.all("a") if "/runs/run_" in (a["href"] or "")]) for each in (first, second)] == [25, 2]


def test_ten_thousand_runs_come_a_page_at_a_time_in_any_order(api: Api) -> None:
    run = api.train()
    copied(api.settings.data, run["id"], 10_000)

    for order in ("-created_at", "best", "-best", "name"):
        shown, seen = f"/runs?order_by={order}", set()
        for _ in range(3):
            found = page(api, shown)
            links = {str(each["href"]) for each in found.all("a") if str(each["href"]).startswith("/runs/run_")}
            assert len(links) == 25
            assert not links & seen
            seen |= links
            shown = next(str(each["href"]) for each in found.all("a") if "cursor=" in str(each["href"]))
    assert "No run is like that" in page(api, "/runs?name=nothing").text


def test_the_pages_scripts_and_sheets_are_ours_or_the_packages(shared: Api) -> None:
    found = page(shared, "/docs")

    for each in [*found.all("script"), *[link for link in found.all("link") if link["rel"] == "stylesheet"]]:
        answer = shared.get(str(each.get("src") or each.get("href")))
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))


def test_a_server_with_a_token_asks_for_it_and_remembers(tmp_path: Path) -> None:
    token = "open-sesame-open-sesame"
    with Api(tmp_path, token=token) as api:
        sent_away = api.get("/runs", headers=HTML, follow_redirects=False)
        assert (sent_away.status_code, sent_away.headers["location"]) == (303, "/login")
        assert api.get("/runs").status_code == 401
        assert read(send(api, "/login", token="wrong")).text.count("That is not it")
        passed = send(api, "/login", token=token)
        assert passed.status_code == 303
        cookie = passed.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert token not in cookie
        pair = cookie.partition(";")[0]
        assert api.get("/runs", headers={**HTML, "Cookie": pair}).status_code == 200
        assert api.get("/v1/runs", headers={"Cookie": f"{pair}0"}).status_code == 401
        assert api.get("/v1/runs", headers={"Cookie": b"chainrule=\xfc"}).status_code == 401


@pytest.mark.parametrize("is_stripped", [True, False], ids=["stripped", "left"])
def test_every_link_stays_under_the_path_that_a_proxy_shows(tmp_path: Path, is_stripped: bool) -> None:
    """The proxy takes the path off, or leaves it."""
    root, token = "/tools/chainrule", "open-sesame-open-sesame"
    shown = "" if is_stripped else root
    with Api(tmp_path, root_path=root, token=token) as api:
        sent_away = api.get(f"{shown}/runs", headers=HTML, follow_redirects=False)
        assert sent_away.headers["location"] == f"{root}/login"
        passed = api.post(f"{shown}/login", data={"token": token}, headers=HTML, follow_redirects=False)
        assert passed.headers["location"] == f"{root}/runs"
        headers = {**HTML, "Cookie": passed.headers["set-cookie"].partition(";")[0]}
        files = {"file": ("t.csv", TINY, "text/csv")}
        made = api.post(f"{shown}/datasets", files=files, headers=headers, follow_redirects=False).headers["location"]
        form = {"dataset": made.rpartition("/")[2], "target": "label", "epochs": "2", "step": "start"}
        run = api.post(f"{shown}/new", data=form, headers=headers, follow_redirects=False).headers["location"]
        api.work()

        for place in (made, run, f"{root}/learn", f"{root}/playground", f"{run}/flow", f"{run}/walk", f"{root}/docs"):
            found = read(api.get(shown + place.removeprefix(root), headers=headers))
            addresses = [
                str(named[name])
                for _, named in found.tags
                for name in ("href", "src", "action", "data-live", "data-events", "data-openapi")
                if named.get(name)
            ]
            outside = [each for each in addresses if not each.startswith((f"{root}/", "#", "?", "data:"))]
            assert outside == [], place
        bearer = {"Authorization": f"Bearer {token}"}
        answer = api.post(
            f"{shown}/v1/datasets", content=b"x,y\n1,2\n3,4\n", headers={**bearer, "Content-Type": "text/csv"}
        )
        assert answer.headers["location"].startswith(f"{root}/v1/datasets/ds_")
        assert api.get(f"{shown}/v1/runs/run_none", headers=bearer).json()["code"] == "not_found"
        assert api.get(f"{shown}{run.removeprefix(root)}?figure=loss&as=csv", headers=headers).status_code == 200


def test_a_form_of_another_site_is_refused(api: Api) -> None:
    answer = api.post("/new", data={"step": "start"}, headers={**HTML, "Origin": "http://elsewhere.example"})

    assert answer.status_code == 403
