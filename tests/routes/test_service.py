"""What every route shares, and the routes about the service itself."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy.exc import TimeoutError

from engine import __version__
from engine.layers import ACTIVATIONS, LAYERS
from engine.losses import LOSSES
from engine.optimizers import OPTIMIZERS
from service.problems import pointer_of
from service.schemas.base import Body
from service.schemas.datasets import DatasetDetail
from service.schemas.losses import LossesBody
from service.schemas.runs import RunSummary
from service.settings import Limits
from service.store import runs
from tests.support import TINY, Api, Json, problem

JSON = {"Content-Type": "application/json"}


def test_the_first_page_says_where_to_look(shared: Api) -> None:
    about = shared.get("/").json()

    assert about["version"] == __version__
    assert all(shared.get(about[link]).status_code != 404 for link in ("documentation", "openapi", "health"))


def test_a_server_that_answers_is_live(shared: Api) -> None:
    assert shared.get("/v1/health/live").status_code == 200


def test_a_server_is_ready_while_a_worker_was_seen_lately(api: Api) -> None:
    assert api.get("/v1/health/ready").status_code == 200

    with api.database.write() as session:
        session.connection().exec_driver_sql("UPDATE workers SET last_seen = last_seen - 3600")

    problem(api.get("/v1/health/ready"), 503)


def test_limits_are_published(shared: Api) -> None:
    limits = shared.get("/v1/limits").json()

    assert limits == shared.settings.limits.model_dump()


def test_everything_a_spec_can_name_is_explained(shared: Api) -> None:
    found = shared.get("/v1/layers").json()

    for table, known in (
        ("layers", [*LAYERS, "activation"]),
        ("activations", ACTIVATIONS),
        ("losses", LOSSES),
        ("optimizers", OPTIMIZERS),
    ):
        entries = {entry["name"]: entry for entry in found[table]}
        assert set(known) <= set(entries)
        assert all(entry["summary"] for entry in entries.values())


def test_metrics_count_requests_and_runs(api: Api) -> None:
    api.create()

    text = api.get("/metrics").text

    assert 'chainrule_runs{status="queued"} 1.0' in text
    assert 'chainrule_requests_total{method="POST",route="/v1/runs",status="201"}' in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/v1/runs", 405), ("GET", "/v1/runs/", 404), ("POST", "/v1/limits", 405)],
)
def test_an_address_that_is_not_there_is_a_problem_too(shared: Api, method: str, path: str, status: int) -> None:
    problem(shared.request(method, path), status)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/runs", {"GET", "HEAD", "POST"}),
        ("POST", "/v1/runs/run_1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("OPTIONS", "/v1/runs/run_1/predict", {"POST"}),
        ("DELETE", "/openapi.json", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_told_all_that_there_are(shared: Api, method: str, path: str, allowed: set[str]) -> None:
    answer = shared.request(method, path)

    problem(answer, 405)
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/v1/health/live", "/v1/health/ready", "/v1/limits", "/metrics", "/openapi.json"])
def test_head_is_get_without_the_body(shared: Api, path: str) -> None:
    answer, whole = shared.request("HEAD", path), shared.get(path)

    assert answer.status_code == whole.status_code
    assert answer.headers["content-type"] == whole.headers["content-type"]
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


def test_head_of_a_stream_does_not_wait_for_its_end(api: Api) -> None:
    path = f"/v1/runs/{api.create()['id']}/events"

    assert api.request("HEAD", path).status_code == 200
    assert api.request("HEAD", path, headers={"Accept": "text/event-stream"}).status_code == 405


def test_every_query_parameter_that_is_not_documented_is_refused(shared: Api) -> None:
    for path, methods in shared.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            body = problem(shared.request(method, f"{path}?limt=3"), 422)

            documented = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"]
            [fault] = body["errors"]
            assert fault["parameter"] == {"in": "query", "name": "limt"}
            assert fault["allowed"] == documented
            assert fault["code"] == "extra_forbidden"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_of_a_type_that_is_not_documented_is_refused(shared: Api, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    for path, methods in shared.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                body = problem(shared.request(method, path, content="{}", headers=headers), 415)

                [fault] = body["errors"]
                assert fault["parameter"] == {"in": "header", "name": "Content-Type"}
                assert fault["allowed"] == list(operation["requestBody"]["content"])


def test_the_openapi_document_has_an_example_and_errors_on_every_route(shared: Api) -> None:
    document = shared.get("/openapi.json").json()

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert operation["description"], (method, path)
            if path.startswith("/v1/") and "health" not in path:
                assert "application/problem+json" in operation["responses"]["401"]["content"]


def test_every_success_has_an_example_that_is_one(shared: Api) -> None:
    document = shared.get("/openapi.json").json()
    schemas = document["components"]["schemas"]

    def shown(content: Json) -> bool:
        schema = content["schema"]
        while "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        if "anyOf" in schema:
            return all(shown({"schema": each}) for each in schema["anyOf"])
        items = schema.get("properties", {}).get("items", {}).get("items")
        return "example" in content or "examples" in schema or (items is not None and shown({"schema": items}))

    missing = [
        f"{method} {path} {status}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for status, answer in operation["responses"].items()
        if status.startswith("2") and "application/json" in answer.get("content", {})
        if not shown(answer["content"]["application/json"])
    ]
    assert missing == []


@pytest.mark.parametrize("kind", [*Body.__subclasses__(), *RunSummary.__subclasses__(), DatasetDetail, LossesBody])
def test_every_example_of_an_answer_is_one(kind: type[BaseModel]) -> None:
    extra = kind.model_config.get("json_schema_extra") or {}

    for example in extra["examples"] if isinstance(extra, dict) and extra else []:
        kind.model_validate(example)
        assert set(example) <= set(kind.model_fields) or kind is LossesBody


def test_the_headers_of_answers_are_documented(shared: Api) -> None:
    paths = shared.get("/openapi.json").json()["paths"]

    created = paths["/v1/runs"]["post"]["responses"]
    assert set(created["201"]["headers"]) == {"Location", "Idempotency-Replayed"}
    assert set(created["429"]["headers"]) == {"Retry-After"}
    assert set(paths["/v1/datasets"]["post"]["responses"]["201"]["headers"]) == {"Location"}
    assert {"413", "431", "500", "503"} <= set(paths["/v1/layers"]["get"]["responses"])


# What is wrong is named --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "headers", "parameter"),
    [
        ("/v1/runs?limit=0", {}, {"in": "query", "name": "limit"}),
        ("/v1/runs?cursor=none", {}, {"in": "query", "name": "cursor"}),
        (f"/v1/runs/{'x' * 61}", {}, {"in": "path", "name": "run_id"}),
        ("/v1/runs/run_1/events", {"Last-Event-ID": "x"}, {"in": "header", "name": "Last-Event-ID"}),
        ("/v1/runs/run_1/checkpoints/best/weights", {"Accept": "text/html"}, {"in": "header", "name": "Accept"}),
    ],
)
def test_what_is_wrong_outside_of_a_body_is_named_as_a_parameter(
    shared: Api, path: str, headers: dict[str, str], parameter: Json
) -> None:
    [fault] = shared.get(path, headers=headers).json()["errors"]

    assert fault["parameter"] == parameter
    assert "pointer" not in fault


@pytest.mark.parametrize(
    ("place", "pointer"),
    [
        ("file", ""),
        ("network.layers[2].units", "/network/layers/2/units"),
        ("parameters.W.1", "/parameters/W.1"),
        ("options.vector.W.1", "/options/vector/W.1"),
        ("columns.size.cm [1]/~", "/columns/size.cm [1]~1~0"),
        ("rows[3].size.cm", "/rows/3/size.cm"),
        ("rows[3]", "/rows/3"),
    ],
)
def test_a_place_of_the_engines_becomes_a_pointer(place: str, pointer: str) -> None:
    assert pointer_of(place) == pointer


# The door ----------------------------------------------------------------------------------------------------------


def test_another_host_name_is_turned_away(shared: Api) -> None:
    problem(shared.get("/v1/limits", headers={"Host": "evil.example"}), 403, "host_not_allowed")


def test_a_page_of_another_site_may_read_nothing_in_and_write_nothing(shared: Api) -> None:
    foreign, own = {"Origin": "https://evil.example"}, {"Origin": "http://127.0.0.1"}
    body = {"Content-Type": "text/csv"}

    problem(shared.post("/v1/datasets", content=TINY, headers={**foreign, **body}), 403, "origin_not_allowed")
    assert shared.post("/v1/datasets", content=TINY, headers={**own, **body}).status_code in (200, 201)
    answer = shared.get("/v1/limits", headers=foreign)
    assert "access-control-allow-origin" not in answer.headers


def test_with_a_token_only_who_knows_it_comes_in(api_with_token: Api) -> None:
    get = api_with_token.get

    problem(get("/v1/limits"), 401, "unauthorized")
    problem(get("/v1/limits", headers={"Authorization": "Bearer wrong"}), 401)
    problem(get("/v1/limits", headers={"Authorization": "Basic open-sesame-open-sesame"}), 401)
    assert get("/v1/limits", headers={"Authorization": "Bearer open-sesame-open-sesame"}).status_code == 200
    assert get("/v1/health/live").status_code == 200


def test_a_body_above_the_limit_is_refused_before_it_is_read(api_with_small_limits: Api) -> None:
    body = {"dataset": "ds_1", "target": "y", "notes": "x" * 3000}

    answer = api_with_small_limits.post("/v1/runs", body)

    assert problem(answer, 413)["limit"] == "request_bytes"


def test_a_chunked_body_above_the_limit_is_refused_by_name(api_with_small_limits: Api) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"dataset": "ds_1", "target": "y", "notes": "'
        for _ in range(10):
            yield b"x" * 1000

    answer = api_with_small_limits.post("/v1/runs", content=chunks(), headers=JSON)

    assert problem(answer, 413, "too_large")["limit"] == "request_bytes"


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/run_1/predict", "/v1/datasets"])
def test_a_body_that_stands_still_is_given_up(tmp_path: Path, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"rows":'
        await asyncio.sleep(60)

    with Api(tmp_path / "data", read_seconds=0.05) as api:
        answer = api.post(path, content=chunks(), headers=JSON)

        assert "0.05 seconds" in problem(answer, 400, "read_timeout")["detail"]
        assert list((api.settings.data / "uploads").iterdir()) == []


def test_what_a_server_that_stops_has_no_time_for_is_answered(api: Api) -> None:
    is_reading = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x,y\n"
        is_reading.set()
        await asyncio.sleep(60)

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        upload = asyncio.create_task(
            client.post("/v1/datasets", content=chunks(), headers={"Content-Type": "text/csv"})
        )
        await is_reading.wait()
        upload.cancel()
        return await upload

    problem(api.ask(ask), 503, "stopping")
    assert list((api.settings.data / "uploads").iterdir()) == []


def test_a_client_that_goes_away_is_no_error_of_ours(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async def nothing_more() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def nowhere(_: object) -> None:
        pass

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"text/csv")]
    scope = {"type": "http", "method": "POST", "path": "/v1/datasets", "query_string": b"", "headers": headers}
    asyncio.run(api.app(scope, nothing_more, nowhere))

    assert [record.levelname for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.parametrize(
    "options", [{"headers": {"X-Long": "x" * 70_000}}, {"params": {"tag": "x" * 60_000}, "headers": {"X": "x" * 9_000}}]
)
def test_headers_and_addresses_have_a_limit(shared: Api, options: Json) -> None:
    assert problem(shared.get("/v1/runs", **options), 431)["limit"] == "header_bytes"


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/run_1/predict", "/v1/datasets"])
@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"Content-Encoding": "br"}, "Content-Encoding: expected identity"),
        ({"Content-Type": "application/json; charset=latin-1"}, "expected charset=utf-8, got charset=latin-1."),
    ],
)
def test_a_body_that_is_not_plain_utf_8_is_refused(
    shared: Api, path: str, headers: dict[str, str], sentence: str
) -> None:
    answer = shared.post(path, content=gzip.compress(b"{}"), headers={**JSON, **headers})

    assert sentence in problem(answer, 415, "unsupported_media_type")["detail"]


def test_only_files_may_come_compressed(shared: Api) -> None:
    answer = shared.post("/v1/runs", content=gzip.compress(b"{}"), headers={**JSON, "Content-Encoding": "gzip"})

    assert problem(answer, 415)["detail"] == "Content-Encoding: expected identity, got gzip."


@pytest.mark.parametrize(
    ("charset", "encoding"), [("latin1", "iso-8859-1"), ("Windows-1252", "windows-1252"), ("sjis", "shift_jis")]
)
def test_a_text_files_charset_is_its_encoding(shared: Api, charset: str, encoding: str) -> None:
    word = "テスト" if encoding == "shift_jis" else "Zürich"
    content, kind = f"x,y,label\n1,2,{word}\n2,3,no\n".encode(encoding), f"text/csv; charset={charset}"

    dataset = shared.send(content, media_type=kind).json()
    preview = shared.post("/v1/datasets/preview", content=content, headers={"Content-Type": kind}).json()

    assert dataset["format"]["encoding"] == preview["format"]["encoding"] == encoding
    assert word in str(preview)
    refused = problem(shared.send(TINY, media_type="text/csv; charset=klingon"), 415)
    assert "charset=windows-1252" in refused["errors"][0]["allowed"]


@pytest.mark.parametrize("charset", ["utf-8", '"UTF-8"', "utf8"])
def test_utf_8_has_several_spellings(shared: Api, charset: str) -> None:
    assert shared.send(TINY, media_type=f"text/csv; charset={charset}").status_code in (200, 201)


def test_a_content_type_in_capitals_has_the_same_limit(tmp_path: Path) -> None:
    with Api(tmp_path / "data", limits=Limits(json_upload_bytes=10)) as api:
        answer = api.send(b'{"columns": {"x": [1, 2]}}', media_type="Application/JSON; charset=utf-8")

        assert problem(answer, 413)["limit"] == "json_upload_bytes"


# Under load --------------------------------------------------------------------------------------------------------


def test_readers_are_answered_while_more_writers_wait_than_there_are_threads(api: Api) -> None:
    run = api.train()
    path = f"/v1/runs/{run['id']}"

    async def ask(client: httpx.AsyncClient) -> list[int]:
        with api.database.write():  # the lock that every writer waits for
            writers = [asyncio.create_task(client.patch(path, json={"priority": n})) for n in range(60)]
            await asyncio.sleep(0.5)
            readers = [
                client.get("/v1/health/live"),
                client.get("/v1/health/ready"),
                client.get(path),
                client.post(f"{path}/predict", json={"rows": [{"x": 1, "y": 2}]}),
            ]
            found = [answer.status_code for answer in await asyncio.wait_for(asyncio.gather(*readers), 10)]
        await asyncio.gather(*writers)
        return found

    assert api.ask(ask) == [200, 200, 200, 200]


def test_a_pool_without_a_free_connection_is_said_to_be_busy(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_connection(*_: object, **__: object) -> None:
        raise TimeoutError("QueuePool limit of size 5 overflow 10 reached")

    monkeypatch.setattr(runs, "get", no_connection)

    answer = api.get("/v1/runs/run_1")

    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
