import json
from typing import Any

import numpy as np
import pytest

from tests.support import Api, Json, problem
from tests.textbook import backpropagation

random = np.random.default_rng(11)
HEADS = [
    ("half_squared_error", "identity", random.normal(size=(6, 2))),
    ("binary_cross_entropy", "sigmoid", random.integers(2, size=(6, 1)) * 1.0),
    ("binary_cross_entropy", "sigmoid", random.integers(2, size=(6, 3)) * 1.0),
    ("cross_entropy", "softmax", np.eye(3)[random.integers(3, size=6)]),
]


def question(loss: str, activation: str, Y: Any, *, columns: bool = False, **more: Any) -> Json:
    """A stateless inspection of a net with one hidden layer of tanh."""
    draw = np.random.default_rng(3)
    shapes = {"W.1": (4, 5), "b.1": (5,), "W.2": (5, Y.shape[1]), "b.2": (Y.shape[1],)}
    arrays = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    arrays["X"], arrays["Y"] = draw.normal(size=(6, 4)), Y
    sent = {name: (array.T if columns else array).tolist() for name, array in arrays.items()}
    return {
        "network": {
            "layers": [
                {"type": "dense", "units": 5, "activation": "tanh"},
                {"type": "dense", "units": Y.shape[1], "activation": activation},
            ]
        },
        "loss": loss,
        "parameters": {name: sent[name] for name in shapes},
        "X": sent["X"],
        "Y": sent["Y"],
        "reduce": "full",
        **more,
    }


def expected(body: Json, head: str) -> dict[str, Any]:
    """What the textbook says of a question asked with rows."""
    parameters = {name: np.array(values).T for name, values in body["parameters"].items()}
    return backpropagation(parameters, ["tanh", head], np.array(body["X"]).T, np.array(body["Y"]).T)


@pytest.mark.parametrize(("loss", "head", "Y"), HEADS)
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
def test_every_tensor_is_the_textbooks(shared: Api, loss: str, head: str, Y: Any, columns: bool) -> None:
    truth = expected(question(loss, head, Y), head)
    body = question(loss, head, Y, columns=columns, orientation="columns" if columns else "rows")

    answer = shared.post("/v1/inspect", body).json()

    assert answer["loss"] == pytest.approx(truth["loss"], rel=1e-12)
    assert set(answer["tensors"]) == set(truth) - {"losses", "loss"}
    for name, tensor in answer["tensors"].items():
        want = truth[name] if columns or truth[name].ndim == 1 else truth[name].T
        assert tensor["shape"] == list(want.shape)
        np.testing.assert_allclose(tensor["values"], want, rtol=1e-10, atol=1e-14, err_msg=name)


@pytest.mark.parametrize(("loss", "head", "Y"), HEADS)
def test_the_mean_convention_carries_one_over_m_in_dz_and_not_in_dw(shared: Api, loss: str, head: str, Y: Any) -> None:
    own = shared.post("/v1/inspect", question(loss, head, Y)).json()["tensors"]
    mean = shared.post("/v1/inspect", question(loss, head, Y, convention="mean")).json()["tensors"]

    for name in ("dZ.1", "dZ.2", "dA.0", "dA.1", "dA.2"):
        np.testing.assert_allclose(np.array(mean[name]["values"]) * 6, own[name]["values"], rtol=1e-12)
    for name in ("dW.1", "db.1", "dW.2", "db.2"):
        np.testing.assert_allclose(mean[name]["values"], own[name]["values"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("loss", "head", "Y"), HEADS)
def test_the_shortcut_and_the_general_way_agree(shared: Api, loss: str, head: str, Y: Any) -> None:
    found = [shared.post("/v1/inspect", question(loss, head, Y, head=way)).json() for way in ("shortcut", "general")]

    assert [each["head"] for each in found] == ["shortcut", "general"]
    for name in ("dZ.2", "dW.1", "dA.0"):
        ours, theirs = (each["tensors"][name]["values"] for each in found)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_check_agrees_and_tells_both_times(shared: Api) -> None:
    loss, head, Y = HEADS[3]
    body = {name: value for name, value in question(loss, head, Y).items() if name != "reduce"}

    answer = shared.post("/v1/check", {**body, "targets": ["W.1[0,3]", "b.2[1]", "A.0[5,2]"]}).json()

    assert [nudge["address"] for nudge in answer["nudges"]] == ["W.1[0,3]", "b.2[1]", "A.0[5,2]"]
    assert answer["verdicts"] == {"ok": 3}
    assert answer["worst_relative_error"] < 1e-13
    assert {nudge["method"] for nudge in answer["nudges"]} == {"complex"}
    assert min(nudge["digits"] for nudge in answer["nudges"]) > 13
    assert answer["backpropagation_seconds"] > 0
    assert answer["nudging_seconds"] > 0


def test_a_check_by_differences_tells_the_same_to_fewer_digits(shared: Api) -> None:
    loss, head, Y = HEADS[3]
    body = {name: value for name, value in question(loss, head, Y).items() if name != "reduce"}

    answer = shared.post("/v1/check", {**body, "targets": ["Z.1[2,3]", "W.2"], "method": "central"}).json()

    assert answer["verdicts"] == {"ok": 1 + 5 * 3}
    assert answer["forward_passes"] >= 4 * 16
    assert max(nudge["digits"] for nudge in answer["nudges"]) < 14


def test_whole_tensors_are_certified_along_directions(shared: Api) -> None:
    loss, head, Y = HEADS[1]
    body = {name: value for name, value in question(loss, head, Y).items() if name != "reduce"}

    answer = shared.post("/v1/check", {**body, "targets": ["W", "b", "Z", "A"], "method": "direction"}).json()

    names = [nudge["address"] for nudge in answer["nudges"]]
    assert names == ["W.1", "W.2", "b.1", "b.2", "Z.1", "Z.2", "A.0", "A.1", "A.2"]
    assert answer["verdicts"] == {"ok": 9}


WEIGHTS = [2, 0, 1, 3, 0.5, 1]


@pytest.mark.parametrize(("loss", "head", "Y"), HEADS)
def test_a_weight_of_two_is_the_row_twice(shared: Api, loss: str, head: str, Y: Any) -> None:
    body = question(loss, head, Y, weights=[2, 1, 1, 1, 1, 1], quantities=["dW", "db"])
    doubled = {**body, "X": [body["X"][0], *body["X"]], "Y": [body["Y"][0], *body["Y"]], "weights": None}

    found, twice = (shared.post("/v1/inspect", each).json() for each in (body, doubled))

    assert found["loss"] == pytest.approx(twice["loss"], rel=1e-12)
    for name, tensor in found["tensors"].items():
        np.testing.assert_allclose(tensor["values"], twice["tensors"][name]["values"], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("loss", "head", "Y"), HEADS)
def test_weighted_gradients_pass_the_check(shared: Api, loss: str, head: str, Y: Any) -> None:
    body = {name: value for name, value in question(loss, head, Y).items() if name != "reduce"}

    plain, weighted = (shared.post("/v1/check", {**body, "weights": weights}).json() for weights in (None, WEIGHTS))

    assert set(weighted["verdicts"]) <= {"ok", "below_noise"}
    assert weighted["loss"] != pytest.approx(plain["loss"])


def test_a_check_without_targets_samples_every_tensor(shared: Api) -> None:
    loss, head, Y = HEADS[0]
    body = {name: value for name, value in question(loss, head, Y).items() if name != "reduce"}

    answer = shared.post("/v1/check", {**body, "samples": 2}).json()

    names = {nudge["address"].partition("[")[0] for nudge in answer["nudges"]}
    assert names == {"W.1", "b.1", "W.2", "b.2", "A.0"}


def test_numbers_that_are_not_finite_are_null_and_counted(shared: Api) -> None:
    loss, _, Y = HEADS[0]
    body = question(loss, "identity", Y)
    body["X"][0][0] = 1e200
    body["parameters"]["W.2"] = (np.array(body["parameters"]["W.2"]) * 1e300).tolist()

    answer = shared.post("/v1/inspect", body)

    tensors = answer.json()["tensors"]
    assert answer.status_code == 200
    assert answer.json()["loss"] is None
    assert tensors["dW.2"]["non_finite"] + tensors["dW.1"]["non_finite"] > 0
    assert any(value is None for row in tensors["dW.1"]["values"] for value in row)


WRONG = {
    "a row of another length": ({"X": [[1, 2, 3, 4], [1]]}, "/X"),
    "Y for other rows": ({"Y": [[1, 2]]}, "/Y"),
    "a missing parameter": ({"parameters": {}}, "/parameters"),
    "a misshapen parameter": ({"parameters.W.1": [[1]]}, "/parameters/W.1"),
    "an unknown quantity": ({"quantities": ["dQ"]}, "/quantities/0"),
    "an unknown field": ({"model": 1}, "/model"),
    "an output": ({"network": {"layers": [{"type": "dense", "units": 2}], "output": "auto"}}, "/network/output"),
    "no layer": ({"network": {"layers": []}}, "/network/layers"),
    "weights for other rows": ({"weights": [1, 2]}, "/weights"),
    "a weight below 0": ({"weights": [1, 1, 1, 1, 1, -1]}, "/weights/5"),
    "weights of nothing": ({"weights": [0, 0, 0, 0, 0, 0]}, "/weights"),
    "targets outside 0 to 1": ({"loss": "binary_cross_entropy"}, "/Y"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_question_that_can_not_be_is_refused_at_its_place(shared: Api, name: str) -> None:
    change, pointer = WRONG[name]
    body = question(*HEADS[0])
    for key, value in change.items():
        if key.startswith("parameters."):
            body["parameters"][key.removeprefix("parameters.")] = value
        else:
            body[key] = value

    faults = problem(shared.post("/v1/inspect", body), 422)["errors"]

    assert any(fault["pointer"].startswith(pointer) for fault in faults), faults


@pytest.mark.parametrize("cell", ["0.5", True, None, {}, float("nan"), float("inf")])
@pytest.mark.parametrize("where", ["parameters", "X", "Y"])
def test_only_finite_numbers_are_numbers(shared: Api, where: str, cell: object) -> None:
    body = question(*HEADS[0])
    rows = body["parameters"]["W.1"] if where == "parameters" else body[where]
    rows[0][0] = cell

    answer = shared.post("/v1/inspect", content=json.dumps(body), headers={"Content-Type": "application/json"})

    faults = problem(answer, 422)["errors"]
    assert all(fault["pointer"].startswith(f"/{where}") for fault in faults), faults


def test_parameters_nested_too_deep_are_refused(shared: Api) -> None:
    deep = "[" * 500 + "]" * 500
    body = json.dumps(question(*HEADS[0]) | {"parameters": {"W.1": "here"}}).replace('"here"', deep)

    answer = shared.post("/v1/inspect", content=body, headers={"Content-Type": "application/json"})

    problem(answer, 422)


def test_an_inspection_larger_than_allowed_names_its_limit(api_with_small_limits: Api) -> None:
    post = api_with_small_limits.post

    assert problem(post("/v1/inspect", question(*HEADS[0])), 413)["limit"] == "inspect_rows"
    few = question(*HEADS[0])
    few["X"], few["Y"] = few["X"][:5], few["Y"][:5]
    assert problem(post("/v1/inspect", few), 413)["limit"] == "inspect_numbers"
    few.pop("reduce")
    for targets in (["W.1[0,0]"] * 11, ["W.1"], "all", "topk:3"):
        assert problem(post("/v1/check", {**few, "targets": targets}), 413)["limit"] == "check_nudges"


def test_rows_are_counted_before_they_are_read(api_with_small_limits: Api) -> None:
    run = api_with_small_limits.train()

    answer = api_with_small_limits.post(f"/v1/runs/{run['id']}/inspect", {"rows": [{"no": "such column"}] * 6})

    assert problem(answer, 413)["limit"] == "inspect_rows"


# Under a run -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(
        network={"layers": [{"type": "dense", "units": 4, "activation": "tanh"}, {"type": "dropout", "rate": 0.2}]},
        training={"epochs": 4, "batch_size": 8, "checkpoints": {"every": 1}},
    )


ROWS = [{"x": 3, "y": 2, "label": "odd"}, {"y": 4, "x": 10, "label": "even"}]


def test_rows_sent_are_encoded_as_in_training(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/inspect"
    table = shared.get(f"/v1/datasets/{run['dataset']['id']}/rows").json()["items"]

    sent = shared.post(path, {"rows": table[3:5], "reduce": "full"}).json()
    named = shared.post(path, {"dataset_rows": {"numbers": [3, 4]}, "reduce": "full"}).json()

    assert sent["tensors"] == named["tensors"]
    assert named["row_numbers"] == [3, 4]


def test_rows_of_another_dataset_are_encoded_as_rows_that_are_sent(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/inspect"
    lines = [f"more,{row['y']},{row['label']},{row['x']}\n" for row in ROWS]
    other = shared.upload(("extra,y,label,x\n" + "".join(lines)).encode())

    sent = shared.post(path, {"rows": ROWS, "reduce": "full"}).json()
    named = shared.post(path, {"dataset_rows": {"dataset": other}, "reduce": "full"}).json()
    second = shared.post(path, {"dataset_rows": {"dataset": other, "numbers": [1]}, "reduce": "full"}).json()

    assert named["tensors"] == sent["tensors"]
    assert named["row_numbers"] == [0, 1]
    assert "extra" in str(named["warnings"])
    assert second["example_losses"] == pytest.approx(named["example_losses"][1:], rel=1e-5)
    nudged = shared.post(f"/v1/runs/{run['id']}/check", {"dataset_rows": {"dataset": other}, "samples": 1}).json()
    assert "mismatch" not in nudged["verdicts"]
    for batch, status, code in (
        ({"dataset": other, "part": "train"}, 422, "not_split"),
        ({"dataset": other, "numbers": [2]}, 422, "no_such_row"),
        ({"dataset": "ds_none"}, 404, None),
    ):
        body = problem(shared.post(path, {"dataset_rows": batch}), status)
        assert code is None or body["errors"][0]["code"] == code


def test_a_runs_gradients_are_the_textbooks(shared: Api, run: Json) -> None:
    body = {"rows": ROWS, "reduce": "full", "dtype": "float64", "quantities": ["A", "W", "b", "dW", "db", "dA", "dZ"]}
    answer = shared.post(f"/v1/runs/{run['id']}/inspect", body).json()

    found = {name: np.array(tensor["values"]) for name, tensor in answer["tensors"].items()}
    parameters = {name: found[name].T for name in ("W.1", "b.1", "W.2", "b.2")}
    truth = backpropagation(parameters, ["tanh", "sigmoid"], found["A.0"].T, np.array([[1.0, 0.0]]))

    assert answer["loss"] == pytest.approx(truth["loss"], rel=1e-10)
    for name in ("dW.1", "db.1", "dW.2", "db.2", "dA.0", "dZ.1"):
        np.testing.assert_allclose(found[name], truth[name].T, rtol=1e-10, err_msg=name)


def test_a_layer_without_parameters_is_addressed_by_its_place(shared: Api, run: Json) -> None:
    body = {"rows": ROWS, "reduce": "norm", "quantities": ["layers.1.y", "layers.1.dy"]}

    answer = shared.post(f"/v1/runs/{run['id']}/inspect", body).json()

    assert list(answer["tensors"]) == ["layers.1.y", "layers.1.dy"]
    assert set(answer["tensors"]["layers.1.y"]) == {"shape", "norm", "non_finite"}


def test_statistics_are_the_default(shared: Api, run: Json) -> None:
    answer = shared.post(f"/v1/runs/{run['id']}/inspect", {"rows": ROWS}).json()

    assert {"l2", "mean", "std", "min", "max", "zeros"} <= set(answer["tensors"]["dW.1"])
    assert answer["convention"] == "per_example"
    assert answer["dtype"] == "float32"


@pytest.mark.parametrize("at", ["best", "last", "epoch:1", "epoch:4"])
def test_any_stored_moment_can_be_looked_into(shared: Api, run: Json, at: str) -> None:
    body = {"dataset_rows": {"part": "validation"}, "quantities": ["W.1"], "reduce": "full", "at": at}

    answer = shared.post(f"/v1/runs/{run['id']}/inspect", body).json()

    weights = shared.get(f"/v1/runs/{run['id']}/checkpoints/{answer['checkpoint']}/weights").json()
    assert answer["tensors"]["W.1"]["values"] == weights["parameters"]["W.1"]["values"]


def test_the_batch_of_a_step_is_the_one_trained_on(shared: Api, run: Json) -> None:
    path = f"/v1/runs/{run['id']}/inspect"

    batches = [shared.post(path, {"step": {"epoch": 1, "step": step}}).json() for step in range(1, 5)]

    rows = [number for batch in batches for number in batch["row_numbers"]]
    train = shared.post(path, {"dataset_rows": {"part": "train", "limit": 99}}).json()["row_numbers"]
    assert sorted(rows) == sorted(train)
    assert [len(batch["row_numbers"]) for batch in batches] == [8, 8, 8, 4]
    assert "dropout" in batches[0]["warnings"][0]


def test_a_loss_that_leaves_targets_as_they_are_says_so(shared: Api) -> None:
    found = shared.train(target="y", features=["x"], training={"epochs": 2, "loss": "poisson"})

    answer = shared.post(f"/v1/runs/{found['id']}/inspect", {"dataset_rows": {"part": "test"}}).json()

    assert answer["units"] == "the loss and the gradients are in units of the target as it stands in the dataset"
    assert answer["head"] == "shortcut"


def test_a_regression_says_that_its_units_are_standardised(shared: Api) -> None:
    found = shared.train(target="y", task="regression", features=["x"])

    answer = shared.post(f"/v1/runs/{found['id']}/inspect", {"dataset_rows": {"part": "test"}}).json()

    assert "standardised" in answer["units"]


def test_a_runs_check_needs_only_a_batch(shared: Api, run: Json) -> None:
    answer = shared.post(f"/v1/runs/{run['id']}/check", {"dataset_rows": {"part": "train", "limit": 8}}).json()

    assert set(answer["verdicts"]) <= {"ok", "below_noise"}
    assert answer["dtype"] == "float64"
    assert answer["is_complete"] is True


def test_a_runs_rows_may_be_weighted(shared: Api, run: Json) -> None:
    body = {"dataset_rows": {"part": "train", "limit": 4}, "weights": [4, 0, 1, 2]}

    answer = shared.post(f"/v1/runs/{run['id']}/check", body).json()

    assert set(answer["verdicts"]) <= {"ok", "below_noise"}


REFUSED = [
    ({}, 422),
    ({"rows": ROWS, "dataset_rows": {"part": "train"}}, 422),
    ({"rows": [{"x": 1, "y": 2}]}, 422),
    ({"rows": [{"x": 1, "y": 2, "label": "neither"}]}, 422),
    ({"rows": [{"x": "three", "y": 2, "label": "odd"}]}, 422),
    ({"dataset_rows": {"numbers": [99]}}, 422),
    ({"dataset_rows": {"part": "all"}}, 422),
    ({"dataset_rows": {"part": "train", "numbers": [1]}}, 422),
    ({"step": {"epoch": 9, "step": 1}}, 422),
    ({"step": {"epoch": 1, "step": 9}}, 422),
    ({"dataset_rows": {"part": "train"}, "at": "epoch:9"}, 404),
    ({"dataset_rows": {"part": "train"}, "at": "best", "checkpoint": "last"}, 422),
]


@pytest.mark.parametrize(("body", "status"), REFUSED)
@pytest.mark.parametrize("verb", ["inspect", "check"])
def test_a_batch_that_is_not_there_is_refused(shared: Api, run: Json, verb: str, body: Json, status: int) -> None:
    problem(shared.post(f"/v1/runs/{run['id']}/{verb}", body), status)


@pytest.mark.parametrize("verb", ["inspect", "check"])
def test_a_run_that_is_not_there_can_not_be_looked_into(shared: Api, verb: str) -> None:
    problem(shared.post(f"/v1/runs/run_none/{verb}", {"rows": ROWS}), 404)
