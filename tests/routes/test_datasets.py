import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.settings import Limits
from service.store import datasets as store
from tests.files import arrow, npy, npz, parquet
from tests.support import TINY, Api, Json, problem

REFUSED = {
    "an empty file": (b"", "text/csv", 422, "empty"),
    "a header alone": (b"x,y\n", "text/csv", 422, "rows"),
    "one row": (b"x,y\n1,2\n", "text/csv", 422, "got one"),
    "a column named twice": (b"x,x\n1,2\n3,4\n", "text/csv", 422, "x"),
    "a ragged row": (b"x,y\n1,2\n3\n5,6\n", "text/csv", 422, "rows[1]"),
    "bytes that are no text": (b"x,y\n1,caf\xe9\x00\n2,b\n", "text/csv", 422, "utf-8, utf-16 or windows-1252"),
    "an infinite cell": (b"x,y\n1,2\n1e400,3\n", "text/csv", 422, "1e400"),
    "broken JSON": (b'{"columns": ', "application/json", 422, "JSON"),
    "NaN in JSON": (b'{"columns": {"x": [1, NaN], "y": [1, 2]}}', "application/json", 422, "NaN"),
    "columns of unequal length": (b'{"columns": {"x": [1, 2], "y": [1]}}', "application/json", 422, "2 cells"),
    "a nested cell": (b'{"columns": {"x": [[1], [2]], "y": [1, 2]}}', "application/json", 422, "x"),
    "a key twice": (b'{"columns": {"x": [1, 2], "x": [3, 4]}}', "application/json", 422, "x"),
    "an unknown content type": (b"x,y\n1,2\n3,4\n", "application/pdf", 415, "application/pdf"),
    "half of a gzip file": (gzip.compress(b"x,y\n1,2\n3,4\n", mtime=0)[:-9], "text/csv", 422, "gzip"),
    "gzip within gzip": (gzip.compress(gzip.compress(b"x,y\n1,2\n3,4\n")), "text/csv", 422, "gzip within gzip"),
    "CSV that says it is Parquet": (TINY, "application/vnd.apache.parquet", 422, "expected a Parquet file"),
    "CSV that says it is an Arrow file": (TINY, "application/vnd.apache.arrow.file", 422, "expected an Arrow file"),
    "CSV that says it is an Arrow stream": (TINY, "application/vnd.apache.arrow.stream", 422, "an Arrow stream"),
    "CSV that says it is NPY": (TINY, "application/x-npy", 422, "expected an NPY array"),
    "CSV that says it is NPZ": (TINY, "application/x-npz", 422, "expected an NPZ file"),
    "CSV that says it is JSON lines": (TINY, "application/x-ndjson", 422, "expected JSON, got at line 1"),
}


def test_an_upload_is_read_hashed_and_located(api: Api) -> None:
    answer = api.send(TINY, name="squares")

    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/datasets/{body['id']}"
    assert body["name"] == "squares"
    assert body["rows"] == 40
    assert body["sha256"] == hashlib.sha256(TINY).hexdigest()
    assert [column["type"] for column in body["columns"]] == ["integer", "integer", "text"]


def test_the_same_bytes_are_the_same_dataset(api: Api) -> None:
    first, second = api.send(TINY), api.send(TINY, name="again")

    assert (first.status_code, second.status_code) == (201, 200)
    assert (second.json()["id"], second.json()["name"]) == (first.json()["id"], first.json()["name"])
    assert len(api.get("/v1/datasets").json()["items"]) == 1


@pytest.mark.parametrize(
    "content",
    [
        b'{"columns": {"x": [1, 2, null], "y": ["a", "b", "a"]}}',
        b'{"rows": [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}, {"x": null, "y": "a"}]}',
    ],
)
def test_json_comes_as_columns_or_as_rows(shared: Api, content: bytes) -> None:
    dataset = shared.upload(content, media_type="application/json")

    found = shared.get(f"/v1/datasets/{dataset}/rows").json()

    assert found["items"] == [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}, {"x": None, "y": "a"}]


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_nobody_can_learn_from_is_refused(shared: Api, name: str) -> None:
    content, media_type, status, word = REFUSED[name]

    body = problem(shared.send(content, media_type=media_type), status)

    assert word in body["detail"]


def test_a_refused_upload_leaves_nothing_behind(api: Api) -> None:
    problem(api.send(b"x,x\n1,2\n3,4\n"), 422)

    assert api.get("/v1/datasets").json()["items"] == []
    assert list((api.settings.data / "uploads").iterdir()) == []
    assert list((api.settings.data / "datasets").iterdir()) == []


def test_an_upload_that_the_database_can_not_take_leaves_nothing_behind(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    monkeypatch.setattr(store, "add", locked)

    problem(api.send(TINY), 503, "unavailable")

    assert list(api.settings.data.rglob("*.arrow")) == []


def test_an_upload_that_was_kept_after_all_keeps_its_file(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    write = api.database.write

    @contextmanager
    def breaking_off_behind_the_commit() -> Iterator[Session]:
        with write() as session:
            yield session
        raise OperationalError("COMMIT", {}, Exception("the connection broke"))

    monkeypatch.setattr(api.database, "write", breaking_off_behind_the_commit)

    problem(api.send(TINY), 503)

    [dataset] = api.get("/v1/datasets").json()["items"]
    assert len(api.get(f"/v1/datasets/{dataset['id']}/rows").json()["items"]) == 40


def test_few_uploads_are_parsed_at_once(tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(parallel_ingests=1), read_seconds=0.1) as api:
        turns = api.app.state.turns["ingest"]

        async def ask(client: httpx.AsyncClient) -> httpx.Response:
            async with turns:
                upload = client.post("/v1/datasets", content=TINY, headers={"Content-Type": "text/csv"})
                return await asyncio.create_task(upload)

        answer = api.ask(ask)

        assert problem(answer, 503, "too_many_uploads")["limit"] == "parallel_ingests"
        assert answer.headers["retry-after"]
        assert api.send(TINY).status_code == 201


def test_a_preview_shows_the_schema_and_stores_nothing(api: Api) -> None:
    answer = api.post("/v1/datasets/preview", content=TINY, headers={"Content-Type": "text/csv"})

    body = answer.json()
    assert body["rows"] == 40
    assert body["first_rows"][1] == {"x": 1, "y": 1, "label": "odd"}
    assert body["columns"][0] == {"name": "x", "type": "integer", "missing": 0, "warnings": []}
    assert [warning["code"] for warning in body["table_warnings"]] == ["too_few_rows"]
    assert api.get("/v1/datasets").json()["items"] == []


def test_pages_go_through_all_datasets_newest_first(api: Api) -> None:
    ids = [api.upload(b"x,y\n1,%d\n2,3\n" % number) for number in range(5)]

    seen, cursor = [], None
    for _ in range(3):
        page = api.get("/v1/datasets", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert seen == ids[::-1]
    assert cursor is None


def test_a_profile_tells_what_each_column_holds(shared: Api) -> None:
    dataset = shared.upload(b"size,kind\n1,a\n2,b\n,b\n4,b\n")

    columns = shared.get(f"/v1/datasets/{dataset}/profile").json()["columns"]

    assert columns["size"]["missing"] == 1
    assert columns["size"]["maximum"] == 4
    assert columns["kind"]["distinct"] == 2


def test_a_profile_has_histograms_warnings_duplicates_and_groups(shared: Api) -> None:
    header = ",".join(f"p{number}" for number in range(16))
    rows = "".join(f"{','.join([str(number)] * 16)},same\n" for number in (0, 5, 9, 9))
    dataset = shared.upload(f"{header},word\n{rows}".encode())

    found = shared.get(f"/v1/datasets/{dataset}/profile").json()

    assert found["duplicate_rows"] == {"count": 1, "share": 0.25}
    assert found["groups"] == [{"prefix": "p", "columns": 16, "minimum": 0.0, "maximum": 9.0, "shape": [4, 4]}]
    assert [warning["code"] for warning in found["warnings"]] == ["too_few_rows", "duplicate_rows"]
    assert [warning["code"] for warning in found["columns"]["word"]["warnings"]] == ["constant"]
    assert "minimum" not in found["columns"]["word"]
    assert sum(found["columns"]["p3"]["histogram"]["counts"]) == 4
    assert "target" not in found


def test_a_profile_of_a_target_has_the_balance_of_its_classes(shared: Api) -> None:
    lines = "".join(f"{row},{row % 2},{'yes' if row % 4 else 'no'}\n" for row in range(40))
    dataset = shared.upload(f"x,odd,label\n{lines},,yes\n,,\n".encode())

    found = shared.get(f"/v1/datasets/{dataset}/profile", params={"target": "label"}).json()["target"]

    assert (found["name"], found["task"], found["rows"]) == ("label", "classification", 41)
    assert found["classes"] == [
        {"name": "no", "count": 10, "share": 10 / 41},
        {"name": "yes", "count": 31, "share": 31 / 41},
    ]
    assert found["strengths"]["odd"] == {"measure": "correlation_ratio", "strength": pytest.approx(3**-0.5)}


@pytest.mark.parametrize(("target", "code"), [("colour", "unknown_column"), ("same", "one_class")])
def test_a_profile_of_a_target_that_can_not_be_learned_is_refused(shared: Api, target: str, code: str) -> None:
    dataset = shared.upload(b"x,same\n1,a\n2,a\n3,a\n")

    refused = problem(shared.get(f"/v1/datasets/{dataset}/profile", params={"target": target}), 422, code)

    assert refused["errors"][0]["parameter"] == {"in": "query", "name": "target"}


def test_a_profile_of_an_earlier_release_is_shown_with_what_it_has(api: Api) -> None:
    dataset = api.upload(b"size,kind\n1,a\n2,b\n,b\n4,b\n")
    kind = {"type": "text", "missing": 0, "distinct": 2, "top": [{"value": "b", "count": 3}]}
    size = {"type": "integer", "missing": 1, "distinct": 0}
    with api.database.write() as session:
        row = store.get(session, dataset)
        assert row is not None
        row.profile = {"rows": 4, "columns": {"size": size, "kind": kind}}

    found = api.get(f"/v1/datasets/{dataset}/profile").json()

    assert found == {
        "dataset": dataset,
        "rows": 4,
        "columns": {
            "size": {**size, "missing_share": 0.25, "warnings": []},
            "kind": {**kind, "missing_share": 0.0, "warnings": []},
        },
        "duplicate_rows": None,
        "groups": [],
        "warnings": [],
    }


def test_a_dataset_lists_the_newest_runs_that_use_it(api: Api) -> None:
    dataset = api.upload()
    runs = [api.create(dataset=dataset, name=f"run {number}") for number in range(21)]
    other = api.create(dataset=api.upload(b"x,label\n1,a\n2,b\n3,a\n4,b\n5,a\n6,b\n"))

    found = api.get(f"/v1/datasets/{dataset}").json()

    assert found["run_count"] == 21
    assert found["runs"] == [{key: run[key] for key in ("id", "name", "status", "created_at")} for run in runs[:0:-1]]
    listed = api.get("/v1/runs", params={"dataset": other["dataset"]["id"]}).json()["items"]
    assert [run["id"] for run in listed] == [other["id"]]


def test_rows_are_paged_by_offset(shared: Api) -> None:
    dataset = shared.upload()

    page = shared.get(f"/v1/datasets/{dataset}/rows", params={"offset": 38, "limit": 5}).json()

    assert [row["x"] for row in page["items"]] == [38, 39]
    assert page["total"] == 40


def test_a_dataset_in_use_is_kept_unless_forced(api: Api) -> None:
    run = api.train()
    path = f"/v1/datasets/{run['dataset']['id']}"

    assert api.get(path).json()["run_count"] == 1
    refused = problem(api.delete(path), 409, "dataset_in_use")
    assert refused["runs"] == [run["id"]]
    assert refused["detail"].startswith("1 run uses this dataset; ")
    assert api.delete(f"{path}?force=true").status_code == 204
    problem(api.get(path), 404)
    problem(api.get(f"/v1/runs/{run['id']}"), 404)
    assert list((api.settings.data / "datasets").iterdir()) == []


def test_a_dataset_of_an_unfinished_run_is_kept_even_if_forced(api: Api) -> None:
    run = api.create()

    body = problem(api.delete(f"/v1/datasets/{run['dataset']['id']}?force=true"), 409)

    assert body["runs"] == [run["id"]]


def test_an_upload_above_the_limit_is_refused_by_name(api_with_small_limits: Api) -> None:
    body = problem(api_with_small_limits.send(TINY * 10), 413, "too_large")

    assert body["limit"] == "upload_bytes"
    assert body["maximum"] == 1000


def test_a_chunked_upload_is_counted_as_it_comes(api_with_small_limits: Api) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(10):
            yield TINY

    answer = api_with_small_limits.post("/v1/datasets", content=chunks(), headers={"Content-Type": "text/csv"})

    assert problem(answer, 413)["limit"] == "upload_bytes"


@pytest.mark.parametrize(
    ("content", "limit"), [(b"a,b,c,d\n1,2,3,4\n5,6,7,8\n", "columns"), (b"a,b\n" + b"1,2\n" * 60, "rows")]
)
def test_more_rows_or_columns_than_allowed_are_refused(api_with_small_limits: Api, content: bytes, limit: str) -> None:
    assert limit in problem(api_with_small_limits.send(content), 422)["detail"]


@pytest.mark.parametrize("path", ["", "/profile", "/rows"])
def test_a_dataset_that_is_not_there_is_404(shared: Api, path: str) -> None:
    problem(shared.get(f"/v1/datasets/ds_none{path}"), 404, "not_found")


# Formats -----------------------------------------------------------------------------------------------------------

SQUARES = pa.table({"x": [1, 2, 3], "y": ["a", "b", "a"]})
JSON_LINES = b"".join(b'{"x": %d, "y": "%s"}\n' % row for row in [(1, b"a"), (2, b"b"), (3, b"a")])


NUMBERS = np.arange(12.0).reshape(4, 3) + 0.5
FORMATS: dict[str, tuple[bytes, str, Json]] = {
    "TSV": (b"x\ty\n1\ta\n2\tb\n", "text/tab-separated-values", {"x": 1, "y": "a"}),
    "JSON lines": (JSON_LINES, "application/x-ndjson", {"x": 1, "y": "a"}),
    "Parquet": (parquet(SQUARES), "application/vnd.apache.parquet", {"x": 1, "y": "a"}),
    "an Arrow file": (
        arrow(SQUARES, pa.ipc.new_file),
        "application/vnd.apache.arrow.file",
        {"x": 1, "y": "a"},
    ),
    "an Arrow stream": (
        arrow(SQUARES, pa.ipc.new_stream),
        "application/vnd.apache.arrow.stream",
        {"x": 1, "y": "a"},
    ),
    "NPY": (npy(NUMBERS), "application/x-npy", {"x_0": 0.5, "x_1": 1.5, "x_2": 2.5}),
    "NPZ": (npz(X=NUMBERS, y=np.arange(4)), "application/x-npz", {"x_0": 0.5, "x_1": 1.5, "x_2": 2.5, "y": 0}),
}


@pytest.mark.parametrize("is_compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("is_said", [True, False], ids=["said", "guessed"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read(shared: Api, name: str, is_said: bool, is_compressed: bool) -> None:
    content, media_type, first = FORMATS[name]
    sent = gzip.compress(content) if is_compressed else content

    answer = shared.send(sent, media_type=media_type if is_said else "application/octet-stream")

    body = answer.json()
    assert answer.status_code in (200, 201), body
    assert shared.get(f"/v1/datasets/{body['id']}/rows").json()["items"][0] == first
    if is_said:
        assert body["media_type"] == media_type
    assert body["format"].get("compression") == ("gzip" if is_compressed else None)
    assert body["sha256"] == hashlib.sha256(sent).hexdigest()


def test_a_content_encoding_of_gzip_must_hold(shared: Api) -> None:
    headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}

    assert shared.post("/v1/datasets", content=gzip.compress(TINY), headers=headers).json()["rows"] == 40
    body = problem(shared.post("/v1/datasets", content=TINY, headers=headers), 422, "damaged")
    assert "expected a whole gzip file" in body["detail"]


def test_a_file_that_grows_beyond_its_limit_once_decompressed_is_refused_by_name(tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(decompressed_bytes=100_000, json_upload_bytes=1000)) as api:
        bomb = gzip.compress(b"x,y\n" + b"1,2\n" * 100_000)
        document = gzip.compress(b'{"columns": {"x": [%s1]}}' % (b"1," * 1000))
        zipped = npz(X=np.zeros((50_000, 4)))

        refused = [
            problem(api.send(bomb), 413, "too_large"),
            problem(api.send(zipped, media_type="application/x-npz"), 413, "too_large"),
            problem(api.send(document, media_type="application/json"), 413, "too_large"),
        ]

        assert [(body["limit"], body["maximum"]) for body in refused] == [
            ("decompressed_bytes", 100_000),
            ("decompressed_bytes", 100_000),
            ("json_upload_bytes", 1000),
        ]
        assert list((api.settings.data / "uploads").iterdir()) == []
        assert api.get("/v1/limits").json()["decompressed_bytes"] == 100_000


def test_how_a_file_is_written_is_said(shared: Api) -> None:
    content = "größe;y\r\n1,5;a\r\n2,5;b\r\n".encode("cp1252")

    shown = shared.post("/v1/datasets/preview", content=content, headers={"Content-Type": "text/csv"}).json()
    kept = shared.send(content).json()

    found = {"delimiter": ";", "encoding": "windows-1252", "header": True, "decimal": ","}
    assert shown["format"] == kept["format"] == shared.get(f"/v1/datasets/{kept['id']}").json()["format"] == found
    assert shown["first_rows"] == [{"größe": 1.5, "y": "a"}, {"größe": 2.5, "y": "b"}]


def test_another_way_to_read_the_same_bytes_is_another_dataset(api: Api) -> None:
    content = "x,y\n1,ü\n2,?\n".encode()

    def send(**options: str) -> httpx.Response:
        return api.post("/v1/datasets", content=content, headers={"Content-Type": "text/csv"}, params=options)

    first, same = send(), send(encoding="UTF-8", delimiter=",", header="true")
    others = [send(encoding="windows-1252"), send(na='["?"]'), send(types='{"x": "text"}'), send(na='["a"]')]

    assert (first.status_code, same.status_code) == (201, 200)
    assert first.json()["id"] == same.json()["id"]
    assert [answer.status_code for answer in others] == [201] * 4


def test_datasets_of_the_first_release_are_found_again(api: Api) -> None:
    dataset = api.upload(TINY)

    with api.database.read() as session:
        row = store.get(session, dataset)

    assert row is not None
    assert row.schema_sha256 == hashlib.sha256(orjson.dumps(row.columns, option=orjson.OPT_SORT_KEYS)).hexdigest()


def test_a_dataset_older_than_formats_has_none(api: Api) -> None:
    dataset = api.upload(TINY)
    with api.database.write() as session:
        row = store.get(session, dataset)
        assert row is not None
        row.format = None

    assert api.get(f"/v1/datasets/{dataset}").json()["format"] is None
    assert api.get("/v1/datasets").json()["items"][0]["format"] is None


# Forms -------------------------------------------------------------------------------------------------------------


def test_a_file_comes_in_a_form(shared: Api) -> None:
    plain = shared.send(TINY).json()

    answer = shared.post("/v1/datasets", files={"file": ("tiny.csv", TINY, "text/csv")})

    assert answer.status_code == 200
    assert answer.json()["id"] == plain["id"]


@pytest.mark.parametrize("content", [parquet(SQUARES), gzip.compress(JSON_LINES)], ids=["Parquet", "JSON lines, gzip"])
def test_a_file_in_a_form_may_say_nothing_of_itself(shared: Api, content: bytes) -> None:
    answer = shared.post("/v1/datasets/preview", files={"file": content})

    assert answer.json()["first_rows"][0] == {"x": 1, "y": "a"}


def test_a_form_is_cut_off_at_the_limit_of_uploads(api_with_small_limits: Api) -> None:
    answer = api_with_small_limits.post("/v1/datasets", files={"file": ("tiny.csv", TINY * 10, "text/csv")})

    assert problem(answer, 413)["limit"] == "upload_bytes"


def test_a_form_may_come_in_any_pieces(shared: Api) -> None:
    form = httpx.Request("POST", "http://x", files={"file": ("tiny.csv", TINY, "text/csv")})
    body = form.read()

    async def pieces() -> AsyncIterator[bytes]:
        for place in range(len(body)):
            yield body[place : place + 1]

    headers = {"Content-Type": form.headers["content-type"]}

    answer = shared.post("/v1/datasets/preview", content=pieces(), headers=headers)

    assert answer.json()["rows"] == 40


BOUNDARY = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx,y\n1,2\n3,4\n\r\n'
BROKEN_FORMS: dict[str, tuple[bytes, str, int, str]] = {
    "no boundary": (PART % b"file" + b"--b--\r\n", "multipart/form-data", 400, "no boundary in its Content-Type"),
    "no form": (b"x,y\n1,2\n", BOUNDARY, 400, "The body is not a form of multipart/form-data"),
    "nothing": (b"", BOUNDARY, 400, "the end of the body before that of its part"),
    "no end": (PART % b"file", BOUNDARY, 400, "the end of the body before that of its part"),
    "another name": (
        PART % b"data" + b"--b--\r\n",
        BOUNDARY,
        422,
        "expected one part, called file, got one called 'data'",
    ),
    "two files": (PART % b"file" * 2 + b"--b--\r\n", BOUNDARY, 422, "expected one part, called file, got two"),
    "a file of another type": (
        (PART % b"file").replace(b"\r\n\r\n", b"\r\nContent-Type: image/png\r\n\r\n", 1) + b"--b--\r\n",
        BOUNDARY,
        415,
        "expected a part of text/csv or ",
    ),
}


@pytest.mark.parametrize("name", BROKEN_FORMS)
def test_a_form_that_brings_no_file_is_refused(api: Api, name: str) -> None:
    content, content_type, status, word = BROKEN_FORMS[name]

    answer = api.post("/v1/datasets", content=content, headers={"Content-Type": content_type})

    assert word in problem(answer, status)["detail"]
    assert list((api.settings.data / "uploads").iterdir()) == []


# Options -----------------------------------------------------------------------------------------------------------

BAD_OPTIONS: dict[str, tuple[Json, str, str]] = {
    "a delimiter of two": ({"delimiter": ";;"}, "delimiter", "at most 1"),
    "a letter as a delimiter": ({"delimiter": "x"}, "delimiter", "pattern"),
    "an unknown encoding": ({"encoding": "morse"}, "encoding", "expected one of utf-8, utf-16, "),
    "a codec that is no encoding": ({"encoding": "rot13"}, "encoding", "expected one of utf-8"),
    "a header of neither": ({"header": "maybe"}, "header", "boolean"),
    "another decimal": ({"decimal": "'"}, "decimal", "'.' or ','"),
    "types that are no JSON": ({"types": "zip=text"}, "types", "expected an object of column types by name, in JSON"),
    "an unknown type": ({"types": '{"x": "money"}'}, "types", "x: Input should be 'number', 'integer'"),
    "an unknown column": ({"types": '{"z": "text"}'}, "types", "there is no column 'z'; the file has x, y, label"),
    "na that is no list": ({"na": '"?"'}, "na", "expected a list of at most 100 texts, in JSON"),
    "na of numbers": ({"na": "[-999]"}, "na", "expected a list of at most 100 texts, in JSON"),
}


@pytest.mark.parametrize("path", ["/v1/datasets", "/v1/datasets/preview"])
@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_an_option_that_can_not_be_followed_is_named(shared: Api, path: str, name: str) -> None:
    params, parameter, word = BAD_OPTIONS[name]

    answer = shared.post(path, content=TINY, headers={"Content-Type": "text/csv"}, params=params)

    [fault] = problem(answer, 422)["errors"]
    assert fault["parameter"] == {"in": "query", "name": parameter}
    assert word in fault["detail"]


def test_an_option_of_text_alone_is_refused_of_other_formats(shared: Api) -> None:
    headers = {"Content-Type": "application/json"}

    answer = shared.post("/v1/datasets", content=b'{"columns": {}}', headers=headers, params={"delimiter": ";"})

    assert problem(answer, 422)["errors"][0]["parameter"] == {"in": "query", "name": "delimiter"}


def test_a_cell_that_is_not_of_the_type_said_is_a_place_in_the_table(shared: Api) -> None:
    params = {"types": '{"label": "number"}'}

    answer = shared.post("/v1/datasets", content=TINY, headers={"Content-Type": "text/csv"}, params=params)

    [fault] = problem(answer, 422, "wrong_type")["errors"]
    assert fault["pointer"] == "/rows/0/label"
    assert fault["detail"] == "expected a number, as types demands, got 'even' in data row 1"


def test_moments_go_from_a_file_to_a_prediction(api: Api) -> None:
    content = "when,y\n" + "".join(f"2024-05-{day:02d},{day * 1.5}\n" for day in range(1, 31))
    run = api.train(dataset=api.upload(content.encode()), target="y")

    answer = api.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"when": "2024-05-05T12:00Z"}, {"when": None}]})

    assert len(answer.json()["predictions"]) == 2
    refused = api.post(f"/v1/runs/{run['id']}/predict", {"rows": [{"when": "soon"}]})
    assert problem(refused, 422)["errors"][0]["pointer"] == "/rows/0/when"
    target = api.post("/v1/runs", {"dataset": run["dataset"]["id"], "target": "when"})
    assert problem(target, 422, "datetime_target")["errors"][0]["pointer"] == "/target"
