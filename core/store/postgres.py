"""PostgreSQL: a house that several processes may share.

Every writer says BEGIN and COMMIT itself, in READ COMMITTED: units hold what they are about to change
(`core.store.driver.held`), so that two processes never lose each other's writes. Readers see one moment of the
database in each query.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.errors import DatabaseUnusable, SettingsError
from core.settings import without_secrets
from core.store.backend import Meaning
from core.store.migrations import NotOurs, migrate

_CONNECT_SECONDS = 5
_PREPARE_AFTER = 2
_READERS = 4
# The one number that every maitred on the server locks while it brings a schema up to date.
_MIGRATION_LOCK = int.from_bytes(b"maitred")

_SESSION = """
SET lock_timeout = '10s';
SET idle_in_transaction_session_timeout = '60s';
SET synchronous_commit = on;
SET client_min_messages = error
"""
# One core for each schema, until cores know of one another: a second one would close the first one's runs. A core that
# was killed is let go by the server within moments, which is worth a wait.
_ALONE = "SELECT pg_advisory_lock(hashtext('maitred core'), hashtext(current_schema()))"
_ALONE_SECONDS = 5
_MIGRATION = "SET LOCAL lock_timeout = '120s'"
# Who has done something already waits for nobody for long: it is committed, and the one in the way goes first then.
_FIRST = b"BEGIN; SAVEPOINT unit"
_NEXT = b"RELEASE SAVEPOINT unit; SET LOCAL lock_timeout = '50ms'; SAVEPOINT unit"

_CONTENDED = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    # somebody else made the row first; the unit sees it when it runs again
    errors.UniqueViolation,
)

_STUCK = (
    errors.DiskFull,
    errors.IoError,
    # a server that has become a standby
    errors.ReadOnlySqlTransaction,
)


class PostgresLink:
    """The writer's connection to the server."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._raw: Any = connection.connection.dbapi_connection

    @property
    def changes(self) -> int:
        return 0  # units always have marks here

    @property
    def is_whole(self) -> bool:
        whole: bool = self._raw.info.transaction_status == pq.TransactionStatus.INTRANS
        return whole

    def begin(self, *, marked: bool) -> None:
        self._say(_FIRST if marked else b"BEGIN")

    def mark(self) -> None:
        self._say(_NEXT)

    def check(self) -> None:
        # to a transaction that has failed already the server answers COMMIT with a rollback, and no error
        if not self.is_whole:
            raise errors.InFailedSqlTransaction("the transaction is not whole any more")

    def back(self) -> None:
        self._say(b"ROLLBACK TO SAVEPOINT unit")

    def commit(self) -> None:
        self.check()
        self._say(b"COMMIT")

    def rollback(self) -> None:
        if self._raw.info.transaction_status != pq.TransactionStatus.IDLE:
            self._say(b"ROLLBACK")

    def close(self) -> None:
        self.connection.invalidate()
        self.connection.close()

    def _say(self, statements: bytes) -> None:
        # several statements in one go cannot be prepared, and these need no parameters
        self._raw.execute(statements, prepare=False)


class Postgres:
    """A PostgreSQL database as a back end; the schema is the first one of the connection's search path."""

    is_shared = True
    needs_marks = True
    largest_group = 64  # each unit is a subtransaction, and of more than 64 the server loses sight
    beat = 5.0

    def __init__(self, url: str, *, alone: bool = False) -> None:
        """`url` is a URL as libpq takes it; it may hold a password, which is never shown.

        With `alone` the writer's connection is refused while another core has one to the same schema. Raises
        SettingsError for a URL that libpq does not understand.
        """
        self._url = url
        self._alone = alone
        self._secret = _password(url)
        self.place = without_secrets(url)
        self._writers = self._engine(read_only=False)
        self._readers = self._engine(read_only=True)

    def open(self) -> PostgresLink:
        """See `Backend.open`. Raises DatabaseUnusable or DatabaseTooNew."""
        try:
            return self._prepared(self.link())
        except NotOurs as error:
            raise DatabaseUnusable(
                f"{self.place}: {error}; name an empty database or schema in storage.url"
            ) from error
        except (SQLAlchemyError, psycopg.Error) as error:
            raise DatabaseUnusable(
                f"{self.place}: the database cannot be used ({self.reason(error)}); {_advice(error)}"
            ) from None

    def link(self) -> PostgresLink:
        link = PostgresLink(self._writers.connect())
        if self._alone:
            try:
                self._claim(link.connection)
            except BaseException:
                link.close()
                raise
        return link

    def reader(self) -> AbstractContextManager[Connection]:
        return self._readers.connect()

    def meaning(self, error: BaseException) -> Meaning:
        found = _of_driver(error)
        if isinstance(found, _CONTENDED):
            return "contended"
        if isinstance(found, _STUCK):
            return "stuck"
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return "lost"
        # without a code it is the driver that speaks, of a connection that has broken
        broken = isinstance(found, psycopg.OperationalError) and (
            found.sqlstate is None or (found.sqlstate[:2] in ("08", "57") and found.sqlstate != "57014")
        )
        return "lost" if broken or isinstance(found, errors.IdleInTransactionSessionTimeout) else "refused"

    def reason(self, error: BaseException) -> str | None:
        if not isinstance(error, SQLAlchemyError | psycopg.Error):
            return None
        found = _of_driver(error)
        diagnosed = found.diag.message_primary if found is not None else None
        said = " ".join((diagnosed or str(found or error)).split())
        return said.replace(self._secret, "***") if self._secret else said

    def is_malformed(self, error: BaseException) -> bool:
        # the driver says so itself, before anything is sent
        found = _of_driver(error)
        return isinstance(found, psycopg.DataError) and found.sqlstate is None and "NUL" in str(found)

    def close(self) -> None:
        self._readers.dispose()
        self._writers.dispose()

    def _engine(self, *, read_only: bool) -> Engine:
        def connect() -> psycopg.Connection[Any]:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                prepare_threshold=_PREPARE_AFTER,
                application_name="maitred",
                client_encoding="utf8",
            )
            connection.execute(_SESSION, prepare=False)
            if read_only:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                connection.autocommit = False
            return connection

        pool: dict[str, Any] = (
            {"pool_size": _READERS, "max_overflow": 0} if read_only else {"poolclass": NullPool}
        )
        return create_engine("postgresql+psycopg://", creator=connect, use_native_hstore=False, **pool)

    def _claim(self, connection: Connection) -> None:
        """Hold the schema for as long as the connection lives; raises DatabaseUnusable when another core does."""
        connection.exec_driver_sql(f"SET lock_timeout = '{_ALONE_SECONDS}s'")
        try:
            connection.exec_driver_sql(_ALONE)
        except DBAPIError as error:
            if not isinstance(error.orig, errors.LockNotAvailable):
                raise
            raise DatabaseUnusable(
                f"{self.place}: another maitred works on it, and only one can as yet; "
                "attach to that one, or name another database or schema in storage.url"
            ) from None
        connection.exec_driver_sql(_SESSION)

    def _prepared(self, link: PostgresLink) -> PostgresLink:
        """The link, once the schema is up to date; several processes may come here at the same time."""
        connection = link.connection
        try:
            _check(connection)
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(_MIGRATION)
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            migrate(connection, self.place)
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            link.close()
            raise
        return link


def _check(connection: Connection) -> None:
    """Raises NotOurs for a database in which texts or tables could not be kept."""
    encoding, schema = connection.exec_driver_sql(
        "SELECT pg_encoding_to_char(encoding), current_schema() FROM pg_database "
        "WHERE datname = current_database()"
    ).one()
    if encoding != "UTF8":
        raise NotOurs(f"is in the encoding {encoding}, not in UTF8")
    if schema is None:
        raise NotOurs("has no schema in its search path")


def _password(url: str) -> str | None:
    try:
        password = conninfo_to_dict(url).get("password")
    except psycopg.ProgrammingError:
        # what libpq says of it repeats the URL, password and all
        raise SettingsError(
            "storage.url: PostgreSQL does not understand it; write postgresql://user@host/database"
        ) from None
    return str(password) if password else None


def _of_driver(error: BaseException) -> psycopg.Error | None:
    """The driver's own exception, out of what SQLAlchemy made of it."""
    found = error.orig if isinstance(error, DBAPIError) else error
    return found if isinstance(found, psycopg.Error) else None


def _advice(error: BaseException) -> str:
    """What to do about a database that cannot be used."""
    found = _of_driver(error)
    if isinstance(found, errors.InsufficientPrivilege):
        return "let the user create tables in its schema"
    if found is not None and found.sqlstate is None and "FATAL" not in str(found):
        return "start the server, or correct storage.url"
    # the server has answered
    return "correct the user, the password or the database in storage.url, or create them"
