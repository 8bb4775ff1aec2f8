"""The database: connections, transactions, its clock and its migrations, on SQLite and PostgreSQL alike."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Float, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

import migrations

SAFE_SQLITE = (3, 51, 3)
"""Releases before this one can lose pages when a checkpoint of the log races a commit of another process."""
BUSY_SECONDS = 30
KINDS = ("sqlite", "postgresql")

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    f"busy_timeout = {BUSY_SECONDS * 1000}",
    "temp_store = MEMORY",
)


UNAVAILABLE = (OperationalError, InterfaceError)
"""What a database that is locked, full or away raises: the same statement may succeed later. Other errors stay."""


class DatabaseUnusable(Exception):  # noqa: N818 - said to the user in one sentence
    """An address of a database that is none of ours, can't be spoken to, or does not answer."""


class DatabaseTooNew(Exception):  # noqa: N818 - a state of things, said to the user in one sentence
    """The database was written by a newer release."""


class Database:
    """One database, by URL. `read` and `write` are its transactions.

    Raises DatabaseUnusable for a URL of another kind of database, or of one whose driver is not installed.
    """

    def __init__(self, url: URL | str) -> None:
        self.url = _known(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.sqlite = _sqlite_module()
        self._readers, self._writers = self._pool(), self._pool().execution_options(writes=True)

    def _pool(self) -> Engine:
        """Connections of their own: writers wait for each other, and readers should not wait with them."""
        options: dict[str, Any] = {"module": self.sqlite} if self.is_sqlite else {"pool_pre_ping": True}
        options |= {"json_serializer": _json, "json_deserializer": orjson.loads}
        try:
            pool = create_engine(self.url, **options)
        except ImportError as error:
            raise DatabaseUnusable(
                f"the driver for {self.url.drivername} is not installed: pip install 'chainrule[postgresql]', "
                "and let CHAINRULE_DATABASE_URL begin with postgresql+psycopg://"
            ) from error
        if self.is_sqlite:
            event.listen(pool, "connect", _prepare_connection)
            event.listen(pool, "begin", _begin)
        return pool

    @property
    def sqlite_version(self) -> str:
        """The SQLite in use, such as 3.53.4."""
        return str(self.sqlite.sqlite_version)

    @property
    def is_sqlite_safe(self) -> bool:
        """Whether this SQLite is free of the lost-page bug."""
        return tuple(self.sqlite.sqlite_version_info) >= SAFE_SQLITE

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A short transaction that only reads."""
        with Session(self._readers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes, committed at the end of the block. On SQLite there is one at a time."""
        with Session(self._writers, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A bare connection in a transaction that writes."""
        with self._writers.begin() as connection:
            yield connection

    def dispose(self) -> None:
        """Close every connection."""
        self._readers.dispose()
        self._writers.dispose()


def _known(url: URL | str) -> URL:
    """The parts of an address that SQLAlchemy can make a connection from. It may hold a password, so it is not said."""
    expected = "CHAINRULE_DATABASE_URL: expected sqlite:///file or postgresql+psycopg://user:password@host/name"
    try:
        found = make_url(url)
        kind = found.get_backend_name()
        found.get_dialect()
    except ArgumentError as error:
        raise DatabaseUnusable(expected) from error
    if kind not in KINDS:
        raise DatabaseUnusable(f"{expected}, got {kind}")
    return found


def _sqlite_module() -> ModuleType:
    """A current SQLite where its wheel is installed, else Python's own."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        return sqlite3
    return dbapi2  # type: ignore[no-any-return]


def _json(value: Any) -> str:
    """Half the cost of the standard library's, which a worker pays for every epoch."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that read first would be refused it, however long it waited."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class database_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since 1970 by the database's own clock, the only one that leases are judged by."""

    type = Float(53)
    inherit_cache = True


@compiles(database_now, "sqlite")
def _now_sqlite(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _now_postgresql(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


# Migrations --------------------------------------------------------------------------------------------------------


def migrate(database: Database) -> None:
    """Bring the tables up to date, in one transaction that one process at a time may hold.

    Raises DatabaseTooNew for a database of a newer release, DatabaseUnusable for one that does not answer.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    try:
        with database.connection() as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(4711202607)"))
            _refuse_newer(config, connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except UNAVAILABLE as error:
        where = database.url.render_as_string()
        raise DatabaseUnusable(f"the database {where} can't be used: {str(error.orig).strip()}") from error


def _refuse_newer(config: Config, connection: Connection) -> None:
    if not inspect(connection).has_table("alembic_version"):
        return
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = set(current) - known
    if unknown:
        raise DatabaseTooNew(
            f"the database is at revision {', '.join(sorted(unknown))}, which a newer release of Chainrule wrote; "
            "install that release, or use another data folder"
        )
