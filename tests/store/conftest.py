"""A database for each test, on every system there is one for."""

from collections.abc import Iterator

import pytest

from service.store.database import Database, migrate


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A migrated, empty database."""
    found = Database(url)
    migrate(found)
    yield found
    found.dispose()
