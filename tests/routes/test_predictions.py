import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from service.client import Unreachable
from service.settings import Limits
from tests.files import arrow, npy, npz, parquet
from tests.support import QUICK, TINY, Api, Json, Server, penguins, problem, server, until


@pytest.fixture(scope="module")
def run(shared: Api) -> Json:
    return shared.train(
        dataset=penguins(shared), target="species", training={"epochs": 30, "checkpoints": {"every": 10}}
    )


GENTOO = {
    "island": "Biscoe",
    "bill_length_mm": 49.5,
    "bill_depth_mm": 15.9,
    "flipper_length_mm": 221,
    "body_mass_g": 5350,
    "sex": "male",
}


def predict(api: Api, run: Json, body: object) -> Json:
    answer = api.post(f"/v1/runs/{run['id']}/predict", body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_a_classification_gives_a_label_and_probabilities_that_sum_to_one(shared: Api, run: Json) -> None:
    answer = predict(shared, run, {"rows": [GENTOO]})

    (prediction,) = answer["predictions"]
    assert prediction["label"] == "Gentoo"
    assert set(prediction["probabilities"]) == {"Adelie", "Chinstrap", "Gentoo"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert answer["checkpoint"] == run["best"]["checkpoint"]
    assert answer["warnings"] == []


def test_rows_come_as_objects_in_any_order_or_as_arrays(shared: Api, run: Json) -> None:
    features = run["resolved"]["features"]
    turned = dict(reversed(GENTOO.items()))

    answers = [predict(shared, run, {"rows": [row]}) for row in (GENTOO, turned, [GENTOO[name] for name in features])]

    assert answers[0]["predictions"] == answers[1]["predictions"] == answers[2]["predictions"]


def test_a_loss_of_scores_gives_scores_and_no_probabilities(shared: Api) -> None:
    spec = {**QUICK["training"], "epochs": 40, "loss": "hinge"}
    run = shared.train(dataset=penguins(shared), target="species", training=spec)

    (prediction,) = predict(shared, run, {"rows": [GENTOO]})["predictions"]

    assert run["metrics"]["test"]["accuracy"] > 0.9
    assert prediction["label"] == "Gentoo"
    assert prediction["probabilities"] is None
    assert max(prediction["scores"], key=prediction["scores"].__getitem__) == "Gentoo"


def test_counts_are_predicted_in_their_own_unit(shared: Api) -> None:
    content = b"x,visits\n" + b"".join(b"%d,%d\n" % (i % 8, i % 8 + i % 3) for i in range(200))
    training = {"loss": "poisson", "epochs": 150, "optimizer": {"type": "adam", "learning_rate": 0.02}}
    run = shared.train(dataset=shared.upload(content), target="visits", training=training)

    predictions = predict(shared, run, {"rows": [{"x": 0}, {"x": 7}]})["predictions"]

    assert run["resolved"]["network"]["output"]["activation"] == {"type": "exponential"}
    assert [each["value"] for each in predictions] == pytest.approx([1, 8], abs=0.5)


def test_two_classes_have_two_probabilities(shared: Api) -> None:
    run = shared.train()

    (prediction,) = predict(shared, run, {"rows": [{"x": 1, "y": 2}]})["predictions"]

    assert set(prediction["probabilities"]) == {"even", "odd"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-6)


def test_a_regression_answers_in_the_targets_own_unit(shared: Api) -> None:
    lines = b"".join(b"%d,%d\n" % (x, 1000 + 5 * x) for x in range(60))
    dataset = shared.upload(b"x,price\n" + lines)
    run = shared.train(dataset=dataset, target="price", task="regression", training={"epochs": 300})

    (prediction,) = predict(shared, run, {"rows": [{"x": 30}]})["predictions"]

    assert prediction == {"value": pytest.approx(1150, rel=0.02)}


def test_several_targets_are_answered_by_name(shared: Api) -> None:
    lines = b"".join(b"%d,%d,%d\n" % (x, 2 * x, -x) for x in range(40))
    dataset = shared.upload(b"x,double,minus\n" + lines)
    run = shared.train(dataset=dataset, target=["double", "minus"], task="regression")

    (prediction,) = predict(shared, run, {"rows": [{"x": 3}]})["predictions"]

    assert set(prediction["targets"]) == {"double", "minus"}


def test_class_labels_are_spelt_as_in_the_file(shared: Api) -> None:
    lines = b"".join(b"%d,%s\n" % (x, b"007" if x % 2 else b"008") for x in range(40))
    run = shared.train(dataset=shared.upload(b"x,agent\n" + lines), target="agent")

    (prediction,) = predict(shared, run, {"rows": [{"x": 3}]})["predictions"]

    assert set(prediction["probabilities"]) == {"007", "008"}


@pytest.mark.parametrize("at", ["best", "last", "epoch:10"])
def test_any_stored_moment_can_predict(shared: Api, run: Json, at: str) -> None:
    by_at = predict(shared, run, {"rows": [GENTOO], "at": at})
    by_checkpoint = predict(shared, run, {"rows": [GENTOO], "checkpoint": at})
    by_id = predict(shared, run, {"rows": [GENTOO], "at": f"checkpoint:{by_at['checkpoint']}"})

    assert by_at == by_checkpoint == by_id


def test_one_row_alone_predicts_as_in_a_batch(shared: Api, run: Json) -> None:
    rows = shared.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 300}).json()["items"]

    batch = predict(shared, run, {"rows": rows})["predictions"]
    alone = [predict(shared, run, {"rows": [row]})["predictions"][0] for row in rows[:5]]

    for one, of_many in zip(alone, batch[:5], strict=True):
        assert one["label"] == of_many["label"]
        np.testing.assert_allclose(
            list(one["probabilities"].values()), list(of_many["probabilities"].values()), rtol=1e-5
        )


def test_many_who_ask_at_once_each_get_their_own_answer(shared: Api, run: Json) -> None:
    rows = shared.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 200}).json()["items"]
    questions = [{"rows": rows[start : start + count]} for start in range(0, 120, 3) for count in (1, 2, 64, 65)]
    alone = [predict(shared, run, question) for question in questions]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda question: predict(shared, run, question), questions))

    assert together == alone


def test_blanks_are_filled_and_what_is_unknown_is_said(shared: Api, run: Json) -> None:
    row = {**GENTOO, "bill_length_mm": None, "island": "Atlantis", "colour": "blue"}

    warnings = " ".join(predict(shared, run, {"rows": [row]})["warnings"])

    assert "island" in warnings
    assert "colour" in warnings


def test_everything_that_is_wrong_with_the_rows_is_listed_at_once(shared: Api, run: Json) -> None:
    rows = [{"island": "Biscoe"}, {**GENTOO, "bill_depth_mm": "deep"}]

    faults = problem(shared.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}), 422)["errors"]

    assert [fault["pointer"] for fault in faults] == [
        "/rows/0/bill_length_mm",
        "/rows/0/bill_depth_mm",
        "/rows/0/flipper_length_mm",
        "/rows/0/body_mass_g",
        "/rows/0/sex",
        "/rows/1/bill_depth_mm",
    ]


def test_rows_of_another_shape_are_all_named(shared: Api, run: Json) -> None:
    rows = [GENTOO, [1, 2], "text"]

    faults = problem(shared.post(f"/v1/runs/{run['id']}/predict", {"rows": rows}), 422)["errors"]

    assert {"/rows/1", "/rows/2"} <= {fault["pointer"] for fault in faults}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ('{"rows": []}', 422),
        ('{"rows": [{}], "model": 1}', 422),
        ('{"rows": [{}], "at": 3}', 422),
        ('{"rows": [{}], "at": "best", "checkpoint": "last"}', 422),
        ('{"rows": [{}], "at": "epoch:7"}', 404),
        ('{"rows": [{"bill_length_mm": NaN}]}', 400),
        ('{"rows": [{"bill_length_mm": 1e999}]}', 422),
    ],
)
def test_a_question_that_can_not_be_is_refused(shared: Api, run: Json, body: str, status: int) -> None:
    answer = shared.request(
        "POST", f"/v1/runs/{run['id']}/predict", content=body, headers={"Content-Type": "application/json"}
    )

    if status == 422 and answer.status_code == 400:
        status = 400  # a number too large for JSON's readers is not JSON
    problem(answer, status)


def test_more_rows_than_allowed_are_refused_by_name(api_with_small_limits: Api) -> None:
    run = api_with_small_limits.train()

    answer = api_with_small_limits.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}] * 4})

    assert problem(answer, 413)["limit"] == "predict_rows"


def test_a_run_without_a_checkpoint_says_so(shared: Api) -> None:
    run = shared.create()

    answer = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}]})

    problem(answer, 404, "no_checkpoint")
    shared.post(f"/v1/runs/{run['id']}/cancel")


def test_a_deleted_run_predicts_no_more(shared: Api) -> None:
    run = shared.train(**QUICK)
    predict(shared, run, {"rows": [{"x": 1, "y": 2}]})
    shared.delete(f"/v1/runs/{run['id']}")

    problem(shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"x": 1, "y": 2}]}), 404)


def test_an_answer_is_json_to_any_reader(shared: Api, run: Json) -> None:
    text = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [GENTOO] * 3}).text

    json.loads(text, parse_constant=lambda name: pytest.fail(name))


# Files -------------------------------------------------------------------------------------------------------------

CSV, TSV, LINES, ANY = "text/csv", "text/tab-separated-values", "application/x-ndjson", "application/octet-stream"
PARQUET, NPY, NPZ = "application/vnd.apache.parquet", "application/x-npy", "application/x-npz"
FILE, STREAM = "application/vnd.apache.arrow.file", "application/vnd.apache.arrow.stream"


def ask(api: Api, run: Json, content: bytes, media_type: str = CSV, **options: Any) -> httpx.Response:
    """Send a file."""
    headers = {"Content-Type": media_type, **options.pop("headers", {})}
    return api.request("POST", f"/v1/runs/{run['id']}/predict", content=content, headers=headers, **options)


@pytest.fixture(scope="module")
def rows(shared: Api, run: Json) -> list[Json]:
    """All penguins, with numbers, texts and blanks, and the target."""
    found = shared.get(f"/v1/datasets/{run['dataset']['id']}/rows", params={"limit": 500}).json()["items"]
    return [dict(row) for row in found]


def text(rows: list[Json], *, delimiter: str = ",", decimal: str = ".", blank: str = "NA") -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=delimiter, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        cells = ["" if cell is None else str(cell) for cell in row.values()]
        numbers = [isinstance(cell, float) for cell in row.values()]
        writer.writerow(
            [c.replace(".", decimal) if is_number else c or blank for c, is_number in zip(cells, numbers, strict=True)]
        )
    return sink.getvalue().encode()


def lines(rows: Iterable[Json]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def form(content: bytes, media_type: str) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="t"\r\nContent-Type: {media_type}\r\n\r\n'
    return head.encode() + content + b"\r\n--b--\r\n"


FILES: dict[str, tuple[Callable[[list[Json]], bytes], str, Json]] = {
    "csv": (text, CSV, {}),
    "a dialect that is found out": (lambda rows: text(rows, delimiter=";", decimal=","), CSV, {}),
    "a dialect that is said": (
        lambda rows: text(rows, delimiter="/", blank="?").decode().encode("utf-16"),
        CSV,
        {"delimiter": "/", "encoding": "utf-16", "header": True, "decimal": ".", "na": '["?"]', "na_only": True},
    ),
    "tsv": (lambda rows: text(rows, delimiter="\t"), TSV, {}),
    "json lines": (lines, LINES, {}),
    "jsonl": (lines, "application/jsonl", {}),
    "parquet": (lambda rows: parquet(pa.Table.from_pylist(rows)), PARQUET, {}),
    "arrow file": (lambda rows: arrow(pa.Table.from_pylist(rows), pa.ipc.new_file), FILE, {}),
    "arrow stream": (lambda rows: arrow(pa.Table.from_pylist(rows), pa.ipc.new_stream), STREAM, {}),
    "any": (lambda rows: parquet(pa.Table.from_pylist(rows)), ANY, {}),
    "json of any shape": (lambda rows: json.dumps(rows).encode(), ANY, {}),
    "columns in json": (
        lambda rows: json.dumps({"columns": {name: [row[name] for row in rows] for name in rows[0]}}).encode(),
        ANY,
        {},
    ),
    "a form": (lambda rows: form(text(rows), CSV), "multipart/form-data; boundary=b", {}),
}


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("name", list(FILES))
def test_every_format_gives_the_bits_that_rows_in_json_give(
    shared: Api, run: Json, rows: list[Json], name: str, is_compressed: bool
) -> None:
    write, media_type, options = FILES[name]
    content = write(rows) if name == "a form" or not is_compressed else gzip.compress(write(rows))

    answer = ask(shared, run, content, media_type, params={**options, "checkpoint": "epoch:10"})

    assert answer.status_code == 200, answer.text
    assert answer.json() == predict(shared, run, {"rows": rows, "checkpoint": "epoch:10"})
    assert list((shared.settings.data / "uploads").iterdir()) == []


def test_what_says_that_it_is_compressed_is(shared: Api, run: Json, rows: list[Json]) -> None:
    headers = {"Content-Encoding": "gzip"}

    answer = ask(shared, run, gzip.compress(text(rows)), headers=headers)

    assert answer.json() == predict(shared, run, {"rows": rows})
    problem(ask(shared, run, text(rows), headers=headers), 422, "damaged")
    problem(ask(shared, run, b'{"rows": []}', "application/json", headers=headers), 415)


def test_columns_come_in_any_order_and_others_are_ignored_with_a_warning(
    shared: Api, run: Json, rows: list[Json]
) -> None:
    turned = [{"colour": "blue", **dict(reversed(row.items())), "ring": 7} for row in rows]

    of_file, of_rows = ask(shared, run, text(turned)).json(), predict(shared, run, {"rows": turned})

    assert of_file == of_rows
    assert of_file["predictions"] == predict(shared, run, {"rows": rows})["predictions"]
    assert [warning.partition(":")[0] for warning in of_file["warnings"]] == ["colour", "ring"]


@pytest.mark.parametrize("name", ["csv", "parquet", "arrow file"])
def test_all_missing_columns_of_a_file_are_listed_once(shared: Api, run: Json, rows: list[Json], name: str) -> None:
    write, media_type, _ = FILES[name]
    few = [{"island": row["island"], "bill_length_mm": row["bill_length_mm"]} for row in rows]

    faults = problem(ask(shared, run, write(few), media_type), 422, "missing_column")["errors"]

    missing = ["bill_depth_mm", "flipper_length_mm", "body_mass_g", "sex"]
    assert [fault["pointer"] for fault in faults] == [f"/columns/{column}" for column in missing]


def test_texts_that_are_new_are_counted_over_all_stretches(shared: Api, run: Json) -> None:
    many = [{**GENTOO, "island": "Biscoe" if number % 2 else "Atlantis"} for number in range(9000)]

    of_file = ask(shared, run, text(many)).json()

    assert of_file == predict(shared, run, {"rows": many})
    assert of_file["warnings"] == ["island: 4500 of 9000 rows hold a text not seen in training"]


@pytest.mark.parametrize("wrong", [2, 8999])
@pytest.mark.parametrize(("write", "media_type"), [(text, CSV), (lines, LINES)])
def test_a_cell_of_another_type_is_named_by_row_and_column(
    shared: Api, run: Json, write: Callable[[list[Json]], bytes], media_type: str, wrong: int
) -> None:
    many = [{**GENTOO, "body_mass_g": "heavy" if number == wrong else 5350} for number in range(9000)]

    [fault] = problem(ask(shared, run, write(many), media_type), 422, "wrong_type")["errors"]

    assert (fault["pointer"], fault["detail"]) == (
        f"/rows/{wrong}/body_mass_g",
        "expected a number, got a text",
    )


@pytest.mark.parametrize(
    ("content", "media_type", "params", "code"),
    [
        (b"", CSV, {}, "empty"),
        (b"island\n", CSV, {}, "too_few_rows"),
        (b"x,y\n1,2,3\n", CSV, {}, "ragged"),
        (b"PAR1", PARQUET, {}, "damaged"),
        (b"[1", ANY, {}, "not_json"),
        (b'{"x": 1}\n', LINES, {"delimiter": ";"}, "invalid_data"),
        (b'{"x": 1}\n', LINES, {"na": '["?"]'}, "invalid_data"),
        (b'{"rows": [{}]}', "application/json", {"decimal": ","}, "invalid"),
        (b"x\n1\n", CSV, {"at": "best", "checkpoint": "last"}, "invalid"),
        (b"x\n1\n", CSV, {"types": "{}"}, "invalid"),
        (b"x\n1\n", CSV, {"format": "xml"}, "invalid"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused(
    shared: Api, run: Json, content: bytes, media_type: str, params: Json, code: str
) -> None:
    problem(ask(shared, run, content, media_type, params=params), 422, code)

    assert list((shared.settings.data / "uploads").iterdir()) == []


def test_files_have_the_limits_of_datasets_and_json_those_of_predictions(tmp_path: Path) -> None:
    limits = Limits(predict_rows=3, predict_bytes=400, dataset_rows=50, upload_bytes=1000)
    with Api(tmp_path / "data", limits=limits) as api:
        run, line = api.train(), {"x": 1, "y": 2}

        assert ask(api, run, text([line] * 50)).status_code == 200
        problem(ask(api, run, text([line] * 51)), 422, "too_large")
        problem(ask(api, run, lines([line] * 51), LINES), 422, "too_large")
        assert problem(ask(api, run, text([line] * 300)), 413)["limit"] == "upload_bytes"
        assert problem(ask(api, run, json.dumps([line] * 40).encode(), ANY), 413)["limit"] == "predict_bytes"


# Arrays without names ----------------------------------------------------------------------------------------------


def test_an_array_has_the_runs_features_in_their_order(shared: Api) -> None:
    run = shared.train()
    X = np.random.default_rng(0).normal(size=(300, 2))

    of_rows = predict(shared, run, {"rows": X.tolist()})

    assert ask(shared, run, npy(X), NPY).json() == of_rows
    assert ask(shared, run, npy(X.reshape(300, 2, 1)), NPY).json() == of_rows
    assert ask(shared, run, npz(X=X, y=np.arange(300)), NPZ).json() == of_rows
    refused = problem(ask(shared, run, npy(X[:, :1]), NPY), 422, "wrong_shape")
    assert refused["detail"] == ("file: expected 2 numbers in each row, the run's features in the order x, y; got 1")


def test_an_array_goes_by_name_where_the_features_are_named_as_its_columns(shared: Api) -> None:
    X = np.random.default_rng(1).normal(size=(60, 3))
    X[:, 1] = 5  # carries nothing, so the run learns from x_0 and x_2
    dataset = shared.upload(npz(X=X, y=np.arange(60) % 2), media_type=NPZ)
    run = shared.train(dataset=dataset, target="y", task="classification")

    by_name = ask(shared, run, npy(X), NPY).json()

    assert by_name["predictions"] == predict(shared, run, {"rows": X[:, [0, 2]].tolist()})["predictions"]
    problem(ask(shared, run, npy(X[:, :2]), NPY), 422, "missing_column")


# Formats of answers ------------------------------------------------------------------------------------------------


def kinds_of_runs(api: Api) -> Json:
    """A run of each kind of answer, by name, on x and y."""
    table = b"x,y,a,b,c,d\n" + b"".join(
        b"%d,%d,%s,%s,%d,%d\n" % (i, i * i % 7, b"uv"[i % 2 : i % 2 + 1], b"w" if i % 3 else b'"z ""1"""', 5 * i, -i)
        for i in range(60)
    )
    dataset, features = api.upload(table), {"features": ["x", "y"]}
    return {
        "two classes": api.train(dataset=dataset, target="a", **features),
        "classes": api.train(dataset=penguins(api), target="species", features=["bill_length_mm", "body_mass_g"]),
        "a value": api.train(dataset=dataset, target="c", **features),
        "values": api.train(dataset=dataset, target=["c", "d"], task="regression", **features),
        "labels": api.train(dataset=dataset, target=["a", "b"], **features),
        "scores": api.train(dataset=dataset, target="a", training={**QUICK["training"], "loss": "hinge"}, **features),
    }


@pytest.fixture(scope="module")
def answers(shared: Api) -> dict[str, tuple[Json, Json, Json]]:
    """For each kind of run: it, a question of rows, and the answer in JSON."""
    found = {}
    for name, run in kinds_of_runs(shared).items():
        rows = np.random.default_rng(2).normal(20, 15, size=(200, 2)).round(3).tolist()
        question = {"rows": rows}
        found[name] = (run, question, predict(shared, run, question))
    return found


def flat(prediction: Json, prefix: str = "") -> Json:
    """A prediction as a row of the tables."""
    if "targets" in prediction:
        return {key: cell for name, each in prediction["targets"].items() for key, cell in flat(each, name).items()}
    if "value" in prediction:
        return {prefix or "value": prediction["value"]}
    start = f"{prefix}_" if prefix else ""
    what, numbers = (
        ("score", prediction["scores"])
        if "scores" in prediction
        else (
            "probability",
            prediction["probabilities"],
        )
    )
    return {f"{start}label": prediction["label"], **{f"{start}{what}_{name}": each for name, each in numbers.items()}}


KINDS = ("two classes", "classes", "a value", "values", "labels", "scores")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_accepted", [True, False])
def test_every_format_of_an_answer_says_the_same(
    shared: Api, answers: dict[str, tuple[Json, Json, Json]], kind: str, is_accepted: bool
) -> None:
    run, question, answer = answers[kind]
    wanted = [flat(each) for each in answer["predictions"]]

    def get(format: str, media_type: str) -> bytes:
        asked = {"headers": {"Accept": media_type}} if is_accepted else {"params": {"format": format}}
        found = shared.post(f"/v1/runs/{run['id']}/predict", question, **asked)
        assert found.status_code == 200, found.text
        assert found.headers["content-type"].partition(";")[0] == media_type
        assert found.headers["chainrule-checkpoint"] == answer["checkpoint"]
        assert json.loads(found.headers["chainrule-warnings"]) == answer["warnings"]
        return found.content

    in_csv = list(csv.DictReader(io.StringIO(get("csv", CSV).decode(), newline="")))
    assert [{key: cell if "label" in key else float(cell) for key, cell in row.items()} for row in in_csv] == wanted
    assert pa.ipc.open_stream(get("arrow", STREAM)).read_all().to_pylist() == wanted
    assert [json.loads(line) for line in get("ndjson", LINES).splitlines()] == answer["predictions"]
    numbers = [[cell for key, cell in row.items() if not key.endswith("label")] for row in wanted]
    array = np.load(io.BytesIO(get("npy", NPY)), allow_pickle=False)
    assert array.dtype == np.float64
    assert array.tolist() == numbers


def test_columns_of_an_answer_are_named_by_target_and_class(answers: dict[str, tuple[Json, Json, Json]]) -> None:
    first = {kind: list(flat(answer["predictions"][0])) for kind, (_, _, answer) in answers.items()}

    assert first == {
        "two classes": ["label", "probability_u", "probability_v"],
        "classes": ["label", "probability_Adelie", "probability_Chinstrap", "probability_Gentoo"],
        "a value": ["value"],
        "values": ["c", "d"],
        "labels": [
            *("a_label", "a_probability_u", "a_probability_v"),
            *("b_label", "b_probability_w", 'b_probability_z "1"'),
        ],
        "scores": ["label", "score_u", "score_v"],
    }


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json, text/plain, */*", "application/json"),
        ("text/html;q=0.9, text/csv;q=0.8", "text/csv"),
        ("application/json;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("application/jsonl", "application/x-ndjson"),
        ("text/*", "text/csv"),
    ],
)
def test_a_client_gets_what_it_prefers(shared: Api, run: Json, accept: str, media_type: str) -> None:
    answer = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [GENTOO]}, headers={"Accept": accept})

    assert answer.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/vnd.apache.parquet"])
def test_a_format_that_is_not_offered_is_refused(shared: Api, run: Json, accept: str) -> None:
    answer = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [GENTOO]}, headers={"Accept": accept})

    assert "text/csv" in problem(answer, 406, "not_acceptable")["errors"][0]["allowed"]


def test_warnings_in_a_header_are_ascii_and_short(shared: Api, run: Json) -> None:
    row = {**GENTOO, "island": "Îslande", **{f"größe_{number}" * 9: 1 for number in range(90)}}

    answer = shared.post(f"/v1/runs/{run['id']}/predict", {"rows": [row]}, params={"format": "csv"})

    found = answer.headers["chainrule-warnings"]
    assert found.isascii()
    assert len(found) <= 4000
    kept = json.loads(found)
    assert kept[0].startswith("größe_0")
    assert kept[-1] == f"and {91 - len(kept) + 1} more"


# Large files -------------------------------------------------------------------------------------------------------

ROWS = 200_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterable[tuple[Server, str]]:
    """A server process with a run on x and y."""
    with server(tmp_path_factory.mktemp("large") / "data", "--workers", "1", "--quiet") as found:
        dataset = found.client.upload_bytes(TINY, name="tiny")
        run = found.client.create_run(dataset=dataset.id, target="label", training={"epochs": 2})
        yield found, found.client.wait(run.id).id


def peak_bytes(found: Server) -> int:
    """The most memory that the server's process ever held."""
    status = Path(f"/proc/{found.process.pid}/status").read_text()
    return 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])


@pytest.mark.parametrize("format", ["csv", "arrow", "ndjson", "npy", "json"])
def test_a_large_file_takes_little_memory(served: tuple[Server, str], tmp_path: Path, format: str) -> None:
    found, run_id = served
    lines = "".join(f"{number % 97},{number % 7}\n" for number in range(ROWS))
    (tmp_path / "few.csv").write_text("x,y\n1,2\n")
    (tmp_path / "many.csv").write_text(f"x,y\n{lines}")
    list(found.client.predict_stream(run_id, tmp_path / "few.csv", format=format))
    before = peak_bytes(found)

    content = b"".join(found.client.predict_stream(run_id, tmp_path / "many.csv", format=format))

    assert peak_bytes(found) - before < 60_000_000
    counts: dict[str, Callable[[], int]] = {
        "csv": lambda: content.count(b"\n") - 1,
        "arrow": lambda: int(pa.ipc.open_stream(content).read_all().num_rows),
        "ndjson": lambda: content.count(b"\n"),
        "npy": lambda: len(np.load(io.BytesIO(content))),
        "json": lambda: len(json.loads(content)["predictions"]),
    }
    assert counts[format]() == ROWS


def test_an_answer_that_breaks_off_does_not_look_whole(served: tuple[Server, str], tmp_path: Path) -> None:
    found, run_id = served
    (tmp_path / "rows.csv").write_text("x,y\n" + "1,2\n" * 9000 + "many,2\n")

    blocks = found.client.predict_stream(run_id, tmp_path / "rows.csv")

    assert next(blocks).startswith(b'"label"')
    with pytest.raises(Unreachable, match="gave no whole answer"):
        list(blocks)
    assert list((found.folder / "uploads").iterdir()) == []


def test_a_client_that_stops_reading_leaves_nothing_behind(served: tuple[Server, str], tmp_path: Path) -> None:
    found, run_id = served
    (tmp_path / "rows.csv").write_text("x,y\n" + "1,2\n" * ROWS)

    blocks = found.client.predict_stream(run_id, tmp_path / "rows.csv")
    next(blocks)
    blocks.close()

    until(lambda: not list((found.folder / "uploads").iterdir()), what="the upload is removed")
