import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from service.store.database import Database, DatabaseTooNew, DatabaseUnusable, database_now, migrate
from service.store.tables import Row
from tests.store import factories


def test_the_migrations_make_the_tables_the_code_describes(database: Database) -> None:
    with database.connection() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, Row.metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    with database.write() as session:
        factories.run(session)

    migrate(database)

    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM runs")) == 1


def test_a_database_of_a_newer_release_is_refused(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseTooNew, match="revision 9999, which a newer release"):
        migrate(database)


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", "postgresql+nothing://host/name"])
def test_the_address_of_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="CHAINRULE_DATABASE_URL: expected sqlite:"):
        Database(url)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(DatabaseUnusable, match=r"pip install 'chainrule\[postgresql\]'"):
        Database("postgresql+psycopg://host/name")


def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    database = Database("postgresql+psycopg://user:hunter2@127.0.0.1:1/name")

    with pytest.raises(DatabaseUnusable, match=r"the database postgresql.* can't be used") as caught:
        migrate(database)

    assert "hunter2" not in str(caught.value)


def test_the_database_has_a_clock_of_its_own(database: Database) -> None:
    with database.read() as session:
        first, second = (session.scalar(select(database_now())) for _ in range(2))

    assert first is not None
    assert second is not None
    assert 1.7e9 < first <= second


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            factories.run(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM runs")) == 0


def test_sqlite_is_durable_and_knows_its_references(database: Database) -> None:
    if not database.is_sqlite:
        return
    with database.connection() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
        references = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()

    assert found == {"journal_mode": "wal", "synchronous": 2}
    assert references == 1
