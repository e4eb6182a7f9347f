"""The monitored servers."""

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, String, Table, Text

from bongsu.server.database.tables.base import metadata

servers = Table(
    "servers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("agent_id", String(64), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("first_seen_ms", BigInteger, nullable=False),
    # Written once a minute, not with every frame; the newest frame may be younger.
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("interval_ms", Integer, nullable=False),
    Column("agent_version", String(64), nullable=False),
    Column("hostname", String(255), nullable=False),
    Column("os", String(255), nullable=False),
    Column("kernel", String(255), nullable=False),
    Column("architecture", String(64), nullable=False),
    Column("cpu_model", String(255), nullable=False),
    Column("cpu_count", Integer, nullable=False),
    Column("memory_total_bytes", BigInteger, nullable=False),
    Column("boot_time_ms", BigInteger, nullable=False),
    # JSON objects: the tags that people or the enrolment set, and those that the agent reports.
    Column("tags", Text, nullable=False, server_default="{}"),
    Column("agent_tags", Text, nullable=False, server_default="{}"),
    # The agent's clock minus the API server's, and when it last jumped (0: never).
    Column("clock_offset_ms", BigInteger, nullable=False, server_default="0"),
    Column("clock_jump_ms", BigInteger, nullable=False, server_default="0"),
    # Since when it is retired; 0: it is not.
    Column("retired_ms", BigInteger, nullable=False, server_default="0"),
    # Ids are never reused: a new server must not inherit what is left of a deleted one.
    sqlite_autoincrement=True,
)

# Servers that were deleted, until the worker has deleted all that is stored of them.
deleted_servers = Table(
    "deleted_servers",
    metadata,
    Column("server_id", Integer, nullable=False, autoincrement=False),
    Column("deleted_ms", BigInteger, nullable=False),
    PrimaryKeyConstraint("server_id"),
)

# The interval of an agent and since when: how many frames to expect.
intervals = Table(
    "intervals",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("interval_ms", Integer, nullable=False),
    PrimaryKeyConstraint("server_id", "since_ms"),
)
