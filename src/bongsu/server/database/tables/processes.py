"""What took CPU and memory at a moment: process lists, as agents took them."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, Table

from bongsu.server.database.tables.base import metadata

process_lists = Table(
    "process_lists",
    metadata,
    Column("server_id", Integer, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    # The list column by column, compressed (storage/processes.py).
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("server_id", "time_ms"),
)
