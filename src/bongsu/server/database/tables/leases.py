"""Leases: how several workers share work."""

from sqlalchemy import BigInteger, Column, String, Table

from bongsu.server.database.tables.base import metadata

leases = Table(
    "leases",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)
