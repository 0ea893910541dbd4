"""Empty schemas for tests, quickly: one that a test has left is emptied and given to the next."""

from __future__ import annotations

import itertools
import os
from urllib.parse import quote

import psycopg
from psycopg import sql

from core.store.postgres import Postgres
from core.store.tables import metadata

_TABLES = (
    *(table.name for table in metadata.sorted_tables if table.name != "audit"),
    "message_words",
    "change_log",
)
_SEQUENCES = ("messages_id_seq", "audit_id_seq", "admits_id_seq", "change_log_id_seq", "seat_tickets")
_SHAPE = """
SELECT count(*), sum(c.relnatts), sum(c.relhastriggers::int),
    (SELECT count(*) FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace),
    (SELECT version FROM {schema}.schema_version)
FROM pg_class c WHERE c.relnamespace = %(schema)s::regnamespace
"""


class Schemas:
    """Schemas in one database, each with the tables of a house, none with a row."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("SET lock_timeout = '5s'")
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        self._names: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def take(self) -> str:
        """A URL whose schema has the tables of a house, without a row."""
        return self._free.pop() if self._free else self._make(with_tables=True)

    def take_bare(self) -> str:
        """A URL whose schema has nothing at all."""
        return self._make(with_tables=False)

    def give_back(self, url: str) -> None:
        """Empty a schema for the next test; one whose tables were changed, or are still in use, is dropped."""
        name = self._names[url]
        try:
            if self._shape(name) == self._shapes[name]:
                self._empty(name)
                self._free.append(url)
                return
        except psycopg.Error:
            pass
        self._drop(name)

    def close(self) -> None:
        """Drop every schema that was made."""
        for name in self._names.values():
            self._drop(name)
        self._connection.close()

    def _make(self, *, with_tables: bool) -> str:
        name = f"maitred_{os.getpid()}_{next(self._numbers)}"
        self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        options = quote(f"-csearch_path={name}")
        url = f"{self._url}{'&' if '?' in self._url else '?'}options={options}"
        self._names[url] = name
        if with_tables:
            backend = Postgres(url)
            backend.open().close()
            backend.close()
            self._shapes[name] = self._shape(name)
        return url

    def _shape(self, name: str) -> tuple[int, ...]:
        query = sql.SQL(_SHAPE).format(schema=sql.Identifier(name))
        row = self._connection.execute(query, {"schema": name}).fetchone()
        assert row is not None
        return tuple(map(int, row))

    def _empty(self, name: str) -> None:
        parts = ["BEGIN", "ALTER TABLE {s}.audit DISABLE TRIGGER USER", "DELETE FROM {s}.audit"]
        parts += [f"DELETE FROM {{s}}.{table}" for table in _TABLES]
        parts += [f"ALTER SEQUENCE {{s}}.{sequence} RESTART" for sequence in _SEQUENCES]
        parts += ["ALTER TABLE {s}.audit ENABLE TRIGGER USER", "COMMIT"]
        try:
            self._connection.execute(sql.SQL("; ".join(parts)).format(s=sql.Identifier(name)))
        except psycopg.Error:
            self._connection.execute("ROLLBACK")
            raise

    def _drop(self, name: str) -> None:
        # whoever still holds something there has left it open
        self._connection.execute(
            "SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
            "JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE c.relnamespace = to_regnamespace(%s) AND a.pid <> pg_backend_pid()",
            (name,),
        )
        self._connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
