"""Fixtures that several folders of tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.settings import Limits
from service.store.database import Database, migrate
from tests.support import POSTGRESQL, Api, fresh_postgresql


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """The API over an empty folder."""
    with Api(tmp_path / "data") as found:
        yield found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API for tests that only read, or only add what nobody else counts."""
    with Api(tmp_path_factory.mktemp("shared") / "data") as found:
        yield found


@pytest.fixture
def api_with_small_limits(tmp_path: Path) -> Iterator[Api]:
    """An API that accepts little."""
    limits = Limits(
        upload_bytes=1000,
        request_bytes=2000,
        dataset_columns=3,
        dataset_rows=50,
        layers=3,
        parameters=50,
        epochs=100,
        queued_runs=2,
        predict_rows=3,
        evaluate_numbers=80,
        inspect_rows=5,
        inspect_numbers=20,
        inspect_answer_bytes=256,
        check_nudges=10,
    )
    with Api(tmp_path / "data", limits=limits) as found:
        yield found


@pytest.fixture
def api_with_token(tmp_path: Path) -> Iterator[Api]:
    """An API that asks for a token."""
    with Api(tmp_path / "data", token="open-sesame-open-sesame") as found:
        yield found


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRESQL else [])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.sqlite3'}"
        return
    with fresh_postgresql() as address:
        yield address


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A migrated, empty database."""
    found = Database(url)
    migrate(found)
    yield found
    found.dispose()
