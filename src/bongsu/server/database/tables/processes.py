"""Process lists: what used CPU and memory at a moment."""

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
