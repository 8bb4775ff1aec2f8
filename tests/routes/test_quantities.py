"""The catalogue of inspections over HTTP: what it lists can be asked for, of stateless networks and of runs."""

import io
import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load as load_safetensors

from engine.inspection import QUANTITIES
from tests.routes.test_inspections import HEADS, question
from tests.support import Api, Json, problem

CLASSES = HEADS[3]
NPY, NPZ = "application/x-npy", "application/x-npz"
SAFETENSORS, ARROW = "application/vnd.safetensors", "application/vnd.apache.arrow.stream"


def asked(*quantities: str, **more: Any) -> Json:
    return {**question(*CLASSES), "quantities": list(quantities), **more}


def options_of(body: Json) -> Json:
    """What every quantity wants: the step doubles each weight."""
    after = {name: (2 * np.array(values)).tolist() for name, values in body["parameters"].items()}
    return {"learning_rate": 0.1, "after": after, "l1": 0.01, "l2": 0.1}


def tensors(api: Api, body: Json, path: str = "/v1/inspect") -> Json:
    answer = api.post(path, body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()["tensors"]
    return found


def accepting(api: Api, media_type: str, body: Json, path: str = "/v1/inspect", **params: str) -> httpx.Response:
    return api.post(path, body, headers={"Accept": media_type}, params=params)


def test_everything_listed_can_be_asked_for(shared: Api) -> None:
    entries = shared.get("/v1/inspection/quantities").json()["items"]
    names = [entry["name"] for entry in entries]

    found = tensors(shared, asked(*names, options=options_of(asked())))

    assert [entry["name"] for entry in entries if entry["kind"] == "quantity"] == list(QUANTITIES)
    assert {"loss", *(name.partition(".")[0] for name in found)} == set(names)
    assert all(entry["equation"] and entry["shape"] and entry["cost"] and entry["source"] for entry in entries)


def test_a_quantity_of_the_examples_is_made_of_what_the_pass_gives(shared: Api) -> None:
    found = {name: np.array(t["values"]) for name, t in tensors(shared, asked("A", "dZ", "example_gradient")).items()}

    for i in range(6):
        np.testing.assert_allclose(
            found["example_gradient.W.2"][i], np.outer(found["A.1"][i], found["dZ.2"][i]), rtol=1e-12
        )
    np.testing.assert_array_equal(found["example_gradient.b.2"], found["dZ.2"])


def test_a_number_stands_in_values_whatever_the_reduction(shared: Api) -> None:
    found = [tensors(shared, asked("norm_test", reduce=reduce))["norm_test"] for reduce in ("full", "stats", "topk")]

    assert found[0] == found[1] == found[2]
    assert found[0]["shape"] == []
    assert found[0]["values"] > 0


def test_columns_turn_parameters_after_the_step_too(shared: Api) -> None:
    rows, columns = asked("alpha"), {**question(*CLASSES, columns=True), "quantities": ["alpha"]}

    ours = tensors(shared, rows | {"options": options_of(rows)})
    textbooks = tensors(shared, columns | {"orientation": "columns", "options": options_of(columns)})

    assert textbooks["alpha"]["values"] == pytest.approx(ours["alpha"]["values"], rel=1e-9)


WRONG: dict[str, tuple[Json, str]] = {
    "no learning rate": ({"quantities": ["cabs"]}, "/options/learning_rate"),
    "no second point": ({"quantities": ["alpha"]}, "/options/after"),
    "a misshapen second point": ({"quantities": ["alpha"], "options": {"after": {"W.1": [[1]]}}}, "/options/after"),
    "no penalty": ({"quantities": ["penalty"]}, "/options/l2"),
    "a learning rate of 0": ({"options": {"learning_rate": 0}}, "/options/learning_rate"),
    "an unknown option": ({"options": {"rate": 1}}, "/options/rate"),
    "a part that is not there": ({"quantities": ["loss", "variance.W.3"]}, "/quantities/1"),
    "an unknown reduction": ({"reduce": "most"}, "/reduce"),
    "an unknown option of a reduction": ({"reduce": {"type": "norm", "k": 3}}, "/reduce/k"),
    "none of the largest": ({"reduce": {"type": "topk", "k": 0}}, "/reduce/k"),
    "other bins": ({"reduce": {"type": "hist", "bins": "log:3"}}, "/reduce/bins"),
    "a range that ends before it begins": ({"reduce": {"type": "slice", "rows": [2, 2]}}, "/reduce/rows"),
    "a single row": ({"quantities": ["norm_test"], "X": [[1, 2, 3, 4]], "Y": [[1, 0, 0]]}, "/X"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_question_that_can_not_be_is_refused_at_its_place(shared: Api, name: str) -> None:
    change, pointer = WRONG[name]

    answer = problem(shared.post("/v1/inspect", {**question(*CLASSES), **change}), 422)

    assert answer["errors"][0]["pointer"] == pointer


# Reductions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reduce", "keys"),
    [
        ("hist", {"counts", "edges", "zeros"}),
        ({"type": "hist", "bins": "linear:5"}, {"counts", "edges", "zeros"}),
        ({"type": "topk", "k": 2}, {"top"}),
        ({"type": "slice", "rows": [0, 2], "cols": [1, 3]}, {"values"}),
        ({"type": "norm"}, {"norm"}),
    ],
)
def test_a_reduction_is_named_alone_or_with_options(shared: Api, reduce: Any, keys: set[str]) -> None:
    found = tensors(shared, asked("dW.1", reduce=reduce))["dW.1"]

    assert set(found) == keys | {"shape", "non_finite"}
    assert found["shape"] == [4, 5]


def test_the_largest_elements_are_told_by_place(shared: Api) -> None:
    whole = np.array(tensors(shared, asked("dW.1"))["dW.1"]["values"])

    top = tensors(shared, asked("dW.1", reduce={"type": "topk", "k": 2}))["dW.1"]["top"]

    assert top[0]["value"] == whole[tuple(top[0]["index"])]
    assert abs(top[0]["value"]) == np.abs(whole).max()
    assert top[0]["share"] == pytest.approx(top[0]["value"] ** 2 / np.square(whole).sum())


# Files --------------------------------------------------------------------------------------------------------------


def test_one_tensor_is_an_npy_file(shared: Api) -> None:
    expected = tensors(shared, asked("example_gradient.W.1"))["example_gradient.W.1"]["values"]

    answer = accepting(shared, NPY, asked("example_gradient.W.1"))

    assert answer.headers["content-type"] == NPY
    np.testing.assert_array_equal(np.load(io.BytesIO(answer.content), allow_pickle=False), expected)
    assert json.loads(answer.headers["Chainrule-Inspection"])["dtype"] == "float64"


def test_several_tensors_are_an_npz_or_a_safetensors_file(shared: Api) -> None:
    body = asked("dW", "norm_test")
    expected = tensors(shared, body)

    npz = dict(np.load(io.BytesIO(accepting(shared, NPZ, body).content), allow_pickle=False))
    safetensors = load_safetensors(accepting(shared, SAFETENSORS, body).content)

    for found in (npz, safetensors):
        assert set(found) == set(expected)
        for name, array in found.items():
            assert list(array.shape) == expected[name]["shape"]
            np.testing.assert_array_equal(array, expected[name]["values"])


def test_a_file_holds_every_element_unless_a_slice_is_asked_for(shared: Api) -> None:
    body = {name: value for name, value in asked("dW.1").items() if name != "reduce"}
    cut = body | {"reduce": {"type": "slice", "rows": [1, 3]}}

    shapes = [np.load(io.BytesIO(accepting(shared, NPY, each).content)).shape for each in (body, cut)]

    assert shapes == [(4, 5), (2, 5)]


@pytest.mark.parametrize("reduce", ["full", "stats", "topk", "hist", {"type": "slice", "rows": [0, 1]}])
def test_an_arrow_stream_has_a_row_for_each_tensor_and_a_column_for_what_is_said(shared: Api, reduce: Any) -> None:
    body = asked("dW", "db.2", "norm_test", reduce=reduce)
    expected = tensors(shared, body)

    table = pa.ipc.open_stream(accepting(shared, ARROW, body).content).read_all()

    about = json.loads(table.schema.metadata[b"chainrule"])
    assert about["loss"] == pytest.approx(shared.post("/v1/inspect", body).json()["loss"])
    assert table["tensor"].to_pylist() == list(expected)
    for row, tensor in zip(table.to_pylist(), expected.values(), strict=True):
        said = {key: value for key, value in row.items() if key in tensor and key != "values"}
        assert said == {key: value for key, value in tensor.items() if key != "values"}
        if "values" in tensor:
            assert row["values"] == np.ravel(tensor["values"]).tolist()


def test_format_chooses_without_a_header(shared: Api) -> None:
    answer = shared.post("/v1/inspect", asked("dW"), params={"format": "npz"})

    assert answer.headers["content-type"] == NPZ


def test_a_form_that_is_not_offered_is_406(shared: Api) -> None:
    problem(accepting(shared, "text/html", asked("dW")), 406)


def test_an_npy_file_of_several_tensors_is_refused(shared: Api) -> None:
    answer = problem(accepting(shared, NPY, asked("dW")), 422)

    assert answer["errors"][0]["allowed"] == ["dW.1", "dW.2"]


@pytest.mark.parametrize("media_type", [NPY, NPZ, SAFETENSORS])
def test_a_file_of_tensors_takes_no_statistics(shared: Api, media_type: str) -> None:
    answer = problem(accepting(shared, media_type, asked("dW.1", reduce="stats")), 422)

    assert answer["errors"][0]["pointer"] == "/reduce"


def test_what_is_too_much_for_json_names_the_forms_that_would_do(api_with_small_limits: Api) -> None:
    few = asked("example_gradient.b.1")
    few["X"], few["Y"] = few["X"][:5], few["Y"][:5]

    answer = problem(api_with_small_limits.post("/v1/inspect", few), 413)

    assert answer["limit"] == "inspect_numbers"
    assert "topk" in answer["detail"]
    assert NPZ in answer["detail"]
    assert accepting(api_with_small_limits, NPY, few).status_code == 200
    assert api_with_small_limits.post("/v1/inspect", few | {"reduce": "norm"}).status_code == 200


@pytest.mark.parametrize("media_type", [NPY, NPZ, SAFETENSORS, ARROW])
def test_a_file_has_its_limit_too(api_with_small_limits: Api, media_type: str) -> None:
    for quantity in ("A", "example_gradient.W.1"):
        few = asked(quantity)
        few["X"], few["Y"] = few["X"][:5], few["Y"][:5]

        assert problem(accepting(api_with_small_limits, media_type, few), 413)["limit"] == "inspect_answer_bytes"


# Under a run --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(training={"epochs": 3, "batch_size": 8, "l2": 0.05, "l1": 0.01, "dtype": "float32"})


ROWS = {"dataset_rows": {"part": "train", "limit": 8}}


def test_a_float32_run_is_looked_into_in_float64_unless_told_otherwise(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/inspect"

    found = [
        shared.post(path, {**ROWS, "quantities": ["variance"], "dtype": dtype}).json() for dtype in (None, "float32")
    ]
    plain = shared.post(path, {**ROWS, "quantities": ["dW"]}).json()

    assert [each["dtype"] for each in found] == ["float64", "float32"]
    assert plain["dtype"] == "float32"


def test_the_penalty_is_the_runs_own(shared: Api, run: Json) -> None:
    body = {**ROWS, "quantities": ["W.1", "penalty"], "reduce": "full"}

    found = tensors(shared, body, f"/v1/runs/{run['id']}/inspect")

    W = np.array(found["W.1"]["values"])
    np.testing.assert_allclose(found["penalty.W.1"]["values"], 0.01 * np.sign(W) + 0.05 * W, rtol=1e-9)


def test_alpha_lies_between_two_moments_of_the_run(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/inspect"
    body = {"step": {"epoch": 1, "step": 1}, "at": 0, "quantities": ["alpha"]}

    step, none = (tensors(shared, {**body, "options": {"after": after}}, path)["alpha"]["values"] for after in (1, 0))

    assert none == -1
    assert step > -1


def test_what_is_derived_for_sgd_says_so_under_another_optimizer(shared: Api, run: Json) -> None:
    body = {**ROWS, "quantities": ["cabs"], "options": {"learning_rate": 0.01}}

    answer = shared.post(f"/v1/runs/{run['id']}/inspect", body).json()

    assert answer["warnings"] == ["cabs hold for sgd without momentum, and this run learns by adam"]


def test_a_moment_after_the_step_that_is_not_there_is_404(shared: Api, run: Json) -> None:
    body = {**ROWS, "quantities": ["alpha"], "options": {"after": "epoch:99"}}

    problem(shared.post(f"/v1/runs/{run['id']}/inspect", body), 404)
