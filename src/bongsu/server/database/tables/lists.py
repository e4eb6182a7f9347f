"""Lists of what comes and goes: processes and containers at a moment."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, Table

from bongsu.server.database.tables.base import metadata

process_lists = Table(
    "process_lists",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    # The list by column, compressed (storage/processes.py).
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "time_ms"),
)

container_lists = Table(
    "container_lists",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    # How many events the list has: most have none.
    Column("events", Integer, nullable=False),
    # Containers and events by column, compressed (storage/containers.py).
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "time_ms"),
)
