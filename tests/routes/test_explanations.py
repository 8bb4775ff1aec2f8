"""Explanations, gain ledgers and paths over HTTP: the inspection's own numbers, in every form."""

from xml.etree import ElementTree

import pytest

from service.schemas.inspections import NETWORK_EXAMPLE
from tests.support import TINY, Api, Json, problem

BATCH = {"dataset_rows": {"part": "train", "limit": 6}}


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(dataset=shared.upload(TINY))


def inspected(api: Api, run: Json, name: str) -> list[list[float]]:
    body = {**BATCH, "quantities": [name], "reduce": "full", "dtype": "float64"}
    found = api.post(f"/v1/runs/{run['id']}/inspect", body).json()["tensors"][name]["values"]
    assert isinstance(found, list)
    return found


def test_a_number_of_a_run_is_explained_as_the_inspection_gives_it(shared: Api, run: Json) -> None:
    found = shared.get(f"/v1/runs/{run['id']}/explain/dW.1[0,1]?limit=6").json()

    assert found["value"] == pytest.approx(inspected(shared, run, "dW.1")[0][1], rel=1e-12)
    assert (found["run"], found["address"], len(found["row_numbers"])) == (run["id"], "dW.1[0,1]", 6)
    assert {line["kind"] for line in found["sections"][0]["lines"]} >= {"equation", "result"}


def test_a_page_links_each_number_to_its_own_page(shared: Api, run: Json) -> None:
    base = f"/v1/runs/{run['id']}/explain/"
    answer = shared.get(f"{base}dW.2[0,0]?rows=0,1,2", headers={"Accept": "text/html"})

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = ElementTree.fromstring(answer.text.removeprefix("<!DOCTYPE html>\n"))
    links = [each.get("href") for each in page.iter() if each.get("href")]
    assert links
    for link in links[:4]:
        followed = shared.get(base + str(link), headers={"Accept": "text/html"})
        assert followed.status_code == 200, (link, followed.text)


@pytest.mark.parametrize(
    ("form", "media_type", "begins"),
    [("markdown", "text/markdown", "# loss"), ("latex", "application/x-latex", "\\documentclass")],
)
def test_it_comes_in_texts_too(shared: Api, run: Json, form: str, media_type: str, begins: str) -> None:
    answer = shared.get(f"/v1/runs/{run['id']}/explain/loss?format={form}")

    assert answer.headers["content-type"].startswith(media_type)
    assert answer.text.startswith(begins)


def test_a_small_net_of_the_request_is_derived_whole(shared: Api) -> None:
    found = shared.post("/v1/explain", {**NETWORK_EXAMPLE, "example": 1}).json()

    assert [section["title"] for section in found["sections"]] == ["Forward", "Loss", "Backward", "Update"]
    problem(shared.post("/v1/explain", {**NETWORK_EXAMPLE, "convention": "mean"}), 422)


def test_rows_that_are_sent_are_explained(shared: Api, run: Json) -> None:
    rows = [{"x": 1, "y": 2, "label": "odd"}, {"x": 4, "y": 0, "label": "even"}, {"x": 3, "y": 3, "label": "odd"}]

    losses = shared.post(f"/v1/runs/{run['id']}/inspect", {"rows": rows, "dtype": "float64"}).json()["example_losses"]
    found = shared.post(f"/v1/runs/{run['id']}/explain", {"rows": rows, "address": "loss[2]"}).json()

    assert found["value"] == pytest.approx(losses[2], rel=1e-12)


def test_the_gain_ledger_sums_to_the_whole(shared: Api, run: Json) -> None:
    found = shared.post(f"/v1/runs/{run['id']}/gains", BATCH).json()
    stateless = shared.post("/v1/gains", {**NETWORK_EXAMPLE, "end": "input"}).json()

    for each in (found, stateless):
        assert sum(gain["gain"] for gain in each["gains"]) == pytest.approx(each["total"], abs=1e-12)
        assert abs(each["residual"]) < 1e-12
    assert stateless["end"] == "dA.0"


def test_the_paths_of_a_gradient_sum_to_it(shared: Api, run: Json) -> None:
    body = {**BATCH, "address": "dW.1[0,1]", "group": "unit", "most": 1000}
    found = shared.post(f"/v1/runs/{run['id']}/paths", body).json()
    single = shared.post("/v1/paths", {**NETWORK_EXAMPLE, "address": "dW.1[0,0]"}).json()

    assert found["gradient"] == pytest.approx(inspected(shared, run, "dW.1")[0][1], rel=1e-12)
    assert found["shown"] == pytest.approx(found["gradient"], rel=1e-10)
    assert single["contributions"][0]["factors"]


@pytest.mark.parametrize("path", ["explain/dW.9[0,0]", "explain/nothing", "explain/dW.1[99,0]"])
def test_a_number_that_is_not_there_is_refused_with_those_that_are(shared: Api, run: Json, path: str) -> None:
    [fault] = problem(shared.get(f"/v1/runs/{run['id']}/{path}"), 422)["errors"]

    assert "address" in fault["pointer"] or fault["parameter"]


def test_a_form_that_is_not_offered_is_refused(shared: Api, run: Json) -> None:
    problem(shared.get(f"/v1/runs/{run['id']}/explain/loss", headers={"Accept": "image/png"}), 406)


def test_a_layer_that_is_not_written_out_is_named(shared: Api) -> None:
    layers = [NETWORK_EXAMPLE["network"]["layers"][0], {"type": "layer_norm"}, NETWORK_EXAMPLE["network"]["layers"][1]]
    W_1, b_1, W_2, b_2 = NETWORK_EXAMPLE["parameters"].values()
    parameters = {"W.1": W_1, "b.1": b_1, "gamma.2": [1.0, 1.0], "beta.2": [0.0, 0.0], "W.3": W_2, "b.3": b_2}
    body = {**NETWORK_EXAMPLE, "network": {"layers": layers}, "parameters": parameters, "address": "dW.1[0,0]"}

    assert "layer_norm" in problem(shared.post("/v1/paths", body), 422)["detail"]
    assert shared.post("/v1/explain", body).status_code == 200
