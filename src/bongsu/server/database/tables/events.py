"""Events: what has happened to servers."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from bongsu.server.database.tables.base import metadata

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("type", String(32), nullable=False),
    # 0: Bongsu itself.
    Column("server_id", Integer, nullable=False),
    Column("server_name", String(255), nullable=False),
    # 0: not about an alert.
    Column("alert_id", Integer, nullable=False),
    Column("rule_name", String(100), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("series", Text, nullable=False),
    # What changed, as text.
    Column("before", String(255), nullable=False),
    Column("after", String(255), nullable=False),
    # Readers ask for those after an id.
    sqlite_autoincrement=True,
)
Index("ix_events_time", events.c.time_ms)
Index("ix_events_server", events.c.server_id, events.c.time_ms)
