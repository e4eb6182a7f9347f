"""The audit log: who changed what."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from bongsu.server.database.tables.base import metadata

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    # "user 3", "api_token 7", "agent ...", "system".
    Column("actor", String(96), nullable=False),
    # The name at that time: people are renamed and deleted.
    Column("actor_name", String(255), nullable=False),
    Column("address", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(96), nullable=False),
    # JSON without secrets; NULL if the target did not exist before, or does not exist after.
    Column("before", Text),
    Column("after", Text),
)

Index("ix_audit_log_time", audit_log.c.time_ms)
