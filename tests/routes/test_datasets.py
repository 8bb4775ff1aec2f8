import asyncio
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.settings import Limits
from service.store import datasets as store
from tests.support import TINY, Api, problem

REFUSED = {
    "an empty file": (b"", "text/csv", 422, "empty"),
    "a header alone": (b"x,y\n", "text/csv", 422, "rows"),
    "one row": (b"x,y\n1,2\n", "text/csv", 422, "got one"),
    "a column named twice": (b"x,x\n1,2\n3,4\n", "text/csv", 422, "x"),
    "a ragged row": (b"x,y\n1,2\n3\n5,6\n", "text/csv", 422, "rows[1]"),
    "bytes that are not UTF-8": (b"x,y\n1,caf\xe9\n2,b\n", "text/csv", 422, "UTF-8"),
    "an infinite cell": (b"x,y\n1,2\n1e400,3\n", "text/csv", 422, "1e400"),
    "broken JSON": (b'{"columns": ', "application/json", 422, "JSON"),
    "NaN in JSON": (b'{"columns": {"x": [1, NaN], "y": [1, 2]}}', "application/json", 422, "NaN"),
    "columns of unequal length": (b'{"columns": {"x": [1, 2], "y": [1]}}', "application/json", 422, "2 cells"),
    "a nested cell": (b'{"columns": {"x": [[1], [2]], "y": [1, 2]}}', "application/json", 422, "x"),
    "a key twice": (b'{"columns": {"x": [1, 2], "x": [3, 4]}}', "application/json", 422, "x"),
    "an unknown content type": (b"x,y\n1,2\n3,4\n", "application/pdf", 415, "application/pdf"),
    "bytes of a gzip file": (gzip.compress(b"x,y\n1,2\n3,4\n", mtime=0), "text/csv", 422, ""),
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
