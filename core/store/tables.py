"""The tables. Times are milliseconds since 1970, money is micro-USD, structured values are JSON text.

A change here needs a migration in `core.store.migrations`, from the first release on.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# SQLite gives out row numbers only for a column that is exactly INTEGER PRIMARY KEY.
_Id = BigInteger().with_variant(Integer, "sqlite")

# Texts are compared by their bytes on every server, whatever its locale.
_String = String().with_variant(String(collation="C"), "postgresql")

facts = Table(
    "facts",
    metadata,
    Column("name", _String, primary_key=True),
    Column("value", _String, nullable=False),
)
"""Single values of the house: its id."""

counters = Table(
    "counters",
    metadata,
    Column("name", _String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Numbers drawn in order, never twice: queue tickets."""

seats = Table(
    "seats",
    metadata,
    Column("user_id", _String, primary_key=True),
    Column("status", _String, nullable=False),  # queued | active
    Column("instance_id", _String, nullable=False),
    Column(
        "held_by", _String, nullable=False
    ),  # client, or house: taken by the gate for a caller without instance
    Column("model", _String, nullable=False),
    Column("access_tier", _String, nullable=False),
    Column("ticket", BigInteger, nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("admitted_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("admit_id", BigInteger),
    Column("seen_at", BigInteger, nullable=False),
    Column("access", Text),  # what the front knows of where the request comes from, JSON
    Column("address_hash", _String),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)
Index("seats_by_queue", seats.c.model, seats.c.status, seats.c.ticket)
Index("seats_by_expiry", seats.c.expires_at)
Index("seats_by_address", seats.c.address_hash)

admits = Table(
    "admits",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _String, nullable=False),
    Column("model", _String, nullable=False),
    Column("access_tier", _String, nullable=False),
    Column("admitted_at", BigInteger, nullable=False),
    Column("tenths", Integer, nullable=False),  # session units, in tenths
)
Index("admits_by_user", admits.c.user_id, admits.c.admitted_at)
Index("admits_by_time", admits.c.admitted_at)

bans = Table(
    "bans",
    metadata,
    Column("user_id", _String, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", _String, nullable=False),
    Column("reason", _String, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("model", _String, primary_key=True),  # '' pauses all
    Column("at", BigInteger, nullable=False),
    Column("actor", _String, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_key", _String, primary_key=True),
    Column("owner", _String),
    Column("project", _String),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("epoch", _String, nullable=False),  # of the last write: another one means "resumed"
    Column("next_seq", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("provider_session_id", _String),
)

Index("sessions_by_owner", sessions.c.owner, sessions.c.session_key)

messages = Table(
    "messages",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("session_key", _String, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("role", _String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),  # of the text, in code points
    Column(
        "chain", LargeBinary, nullable=False
    ),  # stands for this message and all before it, see store/message.py
    Column("run_id", _String),
    Column("partial", Boolean, nullable=False, default=False),
    Column("audited", Boolean, nullable=False, default=True),  # appended, so it stands in the audit
    # the long columns come last, so that reading the others does not walk through them
    Column("content", Text, nullable=False),  # JSON: a string or structured parts
    Column("extra", Text),  # JSON: tool calls and other fields beside role and content
    UniqueConstraint("session_key", "seq"),
)

removed_messages = Table(
    "removed_messages",
    metadata,
    Column("session_key", _String, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("length", BigInteger, nullable=False),
)
"""What the audit keeps of an appended message that was removed: number, time, length."""

Index("removed_messages_by_time", removed_messages.c.at)

imports = Table(
    "imports",
    metadata,
    Column("import_id", _String, primary_key=True),
    Column(
        "source", _String, nullable=False
    ),  # what is brought, and where to: one that is not done is gone on with
    Column("session_key", _String, nullable=False),
    Column("owner", _String),
    Column("count", BigInteger, nullable=False),
    Column("staged", BigInteger, nullable=False),
    Column("tail", LargeBinary),  # the chain of the last staged message
    Column("done", Boolean, nullable=False),
    Column("touched_at", BigInteger, nullable=False),
)
"""Histories that are being brought in: how many messages there will be, and how many have come."""

staged_messages = Table(
    "staged_messages",
    metadata,
    Column("import_id", _String, primary_key=True),
    Column("place", BigInteger, primary_key=True),  # in the file, from 0
    Column("role", _String, nullable=False),
    Column("at", BigInteger),
    Column("length", BigInteger, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("run_id", _String),
    Column("partial", Boolean, nullable=False),
    Column("content", Text, nullable=False),
    Column("extra", Text),
    Column("entry", Text, nullable=False),  # what the search index will get; '' nothing
)
"""Messages of an import that is not complete: no history and no search knows of them."""

configuration = Table(
    "configuration",
    metadata,
    Column("session_key", _String, primary_key=True),
    Column("name", _String, primary_key=True),
    Column("value", Text, nullable=False),
)

pins = Table(
    "pins",
    metadata,
    Column("session_key", _String, primary_key=True),
    Column("model", _String, nullable=False),
    Column("tier", _String, nullable=False),
    Column("explicit", Boolean, nullable=False),
    Column("escalated", Boolean, nullable=False),
    Column("last_hash", _String, nullable=False),
    Column("run", BigInteger, nullable=False),  # equal requests in a row
    Column("request_count", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger, nullable=False),
)

costs = Table(
    "costs",
    metadata,
    Column("scope", _String, primary_key=True),  # session | user | project | model | day
    Column("key", _String, primary_key=True),
    Column("micros", BigInteger, nullable=False),
    Column("estimated_micros", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", _String, primary_key=True),
    Column("session_key", _String, nullable=False),
    Column("user_id", _String),
    Column("provider", _String, nullable=False),
    Column("model", _String),
    Column("epoch", _String, nullable=False),
    Column("status", _String, nullable=False),  # running | completed | aborted | interrupted
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("exit_code", Integer),
    Column("input_tokens", BigInteger, nullable=False, default=0),
    Column("output_tokens", BigInteger, nullable=False, default=0),
    Column("micros", BigInteger, nullable=False, default=0),
    Column("estimated", Boolean, nullable=False, default=False),
)
Index("runs_by_session", runs.c.session_key, runs.c.started_at)
Index("runs_by_end", runs.c.ended_at)
Index(
    "runs_running",
    runs.c.status,
    sqlite_where=runs.c.status == "running",
    postgresql_where=runs.c.status == "running",
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("run_id", _String, primary_key=True),
    Column("session_key", _String, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""The text of a running answer, every two seconds, so that a crash leaves what was received."""

audit = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", _String, nullable=False),
    Column("action", _String, nullable=False),
    Column("target", _String, nullable=False),
    Column("second_target", _String),  # the other key of a transfer
    Column("at_seq", BigInteger),  # a session's next message number then: its place among the messages
    Column("second_seq", BigInteger),  # the same for the second target
    Column("outcome", _String, nullable=False),
    Column("reason", _String, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    Column("command_id", _String, unique=True),
)
Index("audit_by_target", audit.c.target, audit.c.id)
Index("audit_by_second_target", audit.c.second_target, audit.c.id)
