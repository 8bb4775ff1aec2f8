"""The OpenAPI document holds: whatever is sent, no 5xx, and no status, content type or body that it does not name."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engine.data import ANY, READERS
from service.app import create_app
from service.settings import Settings
from service.store.database import Database
from tests.support import TINY, server

JSON_AND_TEXT = ("text/csv", "text/tab-separated-values", "application/json")
"""Media types that schemathesis can write itself."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schemathesis.serializer.alias([media_type for media_type in READERS if media_type not in JSON_AND_TEXT], ANY)

document = create_app(Settings(), Database("sqlite://")).openapi()
OPERATIONS = {found.ok().label: found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()}
QUICKLY = settings(
    max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


def examples(operation: schemathesis.APIOperation) -> list[Any]:
    """The bodies in JSON that the document shows for an operation."""
    body = operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = body.get("schema", {})
    shown = schema if "$ref" not in schema else document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [*shown.get("examples", []), *(each["value"] for each in body.get("examples", {}).values())]


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The ids of what a server with one trained run holds, and its address."""
    with server(tmp_path_factory.mktemp("contract") / "data", "--workers", "1", "--quiet") as served:
        dataset = served.client.upload_bytes(TINY, name="tiny")
        run = served.client.create_run(dataset=dataset.id, target="label", training={"epochs": 2})
        served.client.wait(run.id)
        step = f"{served.url}/v1/runs/{run.id}/steps/last"
        later = httpx.get(step, headers={"Prefer": "respond-async"}, trust_env=False)
        yield {
            "url": served.url,
            "dataset_id": dataset.id,
            "run_id": run.id,
            "checkpoint_id": "best",
            "step": "last",
            "address": "dW.1[0,0]",
            "inspection_id": later.json()["id"],
        }


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_the_document_names(label: str, ids: dict[str, str]) -> None:
    operation = OPERATIONS[label]

    def hold(case: schemathesis.Case) -> None:
        if case.method != "DELETE":
            case.path_parameters = {name: ids[name] for name in case.path_parameters or {}}
        case.call_and_validate(base_url=ids["url"], checks=CHECKS)

    for example in examples(operation):
        hold(operation.Case(body=example, media_type="application/json", path_parameters=dict(ids)))
    QUICKLY(given(case=operation.as_strategy())(hold))()
